"""Confidence intervals of scores by a cluster bootstrap over recording groups, as their windows are not independent.

A draw counts each group some number of times, and a class's AUC is then a ratio of two quadratic forms in those counts:
won pairs over pairs, between any two groups. Both tables are made once, so a thousand draws are a few matrix products.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy import stats

from lib.competition.row_ids import split_row_id
from lib.competition.scores import Labels, Scores
from lib.judge.metric import AucReport, judge

LEVEL = 0.9
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Interval:
    """A range that the score should lie in nine times out of ten; `make calibrate` measures how often it does."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"[{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, eq=False)
class ScoreWithInterval:
    """A macro score with its interval, and the redrawn scores that the interval comes from."""

    report: AucReport
    drawn: np.ndarray  # (draws,)
    interval: Interval

    @property
    def macro(self) -> float:
        """The macro ROC-AUC."""
        return self.report.macro

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return self.interval.low

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.interval.high

    @property
    def classes(self) -> int:
        """The number of classes that the score is the mean of."""
        return len(self.report.scored)


def score_with_interval(labels: Labels, scores: Scores, *, draws: int = 1000, seed: int = 0) -> ScoreWithInterval:
    """The macro score of one model and its bootstrap interval."""
    return scores_with_intervals(labels, {"": scores}, draws=draws, seed=seed)[""]


def scores_with_intervals(
    labels: Labels, named: Mapping[Name, Scores], *, draws: int = 1000, seed: int = 0
) -> dict[Name, ScoreWithInterval]:
    """The macro score and interval of each of the named scores, all on the same redrawn recordings."""
    reports = {name: judge(labels, scores) for name, scores in named.items()}
    drawn = bootstrap(labels, named, draws=draws, seed=seed)
    return {
        name: ScoreWithInterval(report, drawn[name], interval(report.macro, drawn[name]))
        for name, report in reports.items()
    }


def score_table(
    scored: Mapping[str, ScoreWithInterval], columns: Mapping[str, Mapping[str, object]] | None = None
) -> pd.DataFrame:
    """One row a model: name, score, low and high (its 90 % interval), classes (scored), and further columns by name.

    A further column maps the models' names to values; a model that it does not name has none.
    """
    table = pd.DataFrame(
        [(name, of.macro, of.low, of.high, of.classes) for name, of in scored.items()],
        columns=["name", "score", "low", "high", "classes"],
    )
    for column, values in (columns or {}).items():
        table[column] = pd.Series([values.get(name) for name in scored])
    return table


def recording_groups(labels: Labels) -> np.ndarray:
    """(rows,) the number of each row's recording group, a site and day."""
    names = [split_row_id(row)[0].group for row in labels.row_ids]
    return np.unique(names, return_inverse=True)[1]


def bootstrap(
    labels: Labels, named: Mapping[Name, Scores], *, draws: int = 1000, seed: int = 0
) -> dict[Name, np.ndarray]:
    """(draws,) macro scores of each of the named scores, on the same redrawn recording groups: they are paired."""
    groups = recording_groups(labels)
    count = groups.max() + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float32)
    tables = {name: scores.take(labels.row_ids).values for name, scores in named.items()}
    macro = {name: macro_of_draws(labels, groups, table, drawn) for name, table in tables.items()}
    middle = {name: np.nanmedian(values) for name, values in macro.items()}  # a draw may leave no class to score
    return {name: middle[name] + few_groups(count) * (values - middle[name]) for name, values in macro.items()}


def few_groups(groups: int) -> float:
    """The factor that widens an interval for few groups: Student's tails over normal ones, and n over n - 1."""
    if groups < 2:
        return 1.0
    tail = (1 + LEVEL) / 2
    return float(stats.t.ppf(tail, groups - 1) / stats.norm.ppf(tail) * np.sqrt(groups / (groups - 1)))


def interval(score: float, drawn: np.ndarray) -> Interval:
    """The middle nine tenths of the drawn values, stretched to hold the score where very few groups leave it out."""
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(min(low, score)), float(max(high, score)))


def macro_of_draws(labels: Labels, groups: np.ndarray, values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(draws,) the mean AUC over the classes scorable in a draw; `drawn` (draws, groups) counts each group."""
    total, scored = np.zeros(len(drawn)), np.zeros(len(drawn))
    for column in np.flatnonzero(labels.values.any(axis=0) & ~labels.values.all(axis=0)):
        truth = labels.values[:, column]
        owners, won, pairs = _pair_tables(truth, values[:, column], groups, labels.strata, drawn.shape[1])
        own = drawn[:, owners]
        possible = ((own @ pairs) * drawn).sum(axis=1)
        scorable = possible > 0
        total[scorable] += (((own @ won) * drawn).sum(axis=1)[scorable]) / possible[scorable]
        scored += scorable
    return np.divide(total, scored, out=np.full(len(drawn), np.nan), where=scored > 0)


def _pair_tables(truth: np.ndarray, values: np.ndarray, groups: np.ndarray, strata: np.ndarray, count: int):
    """Groups with a positive; and two tables (those groups, all groups): pairs won, and all pairs."""
    positive, negative = np.flatnonzero(truth), np.flatnonzero(~truth)
    positive, negative = (rows[np.argsort(groups[rows], kind="stable")] for rows in (positive, negative))
    better = (values[positive][:, None] > values[negative]).astype(np.float32)
    better += 0.5 * (values[positive][:, None] == values[negative])
    comparable = (strata[positive][:, None] == strata[negative]).astype(np.float32)
    owners, first = np.unique(groups[positive], return_index=True)
    others, begin = np.unique(groups[negative], return_index=True)
    tables = np.zeros((2, len(owners), count), dtype=np.float32)
    for table, cells in zip(tables, (better * comparable, comparable), strict=True):
        table[:, others] = np.add.reduceat(np.add.reduceat(cells, begin, axis=1), first, axis=0)
    return owners, *tables
