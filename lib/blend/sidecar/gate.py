"""Gates: the sidecar's weight in each class, by its cross-fitted out-of-fold gain.

Ranks, masks and AUC are all taken within a stratum, since each fold's model has its own scale.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.blend.mix import percentiles
from lib.blend.sidecar.apply import SidecarSettings, allowed_move
from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput, shorten
from lib.core.records import write_text
from lib.judge.bootstrap import bootstrap
from lib.judge.compare import paired_interval
from lib.judge.leakage import FitRecord, fit_record
from lib.judge.metric import class_auc

BIRDS = "Aves"


@dataclass(frozen=True)
class SidecarGateSettings:
    """Settings of a gate: the weights tried, their shrinkage and the bootstrap."""

    shares: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)  # the weights tried, as shares of the sidecar's cap
    half_at: float = 20.0  # a class with this many positive windows keeps half of its weight
    draws: int = 1000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Gate:
    """One row a class: primary_label, gate_weight, delta, low, positives, opened; and the recordings it was fitted on.

    `delta` is the gain in AUC by weights chosen on other strata, `low` its lower bound over recordings.
    """

    table: pd.DataFrame
    fitted: FitRecord

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each class that is open."""
        opened = self.table[self.table.opened]
        return dict(zip(opened.primary_label, opened.gate_weight.tolist(), strict=True))

    def save(self, path: Path) -> None:
        """Write the table as csv, the same bytes each time."""
        write_text(path, self.table.to_csv(index=False, lineterminator="\n"))


def coverage_caps(
    class_names: Mapping[str, str],
    *,
    covered: Collection[str],
    well_mapped: Collection[str],
    mapped: float = 0.015,
    weak: float = 0.06,
) -> dict[str, float]:
    """The maximal weight of a bird model in each label: smaller if the anchor covers the bird, zero for other taxa.

    `covered` are the labels the bird model scores, `well_mapped` those that the anchor's own embedder covers.
    """
    caps = {label: mapped if label in well_mapped else weak for label in covered}
    return {label: caps.get(label, 0.0) if name == BIRDS else 0.0 for label, name in class_names.items()}


def fit_gate(
    labels: Labels, anchor: Scores, side: Scores, sidecar: SidecarSettings, settings: SidecarGateSettings | None = None
) -> Gate:
    """Fit a gate on these labelled rows, by out-of-fold scores of anchor and side.

    A class opens if weights chosen on the other strata gain, and the gain's lower bound over recordings is above
    zero. Its weight is the best on all strata, shrunk by n / (n + half_at) and by the ratio of lower bound to gain.
    """
    settings = settings or SidecarGateSettings()
    strata = np.unique(labels.strata)
    if len(strata) < 2:
        raise BadInput(
            "a gate needs strata to choose on and strata to score",
            expected="two folds or more",
            got=len(strata),
            do="pass labels of several folds",
        )
    if not labels.classes == anchor.classes == side.classes:
        raise BadInput(
            "labels and scores have other classes",
            expected=shorten(labels.classes, 3),
            got=[shorten(part.classes, 3) for part in (anchor, side)],
            do="use labels and scores of one competition folder",
        )
    ranks, move = _ranks_and_move(labels, anchor, side, sidecar)
    weights = sidecar.cap * np.array([0.0, *settings.shares])
    crossed = ranks.copy()
    for stratum in strata:
        held = labels.strata == stratum
        crossed[held] += _best_weights(labels, ranks, move, weights, ~held) * move[held]
    chosen = _best_weights(labels, ranks, move, weights, np.ones(len(ranks), dtype=bool))
    delta = class_auc(labels.values, crossed, labels.strata) - class_auc(labels.values, ranks, labels.strata)
    low = np.where(np.isnan(delta), np.nan, 0.0)
    for column in np.flatnonzero(np.nan_to_num(delta)).tolist():
        low[column] = _lower_bound(labels, column, ranks, crossed, delta[column], settings)
    positives = labels.values.sum(axis=0)
    opened = (low > 0) & (chosen > 0)
    certainty = np.divide(low, delta, out=np.zeros(len(delta)), where=opened)
    table = pd.DataFrame(
        {
            "primary_label": labels.classes,
            "gate_weight": np.where(opened, chosen * positives / (positives + settings.half_at) * certainty, 0.0),
            "delta": delta,
            "low": low,
            "positives": positives,
            "opened": opened,
        }
    )
    return Gate(table, fit_record("sidecar gate", labels.row_ids))


def _ranks_and_move(
    labels: Labels, anchor: Scores, side: Scores, sidecar: SidecarSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Two (rows, classes) tables, made within each stratum: the anchor's ranks, and their difference to the side's."""
    ranks, move = np.empty(labels.values.shape), np.empty(labels.values.shape)
    for stratum in np.unique(labels.strata):
        here = labels.strata == stratum
        rows = _row_ids(labels, here)
        ranks[here] = percentiles(anchor.take(rows))
        move[here] = allowed_move(ranks[here], percentiles(side.take(rows)), sidecar)
    return ranks, move


def _row_ids(labels: Labels, chosen: np.ndarray) -> list[str]:
    return [labels.row_ids[row] for row in np.flatnonzero(chosen)]


def _best_weights(
    labels: Labels, ranks: np.ndarray, move: np.ndarray, weights: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """(classes,) the weight with the highest AUC on those rows; of equal ones the lowest, so 0 without evidence."""
    truth, strata = labels.values[rows], labels.strata[rows]
    auc = np.stack([class_auc(truth, ranks[rows] + weight * move[rows], strata) for weight in weights])
    return weights[np.argmax(np.nan_to_num(auc), axis=0)]


def _lower_bound(labels: Labels, column: int, ranks, crossed, delta: float, settings: SidecarGateSettings) -> float:
    """The lower end of the gain's interval in one class, over bootstrap draws of recordings."""
    label = (labels.classes[column],)
    alone = Labels(labels.values[:, [column]], labels.row_ids, label, labels.strata)
    named = {
        name: Scores(table[:, [column]], labels.row_ids, label, "rank")
        for name, table in (("before", ranks), ("after", crossed))
    }
    drawn = bootstrap(alone, named, draws=settings.draws, seed=settings.seed)
    return paired_interval({"before": 0.0, "after": float(delta)}, drawn, "after", "before").low
