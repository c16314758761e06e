"""Mixes: weighted means of members or of earlier mixes, in rank, logit or probability space."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from scipy.special import expit, logit, xlogy
from scipy.stats import rankdata

from lib.competition.scores import Scores, check_same
from lib.core.errors import BadInput, shorten


def percentile_ranks(scores: Scores) -> Scores:
    """Each class's values as ranks in (0, 1], ties sharing their mean rank."""
    return scores.with_values(percentiles(scores), "rank")


def percentiles(scores: Scores) -> np.ndarray:
    """(rows, classes) ranks in (0, 1], in double precision: single precision would separate ties that a blend makes."""
    rows = len(scores.row_ids)
    return rankdata(scores.values, axis=0) / rows if rows else scores.values


def check_weights(weights: list[float]) -> None:
    """Raise BadInput if weights are negative, not finite, or do not sum to one."""
    if not (min(weights, default=-1.0) >= 0 and abs(sum(weights) - 1.0) <= 1e-9):
        raise BadInput("blend weights are not usable", expected="none negative, sum 1", got=weights, do="run 05 again")


_NEAREST = 1e-7  # a logit's probability is clipped this far from 0 and 1, about the resolution of single precision

Tables = Iterable[np.ndarray]
ClassWeights = Mapping[str, list[float]]


def _arithmetic(tables: Tables, shares: np.ndarray) -> np.ndarray:
    return sum(share * table for share, table in zip(shares, tables, strict=True))


def _quadratic(tables: Tables, shares: np.ndarray) -> np.ndarray:
    return np.sqrt(_arithmetic((np.square(table) for table in tables), shares))


def _geometric(tables: Tables, shares: np.ndarray) -> np.ndarray:
    return np.exp(sum(xlogy(share, table) for share, table in zip(shares, tables, strict=True)))


def _vlom(tables: Tables, shares: np.ndarray) -> np.ndarray:
    tables = list(tables)
    return (_geometric(tables, shares) + _quadratic(tables, shares)) / 2


SPACES: dict[str, Callable[[Tables, np.ndarray], np.ndarray]] = {
    "rank": _arithmetic,
    "logit": _arithmetic,
    "prob": _arithmetic,
    "geometric": _geometric,
    "rms": _quadratic,
    "vlom": _vlom,
}


def mix(parts: list[Scores], weights: list[float], *, space: str, class_weights: ClassWeights | None = None) -> Scores:
    """The parts' weighted mean in the space, same rows and classes; `class_weights` replace the weights by label.

    `rank` takes any kinds, even mixed, and gives ranks. `logit` takes logits and probabilities and gives logits. The
    others take logits and probabilities and give probabilities, or take ranks alone and give ranks.
    """
    if space not in SPACES:
        raise BadInput("the mix is in an unknown space", expected=sorted(SPACES), got=space, do="set one of them")
    _check_aligned(parts)
    shares = _shares(parts[0].classes, weights, class_weights or {})
    kind, read = _kind_and_reader(parts, space)
    mean = SPACES[space]((read(part) for part in parts), shares)
    return parts[0].with_values(mean if kind == "logit" else np.clip(mean, 0.0, 1.0), kind)


def _check_aligned(parts: list[Scores]) -> None:
    """Refuse parts of other rows or classes; `_kind_and_reader` checks their kinds."""
    check_same(parts, kinds=False)


def _shares(classes: tuple[str, ...], weights: list[float], class_weights: ClassWeights) -> np.ndarray:
    """(parts, classes) the weight of each part in each class."""
    if unknown := sorted(set(class_weights) - set(classes)):
        raise BadInput(
            "class weights name unknown classes",
            expected=shorten(classes, 3),
            got=shorten(unknown),
            do="resolve groups of classes to labels when the recipe is made",
        )
    for each in (weights, *class_weights.values()):
        check_weights(each)
        if len(each) != len(weights):
            raise BadInput(
                "class weights do not fit the parts", expected=f"{len(weights)} weights", got=each, do="run 05 again"
            )
    return np.array([class_weights.get(label, weights) for label in classes], dtype=np.float64).T


def _kind_and_reader(parts: list[Scores], space: str) -> tuple[str, Callable[[Scores], np.ndarray]]:
    """The kind of the result, and the function that reads each part's table."""
    kinds = {part.kind for part in parts}
    if space == "rank":
        return "rank", percentiles
    if "rank" not in kinds:
        return ("logit", _logits) if space == "logit" else ("prob", _probabilities)
    if space == "logit" or len(kinds) > 1:
        raise BadInput(
            f"a mix in space {space} cannot take these kinds",
            expected="logits and probabilities" + ("" if space == "logit" else ", or ranks alone"),
            got=[part.kind for part in parts],
            do="mix them in space rank",
        )
    return "rank", _doubles


def _logits(part: Scores) -> np.ndarray:
    return _doubles(part) if part.kind == "logit" else logit(np.clip(_doubles(part), _NEAREST, 1 - _NEAREST))


def _probabilities(part: Scores) -> np.ndarray:
    return expit(_doubles(part)) if part.kind == "logit" else _doubles(part)


def _doubles(part: Scores) -> np.ndarray:
    return part.values.astype(np.float64)
