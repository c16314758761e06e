"""Blends in rank space: no branch needs to be calibrated to another's scale."""

import numpy as np
from scipy.stats import rankdata

from lib.competition.errors import BadInput
from lib.competition.scores import Scores, check_same


def percentile_ranks(scores: Scores) -> Scores:
    """Each class's values as ranks in (0, 1], ties sharing their mean rank."""
    if not scores.row_ids:
        return scores.with_values(scores.values, "rank")
    return scores.with_values(rankdata(scores.values, axis=0) / len(scores.row_ids), "rank")


def check_weights(weights: list[float]) -> None:
    """Refuse weights that are negative or do not sum to one."""
    if min(weights, default=-1.0) < 0 or abs(sum(weights) - 1.0) > 1e-9:
        raise BadInput(
            "blend weights are not usable", expected="none negative, sum 1", got=weights, do="mend the recipe"
        )


def rank_blend(parts: list[Scores], weights: list[float]) -> Scores:
    """The weighted mean of the parts' percentile ranks."""
    check_weights(weights)
    check_same(parts)
    ranks = [percentile_ranks(part).values.astype(np.float64) for part in parts]
    mean = sum(weight * rank for weight, rank in zip(weights, ranks, strict=True))
    return parts[0].with_values(np.clip(mean, 0.0, 1.0), "rank")
