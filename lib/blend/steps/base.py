"""What every step may ask of its scores and its parameters, and the one way it hands its values back."""

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
    odd = [label for label in labels if label not in index or labels.count(label) > 1]
    if odd:
        raise BadInput(
            "a step names classes that it cannot act on",
            expected="classes of the scores, once each",
            got=shorten(dict.fromkeys(odd)),
            do="make the recipe anew for this class list",
        )
    return [index[label] for label in labels]


def group_columns(scores: Scores, groups: list[list[str]]) -> list[list[int]]:
    """The columns of each group; no class may be in two."""
    columns_of(scores, [label for group in groups for label in group])
    return [columns_of(scores, group) for group in groups]


def check_number(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuse a parameter that is not a finite number from low to high."""
    if not (low <= value <= high and math.isfinite(value)):
        raise BadInput(
            f"{name} of a step is not usable",
            expected=f"a number from {low} to {high}",
            got=value,
            do="mend the recipe",
        )


def refuse_logits(scores: Scores, step: str) -> None:
    """Refuse logits where a step multiplies or takes values for confidences: their zero means nothing."""
    refuse_kind(scores, step, ("prob", "rank"))


def refuse_kind(scores: Scores, step: str, kinds: tuple[str, ...]) -> None:
    """Refuse scores of another kind than the step is defined for."""
    if scores.kind not in kinds:
        raise BadInput(
            f"{step} is not defined for these scores",
            expected=f"kind {' or '.join(kinds)}",
            got=scores.kind,
            do="put the step after another mix, or leave it out",
        )


def refuse_unaligned(scores: Scores, member: Scores) -> None:
    """Refuse a member that scores other rows or classes; it may be of another kind."""
    for what in ("row_ids", "classes"):
        have, want = getattr(member, what), getattr(scores, what)
        if have != want:
            raise BadInput(
                f"a step's member has other {what}",
                expected=shorten(want, 3),
                got=shorten(have, 3),
                do="give the step the member's scores of the same rows",
            )
