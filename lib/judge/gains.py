"""Gains over folds, seeds and settings with intervals, from a random-effects model of pairs of runs and folds.

Each fold has a model of its own, trained and judged on other recordings; a further seed trains all anew; another
setting of the rest tests whether the gain holds there too. A gain is thus a table of differences, a row a pair of runs
and a column a fold. Both are random effects: variation over either widens the interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lib.judge.bootstrap import LEVEL, Interval

_SHARED = 0.25  # the squared correlation of two differences that have one side in common


@dataclass(frozen=True)
class Gain:
    """The gain of one side over the other; without intervals where nothing was repeated."""

    gain: float
    interval: Interval | None
    adjusted: Interval | None  # holds for all that are judged together
    pairs: int  # of runs that share all else; 0 where none do, and means of unlike runs are compared
    folds: int

    @property
    def better(self) -> bool:
        """True when it is above zero, all judged together."""
        return self.adjusted is not None and self.adjusted.low > 0

    @property
    def worse(self) -> bool:
        """True when it is below zero, all judged together."""
        return self.adjusted is not None and self.adjusted.high < 0


@dataclass(frozen=True)
class _MeanSquare:
    """A mean square of noise and its degrees of freedom."""

    square: float
    freedom: float


def paired_gains(tables: Sequence[np.ndarray], together: int) -> list[Gain]:
    """The mean of each (pairs, folds) table of differences; `together` is how many gains are judged at once.

    The variances of folds and pairs are pooled over all tables: three folds alone estimate their own variance badly.
    """
    parts = [_squares(table) for table in tables]
    pairs, folds, rest = (_pool([part[n] for part in parts]) for n in range(3))
    found = []
    for table in tables:
        square, freedom = _combine(pairs, folds, rest)
        intervals = _intervals(float(table.mean()), np.sqrt(square / table.size), freedom, together)
        found.append(Gain(float(table.mean()), *intervals, *table.shape))
    return found


def unpaired_gains(groups: Sequence[np.ndarray], together: int) -> list[Gain]:
    """The gain of each further group's mean over the first's, where no two runs share all else.

    A group is (settings, folds) scores. Settings differ in more than what is compared, and the gain varies over folds.
    """
    first, size = groups[0].mean(axis=0), len(groups[0])
    settings: list[tuple[float, int]] = []
    folds: list[tuple[float, int]] = []
    rest: list[tuple[float, int]] = []
    for group in groups:
        level, inner = group.mean(axis=1) - group.mean(), group - group.mean(axis=0)
        spare = len(group) - 1
        settings.append((group.shape[1] * float(level @ level), spare))
        rest.append((float(((inner - level[:, None]) ** 2).sum()), spare * (group.shape[1] - 1)))
    shares = [1 / size + 1 / len(group) for group in groups[1:]]
    tables = [group.mean(axis=0) - first for group in groups[1:]]
    for table, share in zip(tables, shares, strict=True):
        folds.append((float(((table - table.mean()) ** 2).sum()) / share, len(table) - 1))
    square, freedom = _combine(_pool(settings, 0.0), _pool(folds), _pool(rest, 0.0))
    found = []
    for table, share in zip(tables, shares, strict=True):
        gain, error = float(table.mean()), np.sqrt(square * share / len(table))
        found.append(Gain(gain, *_intervals(gain, error, freedom, together), pairs=0, folds=len(table)))
    return found


def _squares(table: np.ndarray) -> list[tuple[float, int]]:
    """Sums of squares and degrees of freedom of the pairs, of the folds and of the residual."""
    middle = table.mean()
    rows, columns = table.mean(axis=1) - middle, table.mean(axis=0) - middle
    rest = table - middle - rows[:, None] - columns
    (pairs, folds), sums = table.shape, (table.shape[1] * rows @ rows, table.shape[0] * columns @ columns)
    return [(sums[0], pairs - 1), (sums[1], folds - 1), (float((rest**2).sum()), (pairs - 1) * (folds - 1))]


def _pool(parts: list[tuple[float, int]], shared: float = _SHARED) -> _MeanSquare | None:
    """The mean square over all tables; tables that share a side count less than as many independent ones."""
    used = [part for part in parts if part[1] > 0]
    if not used:
        return None
    freedom = sum(part[1] for part in used)
    return _MeanSquare(sum(part[0] for part in used) / freedom, freedom / (1 + shared * (len(used) - 1)))


def _combine(pairs: _MeanSquare | None, folds: _MeanSquare | None, rest: _MeanSquare | None) -> tuple[float, float]:
    """The mean square of a table's mean, times its cells, with pairs and folds as random effects; and its freedom."""
    known = [part for part in (pairs, folds) if part is not None]
    if not known:
        return np.nan, 0.0
    largest = max(known, key=lambda part: part.square)
    total = sum(part.square for part in known) - (rest.square if rest and len(known) == 2 else 0.0)
    if len(known) < 2 or total <= largest.square:
        return largest.square, largest.freedom
    freedom = total**2 / sum(part.square**2 / part.freedom for part in known)  # Satterthwaite's
    return total, max(freedom, min(part.freedom for part in known))


def _intervals(gain: float, error: float, freedom: float, together: int) -> tuple[Interval | None, Interval | None]:
    """The interval of one gain, and the wider one (Šidák's) that holds for all judged together."""
    if not np.isfinite(error) or freedom <= 0:
        return None, None
    reach = [error * stats.t.ppf((1 + level) / 2, freedom) for level in (LEVEL, LEVEL ** (1 / max(together, 1)))]
    one, all_at_once = (Interval(float(gain - far), float(gain + far)) for far in reach)
    return one, all_at_once
