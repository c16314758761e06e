"""Sidecars: a side member moves the anchor's ranks in classes where it helps, within a budget, or not at all.

B = A + W·M·(S − A): A and S are the percentile ranks of anchor and side, M the cells that may move, W each class's
weight. If inputs do not fit or too much would move, the anchor stays unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lib.blend.mix import percentiles
from lib.competition.scores import Scores
from lib.core.errors import BadInput, shorten
from lib.core.records import from_json

Weights = Mapping[str, float] | float  # by label, zero for labels not named; or the same for all


class AnchorKept(Exception):
    """Raised by a sidecar that may not move the anchor: the caller keeps the anchor and shows the reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True)
class SidecarSettings:
    """Limits of a sidecar's movement; the defaults are those of the public EoS9 + PCEN notebook."""

    anchor_top: int = 48  # a cell may move when its class is among the row's first so many by the anchor,
    side_top: int = 32  # or by the side,
    tau: float = 0.55  # if the anchor's rank is at least this
    cap: float = 0.03  # no class's weight exceeds it
    budget: float = 0.004  # mean rank movement over all cells; larger plans are scaled down
    max_active_share: float = 0.25  # of all cells, those that move
    min_top3: float = 0.75  # of each row's first classes after, the mean share that were first before
    min_top10: float = 0.80

    def __post_init__(self) -> None:
        tops = min(self.anchor_top, self.side_top) >= 1
        shares = (self.tau, self.cap, self.max_active_share, self.min_top3, self.min_top10)
        if not (tops and self.budget > 0 and all(0 <= share <= 1 for share in shares)):
            raise BadInput(
                "sidecar settings are not usable",
                expected="tops from 1, budget above 0, shares in [0, 1]",
                got=self,
                do="set them within these ranges in the recipe",
            )


@dataclass(frozen=True, eq=False)
class SidecarResult:
    """The corrected ranks, and measures of how far they moved from the anchor's."""

    scores: Scores
    movement: float  # D, the mean of |B - A|
    active_share: float
    top3: float
    top10: float
    weight_scale: float  # the factor on the weights that keeps the budget
    enabled_classes: tuple[str, ...]  # those in which a cell moved


def sidecar(scores: Scores, *, member: Scores, gate: Weights, settings: dict) -> Scores:
    """The anchor's ranks corrected by the member, as a step of a recipe."""
    return correct(scores, member, gate, from_json(SidecarSettings, settings, "the sidecar's settings")).scores


def correct(anchor: Scores, side: Scores, gate: Weights, settings: SidecarSettings) -> SidecarResult:
    """The anchor's ranks corrected by the side's where the gate is open; `AnchorKept` where a check or guard fails."""
    _check_alike(anchor, side)
    weights = _class_weights(gate, anchor.classes, settings.cap)
    ranks = percentiles(anchor)
    full = weights * allowed_move(ranks, percentiles(side), settings)
    planned = float(np.abs(full).mean())
    scale = settings.budget / planned if planned > settings.budget else 1.0
    move = scale * full
    moved = ranks + move
    result = SidecarResult(
        scores=anchor.with_values(np.clip(moved, 0.0, 1.0), "rank"),
        movement=float(np.abs(move).mean()),
        active_share=float((move != 0).mean()),
        top3=_overlap(ranks, moved, 3),
        top10=_overlap(ranks, moved, 10),
        weight_scale=scale,
        enabled_classes=tuple(np.array(anchor.classes)[(move != 0).any(axis=0)].tolist()),
    )
    _guard(result, settings)
    return result


def allowed_move(anchor: np.ndarray, side: np.ndarray, settings: SidecarSettings) -> np.ndarray:
    """(rows, classes) M·(S − A) of two tables of ranks: the difference to the side where a cell may move, 0 elsewhere.

    A class in which the side is constant does not move: the side has no information there, and ties give middle ranks.
    """
    allowed = _among_top(anchor, settings.anchor_top) | (_among_top(side, settings.side_top) & (anchor >= settings.tau))
    return np.where(allowed & (np.ptp(side, axis=0) > 0), side - anchor, 0.0)


def _among_top(ranks: np.ndarray, top: int) -> np.ndarray:
    """(rows, classes) true if a cell is among its row's first `top`, ties included, so column order has no effect."""
    last = max(ranks.shape[1] - top, 0)
    return ranks >= np.partition(ranks, last, axis=1)[:, [last]]


def _overlap(before: np.ndarray, after: np.ndarray, top: int) -> float:
    """The mean share of a row's first classes that were among its first before."""
    first = _among_top(after, top)
    return float(((first & _among_top(before, top)).sum(axis=1) / first.sum(axis=1)).mean())


def _check_alike(anchor: Scores, side: Scores) -> None:
    """Raise AnchorKept unless both tables have the same rows and classes; `Scores` has checked that all is finite."""
    for what, ours, theirs in (("rows", anchor.row_ids, side.row_ids), ("classes", anchor.classes, side.classes)):
        if ours != theirs:
            missing, extra = len(set(ours) - set(theirs)), len(set(theirs) - set(ours))
            raise AnchorKept(f"the side has other {what}: {missing} missing, {extra} extra, or another order")
    if not anchor.values.size:
        raise AnchorKept("there are no cells to move")


def _class_weights(gate: Weights, classes: tuple[str, ...], cap: float) -> np.ndarray:
    """(classes,) weights in [0, cap]."""
    if not isinstance(gate, Mapping):
        gate = dict.fromkeys(classes, gate)
    if unknown := sorted(set(gate) - set(classes)):
        raise AnchorKept(f"the gate names unknown classes: {shorten(unknown)}")
    weights = np.array([gate.get(label, 0.0) for label in classes], dtype=np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise AnchorKept("a gate weight is negative or not finite")
    return np.minimum(weights, cap)


def _guard(result: SidecarResult, settings: SidecarSettings) -> None:
    """Raise AnchorKept if nothing moved, or too much did."""
    if result.movement == 0:
        raise AnchorKept("nothing would move")
    if result.active_share > settings.max_active_share:
        raise AnchorKept(f"{result.active_share:.3f} of all cells would move, over {settings.max_active_share}")
    for top, overlap, least in (("3", result.top3, settings.min_top3), ("10", result.top10, settings.min_top10)):
        if overlap < least:
            raise AnchorKept(f"only {overlap:.3f} of the first {top} classes would stay, under {least}")
