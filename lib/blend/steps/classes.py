"""Steps by class: a prior and a temperature on log-odds, smoothing and mirroring in class groups, damping."""

import numpy as np
from scipy.special import expit, logit

from lib.blend.steps.base import (
    check_number,
    columns_of,
    group_columns,
    refuse_kind,
    refuse_logits,
    refuse_unaligned,
    with_clipped_values,
)
from lib.competition.scores import Scores

# A prior from some hundred windows cannot estimate a probability below one in ten thousand, nor certainty.
LEAST = 1e-4


def add_prior(scores: Scores, *, member: Scores, strength: float) -> Scores:
    """Log-odds plus `strength` × the log-odds of the member's probabilities, in the scores' own kind.

    A rank is read as a probability kept LEAST away from 0 and 1, so that the topmost row can be moved too; what comes
    back is a rank in kind and order, no longer evenly spread.
    """
    refuse_unaligned(scores, member)
    refuse_kind(member, "a prior", ("prob",))
    check_number("strength", strength, 0.0)
    if strength == 0:
        return scores
    shift = strength * logit(_inside(member.values))
    if scores.kind == "logit":
        return with_clipped_values(scores, scores.values + shift)
    own = _inside(scores.values) if scores.kind == "rank" else scores.values.astype(np.float64)
    return with_clipped_values(scores, expit(logit(own) + shift))


def temper(scores: Scores, *, labels: list[str], temperature: float) -> Scores:
    """The named classes with log-odds divided by the temperature; rounding apart, no class changes its order."""
    refuse_kind(scores, "temper", ("logit", "prob"))
    check_number("temperature", temperature, 0.1, 10.0)
    columns, values = columns_of(scores, labels), scores.values.astype(np.float64)
    here = values[:, columns]
    values[:, columns] = here / temperature if scores.kind == "logit" else expit(logit(here) / temperature)
    return with_clipped_values(scores, values)


def _inside(values: np.ndarray) -> np.ndarray:
    """The probabilities in double precision, clipped to [LEAST, 1 - LEAST]."""
    return np.clip(values.astype(np.float64), LEAST, 1.0 - LEAST)


def smooth_in_groups(scores: Scores, *, groups: list[list[str]], share: float) -> Scores:
    """Each class moved by `share` towards its group's mean; once by genus and then by class is taxonomy smoothing."""
    check_number("share", share, 0.0, 1.0)
    values = scores.values.copy()
    for columns in group_columns(scores, groups):
        here = values[:, columns]
        values[:, columns] = here + share * (here.mean(axis=1, keepdims=True, dtype=np.float64) - here)
    return with_clipped_values(scores, values)


def mirror_in_groups(scores: Scores, *, groups: list[list[str]]) -> Scores:
    """Each class at the maximum of its group, window by window."""
    values = scores.values.copy()
    for columns in group_columns(scores, groups):
        values[:, columns] = values[:, columns].max(axis=1, keepdims=True)
    return with_clipped_values(scores, values)


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
    return with_clipped_values(scores, values)
