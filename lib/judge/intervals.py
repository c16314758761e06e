"""How sure a score is: the cluster bootstrap, which draws whole recordings, as their windows are not independent."""

from dataclasses import dataclass

import numpy as np

from lib.competition.names import split_row_id
from lib.competition.scores import Labels, Scores
from lib.judge.metric import class_auc


@dataclass(frozen=True)
class Interval:
    """A range that the score should lie in nine times out of ten."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"[{self.low:.3f}, {self.high:.3f}]"

    @property
    def excludes_zero(self) -> bool:
        """True for a difference that is more than luck."""
        return self.low > 0 or self.high < 0


def bootstrap(labels: Labels, named: dict[str, Scores], *, draws: int = 200, seed: int = 0) -> dict[str, np.ndarray]:
    """(draws,) macro scores of each of the named scores, all on the same resampled recordings, so they pair up."""
    stems = np.array([split_row_id(row)[0].stem for row in labels.row_ids])
    rows_of = [np.flatnonzero(stems == stem) for stem in np.unique(stems)]
    tables = {name: scores.take(labels.row_ids).values for name, scores in named.items()}
    rng = np.random.default_rng(seed)
    drawn = {name: np.empty(draws) for name in named}
    for draw in range(draws):
        rows = np.concatenate([rows_of[file] for file in rng.integers(len(rows_of), size=len(rows_of))])
        for name, values in tables.items():
            drawn[name][draw] = np.nanmean(class_auc(labels.values[rows], values[rows], labels.strata[rows]))
    return drawn


def interval(score: float, drawn: np.ndarray, level: float = 0.9) -> Interval:
    """The middle `level` of the drawn values, moved so that their median lies on the score itself.

    A draw loses classes and so lies a little beside the score; its spread is what tells how sure the score is.
    """
    low, high = np.quantile(drawn - np.median(drawn), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(score + low), float(score + high))
