"""Greedy selection of an ensemble, with replacement (Caruana et al. 2004): parts are added one by one while it pays.

Few whole members in a bag make few, round weights: the selection cannot tune a weight to the last window. Bags of
random halves of the parts are left out on purpose: where members differ much, each bag without a good one is a loss.
"""

import numpy as np

from lib.blend.search.objective import Numbers, Objective
from lib.blend.search.space import Choice, whole

ROUNDS = 10  # so a weight is about a multiple of a tenth


def greedy(objective: Objective, start: Choice, chosen: Numbers, seed: int) -> Choice:
    """The start with weights by how often each part was selected in the best bag met on the way, of equals the least.

    Nothing is drawn: every seed gives the same.
    """
    bag, best, best_score = np.zeros(len(start.thousandths)), start, -np.inf
    for _ in range(ROUNDS):
        tried = [Choice(whole(bag + more), start.values) for more in np.eye(len(bag))]
        scores = objective.scores(tried, chosen)
        pick = int(np.argmax(scores))
        bag[pick] += 1
        if scores[pick] > best_score:
            best, best_score = tried[pick], scores[pick]
    return best
