"""Coordinate ascent on weights: along each exchange between two parts, all the way to the best point of the line."""

from itertools import combinations

import numpy as np

from lib.blend.search.objective import Numbers, Objective, exchanged
from lib.blend.search.space import Choice

_PASSES = 20
_SAME = 1e-12  # scores closer than this are equal


def ascent(objective: Objective, start: Choice, chosen: Numbers, seed: int) -> Choice:
    """The start with weights that no exchange between two parts improves; of equal points the nearest is taken."""
    choice, pairs = start, list(combinations(range(len(start.thousandths)), 2))
    for _ in range(_PASSES):
        before = choice
        for giver, taker in pairs:
            moved, macro = objective.line(choice, giver, taker, chosen)
            best = moved[macro >= macro.max() - _SAME]
            choice = exchanged(choice, giver, taker, int(best[np.argmin(np.abs(best))]))
        if choice == before:
            break
    return choice
