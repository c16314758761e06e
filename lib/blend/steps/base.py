"""Checks of a step's scores and parameters, and the function that turns its values into scores."""

import math

import numpy as np

from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE, row_ids
from lib.competition.scores import Scores
from lib.core.errors import BadInput, shorten


def whole_soundscapes(scores: Scores) -> np.ndarray:
    """(soundscapes, 12, classes) values; rows must be whole soundscapes, in time order."""
    stems = [row.rpartition("_")[0] for row in scores.row_ids[::WINDOWS_PER_SOUNDSCAPE]]
    if scores.row_ids != tuple(row for stem in stems for row in row_ids(stem)):
        raise BadInput(
            "rows are not whole soundscapes",
            expected="twelve rows a soundscape, in time order",
            got=f"{len(scores.row_ids)} rows",
            do="apply the step before taking rows",
        )
    return scores.values.reshape(-1, WINDOWS_PER_SOUNDSCAPE, len(scores.classes))


def with_clipped_values(scores: Scores, values: np.ndarray) -> Scores:
    """The same rows, classes and kind with new values of any shape that fits, rounding kept inside the kind's range."""
    values = np.asarray(values).reshape(scores.values.shape)
    return scores.with_values(values if scores.kind == "logit" else np.clip(values, 0.0, 1.0))


def columns_of(scores: Scores, labels: list[str]) -> list[int]:
    """The columns of the labels, in the order named; each must be a class, named once."""
    index = {label: column for column, label in enumerate(scores.classes)}
    invalid = [label for label in labels if label not in index or labels.count(label) > 1]
    if invalid:
        raise BadInput(
            "a step names classes that are unknown or repeated",
            expected="classes of the scores, once each",
            got=shorten(dict.fromkeys(invalid)),
            do="run 05 again with this class list",
        )
    return [index[label] for label in labels]


def group_columns(scores: Scores, groups: list[list[str]]) -> list[list[int]]:
    """The columns of each group; no class may be in two."""
    columns_of(scores, [label for group in groups for label in group])
    return [columns_of(scores, group) for group in groups]


def check_number(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise BadInput if a parameter is not a finite number from low to high."""
    if not (low <= value <= high and math.isfinite(value)):
        raise BadInput(
            f"{name} of a step is not usable",
            expected=f"a number from {low} to {high}",
            got=value,
            do=f"set {name} in the recipe within this range",
        )


def refuse_logits(scores: Scores, step: str) -> None:
    """Refuse logits where a step multiplies values or reads them as confidences: the zero of a logit has no meaning."""
    refuse_kind(scores, step, ("prob", "rank"))


def refuse_kind(scores: Scores, step: str, kinds: tuple[str, ...]) -> None:
    """Raise BadInput if the scores are of a kind that the step is not defined for."""
    if scores.kind not in kinds:
        raise BadInput(
            f"{step} is not defined for these scores",
            expected=f"kind {' or '.join(kinds)}",
            got=scores.kind,
            do="put the step after a mix that gives such scores, or remove it",
        )


def refuse_unaligned(scores: Scores, member: Scores) -> None:
    """Raise BadInput if a member has other rows or classes; it may be of another kind."""
    for what in ("row_ids", "classes"):
        have, expected = getattr(member, what), getattr(scores, what)
        if have != expected:
            raise BadInput(
                f"a step's member has other {what}",
                expected=shorten(expected, 3),
                got=shorten(have, 3),
                do="pass the member's scores of the same rows",
            )
