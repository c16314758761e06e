"""The search for a blend, and its honest score: what is chosen on some folds is judged on the fold left out."""

import itertools
from dataclasses import dataclass

import numpy as np

from lib.blend.ranks import rank_blend
from lib.blend.steps import smooth_windows
from lib.competition.folds import Folds
from lib.competition.names import split_row_id
from lib.competition.scores import Labels, Scores
from lib.judge.metric import judge


@dataclass(frozen=True)
class Choice:
    """One candidate blend: the weights in the members' order, and the smoothing."""

    weights: tuple[float, ...]
    sigma: float


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The choice made on all rows, the score it had there, and the nested scores that were not searched on."""

    choice: Choice
    searched: float
    nested: Scores
    tried: int


def candidates(members: int, *, steps: int, sigmas: list[float]) -> list[Choice]:
    """All weights that are multiples of 1/steps and sum to one, with each smoothing."""
    grid = (parts for parts in itertools.product(range(steps + 1), repeat=members) if sum(parts) == steps)
    return [Choice(tuple(part / steps for part in parts), sigma) for parts in grid for sigma in sigmas]


def evidence_weights(lower_ends: list[float]) -> tuple[float, ...]:
    """Weights in proportion to how far each lower end lies above chance; equal ones where none does."""
    excess = np.maximum(np.asarray(lower_ends) - 0.5, 0.0)
    shares = excess / excess.sum() if excess.sum() > 0 else np.full(len(excess), 1 / len(excess))
    return tuple(shares.tolist())


def blend(parts: list[Scores], choice: Choice) -> Scores:
    """The blend that a choice describes."""
    return smooth_windows(rank_blend(parts, list(choice.weights)), sigma=choice.sigma)


def search(parts: list[Scores], labels: Labels, folds: Folds, choices: list[Choice]) -> SearchResult:
    """The best choice on all labelled rows, and nested scores: each fold's rows by the choice of the other folds."""
    fold_of = folds.of("soundscape")
    row_fold = np.array([fold_of[split_row_id(row)[0].stem] for row in labels.row_ids])
    blends = [blend(parts, choice) for choice in choices]

    def best(rows: np.ndarray) -> tuple[int, float]:
        subset = labels.take([labels.row_ids[row] for row in np.flatnonzero(rows)])
        scores = [judge(subset, candidate).macro for candidate in blends]
        return int(np.argmax(scores)), float(np.max(scores))

    chosen, searched = best(np.ones(len(row_fold), dtype=bool))
    values = np.empty(labels.values.shape, dtype=np.float32)
    for fold in folds.numbers:
        here = row_fold == fold
        pick = blends[best(~here)[0]]
        values[here] = pick.take([labels.row_ids[row] for row in np.flatnonzero(here)]).values
    nested = Scores(values, labels.row_ids, labels.classes, "rank")
    return SearchResult(choices[chosen], searched, nested, len(choices))
