"""Blends in rank space: no branch needs to be calibrated to another's scale."""

import numpy as np
from scipy.stats import rankdata

from lib.competition.scores import Scores
from lib.core.errors import BadInput


def percentile_ranks(scores: Scores) -> Scores:
    """Each class's values as ranks in (0, 1], ties sharing their mean rank."""
    return scores.with_values(percentiles(scores), "rank")


def percentiles(scores: Scores) -> np.ndarray:
    """(rows, classes) ranks in (0, 1], in double precision: single would part ties that a blend makes."""
    rows = len(scores.row_ids)
    return rankdata(scores.values, axis=0) / rows if rows else scores.values


def check_weights(weights: list[float]) -> None:
    """Refuse weights that are negative, not finite, or do not sum to one."""
    if not (min(weights, default=-1.0) >= 0 and abs(sum(weights) - 1.0) <= 1e-9):
        raise BadInput(
            "blend weights are not usable", expected="none negative, sum 1", got=weights, do="mend the recipe"
        )
