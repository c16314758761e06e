"""Gates of the public blend: where one member is high and another low, ranks move a little towards the first.

Each gate is independent. In the public chain only the first open gate acts on a cell; here a cell may pass several.
"""

import numpy as np

from lib.blend.mix import percentile_ranks
from lib.blend.steps.base import check_number, refuse_kind, refuse_logits, refuse_unaligned, with_clipped_values
from lib.blend.steps.windows import smooth_by_kernel
from lib.competition.scores import Scores


def gate_window(
    scores: Scores, *, member: Scores, member_against: Scores, above: float, below: float, share: float
) -> Scores:
    """Ranks moved by `share` towards the member's, where it is above and the other member below, in their own kinds.

    Given probabilities and .5, .05, .08 this is public gate 1; given ranks and .95, .80, .12 it is gate 3.
    """
    _check(scores, member, member_against, above=above, below=below, share=share)
    open_here = (member.values > above) & (member_against.values < below)
    return _move(scores, percentile_ranks(member).values, open_here, share)


def gate_sustained(
    scores: Scores,
    *,
    member: Scores,
    member_against: Scores,
    kernel: list[float],
    sustained_above: float,
    rank_above: float,
    below: float,
    share: float,
) -> Scores:
    """Ranks moved by `share` towards the member's, where it ranks high in the window and around it (public gate 2).

    `sustained_above` bounds the rank of the member smoothed by the kernel, `below` the other member's own values.
    """
    thresholds = {"sustained_above": sustained_above, "rank_above": rank_above, "below": below}
    _check(scores, member, member_against, **thresholds, share=share)
    rank = percentile_ranks(member).values
    lasting = percentile_ranks(smooth_by_kernel(member, kernel=kernel)).values
    open_here = (lasting > sustained_above) & (rank > rank_above) & (member_against.values < below)
    return _move(scores, np.maximum(rank, lasting), open_here, share)


def _check(scores: Scores, member: Scores, against: Scores, **numbers: float) -> None:
    refuse_kind(scores, "a gate", ("rank",))
    for part in (member, against):
        refuse_unaligned(scores, part)
        refuse_logits(part, "a gate's threshold")
    for name, value in numbers.items():
        check_number(name, value, 0.0, 1.0)


def _move(scores: Scores, towards: np.ndarray, open_here: np.ndarray, share: float) -> Scores:
    return with_clipped_values(scores, scores.values + share * open_here * (towards - scores.values))
