"""Fast exact macro AUC of weighted rank blends, by counting pairs in whole numbers.

A blend's AUC needs no ranking: it counts, for each class, the pairs whose positive lies above their negative. Ranks are
doubled (ties stand halfway) and weights are whole thousandths, so all sums are whole and ties stay exact. This is for
searches only, never for a submission.
"""

from dataclasses import dataclass

import numba
import numpy as np
from scipy.stats import rankdata

from lib.competition.scores import Labels, Scores, check_same
from lib.core.errors import BadInput

RANK_SCALE = 1000  # the weights of a blend sum to this


@dataclass(frozen=True, eq=False)
class PairCounter:
    """The doubled ranks of positives and negatives of every class and stratum, by member."""

    classes: tuple[str, ...]
    positives: np.ndarray  # (members, positives of all segments) doubled ranks
    negatives: np.ndarray  # (members, negatives of all segments)
    segments: np.ndarray  # (segments, 5) class, first and last positive, first and last negative
    pairs: np.ndarray  # (classes,) pairs that can be compared

    @property
    def members(self) -> int:
        """The number of members, which is the length of a weight vector."""
        return len(self.positives)

    def macro(self, weights) -> float:
        """The macro AUC of the blend with these whole weights."""
        return float(self.macro_many(np.asarray(weights)[None])[0])

    def macro_many(self, weights: np.ndarray) -> np.ndarray:
        """(blends,) macro AUC of (blends, members) whole weights, each row summing to RANK_SCALE."""
        weights = _whole(weights, self.members)
        won = _count_many(self.positives, self.negatives, self.segments, weights.astype(np.float32), len(self.pairs))
        return (won / (2 * self.pairs)).mean(axis=1)

    def exchange(self, weights, giver: int, taker: int) -> tuple[np.ndarray, np.ndarray]:
        """The exact scores of all blends reached by moving weight between two members, in one pass over the pairs.

        Returns (steps,) how much is moved, from minus the taker's weight to the giver's, and (steps,) the macro AUC.
        """
        weights = _whole(np.asarray(weights)[None], self.members)[0]
        low, high = -int(weights[taker]), int(weights[giver])
        start_up, start_down = (side.astype(np.int64).T @ weights for side in (self.positives, self.negatives))
        slope_up, slope_down = (
            (side[taker] - side[giver]).astype(np.int64) for side in (self.positives, self.negatives)
        )
        pairs = self.pairs.astype(np.float64)
        won = _sweep(start_up, start_down, slope_up, slope_down, self.segments, pairs, low, high)
        return np.arange(low, high + 1), won / len(self.pairs)


def make_pair_counter(labels: Labels, parts: list[Scores]) -> PairCounter:
    """The counter for blends of these members, judged on these labels within their strata."""
    check_same(parts)
    whole = np.stack([2 * rankdata(part.values, axis=0) for part in parts])
    if whole.max() * RANK_SCALE >= 2**24:
        raise BadInput(
            "too many rows for exact counting",
            expected=f"at most {2**23 // RANK_SCALE} rows",
            got=len(parts[0].row_ids),
            do="judge on fewer rows",
        )
    at = {row: n for n, row in enumerate(parts[0].row_ids)}
    ranks = whole[:, [at[row] for row in labels.row_ids]].astype(np.float32)
    classes: list[str] = []
    segments: list[tuple[int, ...]] = []
    positives: list[np.ndarray] = []
    negatives: list[np.ndarray] = []
    pairs: list[int] = []
    ends = [0, 0]
    for column in np.flatnonzero(labels.values.any(axis=0)):
        found = 0
        for stratum in np.unique(labels.strata):
            here = labels.strata == stratum
            up, down = (ranks[:, here & mark, column] for mark in (labels.values[:, column], ~labels.values[:, column]))
            if up.size and down.size:
                segments.append((len(classes), ends[0], ends[0] + up.shape[1], ends[1], ends[1] + down.shape[1]))
                ends = [segments[-1][2], segments[-1][4]]
                positives.append(up)
                negatives.append(down)
                found += up.shape[1] * down.shape[1]
        if found:
            classes.append(labels.classes[column])
            pairs.append(found)
    return PairCounter(
        classes=tuple(classes),
        positives=np.ascontiguousarray(np.concatenate(positives, axis=1)),
        negatives=np.ascontiguousarray(np.concatenate(negatives, axis=1)),
        segments=np.array(segments, dtype=np.int64),
        pairs=np.array(pairs, dtype=np.int64),
    )


def _whole(weights: np.ndarray, members: int) -> np.ndarray:
    """The weights as whole numbers; refused when they are not, or do not sum to RANK_SCALE."""
    whole = np.rint(weights).astype(np.int64)
    if (
        weights.shape[1:] != (members,)
        or (whole != weights).any()
        or (whole < 0).any()
        or (whole.sum(1) != RANK_SCALE).any()
    ):
        raise BadInput(
            "blend weights are not usable",
            expected=f"{members} whole numbers that sum to {RANK_SCALE}",
            got=weights[:2].tolist(),
            do="give weights in permille",
        )
    return whole


@numba.njit(fastmath=True)
def _beaten(height, lows):
    """Twice the lows below the height, and once those beside it: all are whole, so a clipped difference is its sign."""
    won = np.float32(0.0)
    for n in range(len(lows)):
        won += min(max(height - lows[n], np.float32(-1.0)), np.float32(1.0))
    return won + len(lows)


@numba.njit
def _count_many(positives, negatives, segments, weights, classes):
    """(blends, classes) twice the pairs won, ties once."""
    out = np.zeros((len(weights), classes))
    for blend in range(len(weights)):
        up = np.zeros(positives.shape[1], dtype=np.float32)
        down = np.zeros(negatives.shape[1], dtype=np.float32)
        for member in range(len(positives)):
            weight = weights[blend, member]
            for n in range(len(up)):
                up[n] += weight * positives[member, n]
            for n in range(len(down)):
                down[n] += weight * negatives[member, n]
        for segment in range(len(segments)):
            name, first, last, begin, end = segments[segment]
            lows = down[begin:end]
            for height in up[first:last]:
                out[blend, name] += _beaten(height, lows)
    return out


@numba.njit
def _sweep(up, down, up_slope, down_slope, segments, pairs, low, high):
    """(steps,) summed AUC of all classes at every step: each pair changes sides at most once, at a known place."""
    steps = high - low + 1
    total = np.zeros(steps)
    change = np.zeros(steps + 1, dtype=np.int64)
    name = -1
    for segment in range(len(segments)):
        now, first, last, begin, end = segments[segment]
        if now != name:
            if name >= 0:
                _settle(change, total, pairs[name])
            name = now
        for p in range(first, last):
            for n in range(begin, end):
                height, slope = up[p] - down[n], up_slope[p] - down_slope[n]
                # twice the pair's share at step j: 2 where height + j * slope > 0, 1 where it is 0
                if slope == 0:
                    change[0] += 2 * (height > 0) + (height == 0)
                    continue
                turn = -height // slope if slope > 0 else height // -slope
                exact = turn * slope == -height
                if slope > 0:  # won after the turn
                    after = min(max(turn + 1 - low, 0), steps)
                    change[after] += 2
                    if exact and low <= turn <= high:
                        change[turn - low] += 1
                        change[turn - low + 1] -= 1
                else:  # won before the turn
                    until = turn - low if exact else turn - low + 1
                    until = min(max(until, 0), steps)
                    change[0] += 2
                    change[until] -= 2
                    if exact and low <= turn <= high:
                        change[turn - low] += 1
                        change[turn - low + 1] -= 1
    if name >= 0:
        _settle(change, total, pairs[name])
    return total


@numba.njit
def _settle(change, total, pairs):
    """Add one class's AUC at every step to the total, and empty the changes for the next."""
    running = 0
    for step in range(len(total)):
        running += change[step]
        total[step] += running / (2.0 * pairs)
    change[:] = 0
