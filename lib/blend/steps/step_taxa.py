"""Steps across classes: relatives lend each other evidence, classes that are one sound in the labels agree."""

import numpy as np

from lib.blend.steps.base import check_number, columns_of, group_columns, refuse_logits, settled
from lib.competition.scores import Scores


def share_in_groups(scores: Scores, *, groups: list[list[str]], share: float) -> Scores:
    """Each class moved by `share` towards its group's mean; once by genus and then by class is taxonomy smoothing."""
    check_number("share", share, 0.0, 1.0)
    values = scores.values.copy()
    for columns in group_columns(scores, groups):
        here = values[:, columns]
        values[:, columns] = here + share * (here.mean(axis=1, keepdims=True, dtype=np.float64) - here)
    return settled(scores, values)


def mirror_in_groups(scores: Scores, *, groups: list[list[str]]) -> Scores:
    """Each class at the highest of its group, window by window."""
    values = scores.values.copy()
    for columns in group_columns(scores, groups):
        values[:, columns] = values[:, columns].max(axis=1, keepdims=True)
    return settled(scores, values)


def damp_below_mean(scores: Scores, *, labels: list[str], margin: float, factor: float) -> Scores:
    """The named classes times `factor` in rows below the class's mean over all rows plus `margin` (public gate 5).

    It changes no class's order: it can only act through a later step that looks across classes.
    """
    refuse_logits(scores, "damp_below_mean")
    check_number("margin", margin, -1.0, 1.0)
    check_number("factor", factor, 0.01, 1.0)
    columns, values = columns_of(scores, labels), scores.values.copy()
    here = values[:, columns]
    low = here < here.sum(axis=0, dtype=np.float64) / max(len(here), 1) + margin
    values[:, columns] = np.where(low, here * factor, here)
    return settled(scores, values)
