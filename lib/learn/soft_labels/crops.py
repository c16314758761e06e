"""Pseudo-labels: teachers' predictions on soundscapes become crops with soft targets, as far as a fold may use them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.competition.prepared import Prepared
from lib.competition.row_ids import WINDOW_S, WINDOWS_PER_SOUNDSCAPE
from lib.competition.tables import Findings, read_taxonomy
from lib.core.errors import BadInput, shorten
from lib.core.records import check_seal, identity_of
from lib.judge.leakage import load_oof_scores
from lib.learn.network.dataset import CropTable, ineligible_soundscapes
from lib.learn.soft_labels.gate import apply_gate
from lib.learn.soft_labels.settings import LabelGateSettings, PseudoSettings
from lib.learn.soft_labels.store import SoftLabels, open_soft_labels


@dataclass(frozen=True)
class PseudoLabelSource:
    """The soft labels that networks train on; they travel to the folds' processes as a path."""

    folder: Path
    pooled: bool  # the leak, for comparison: all soundscapes, labelled by the mean of all folds' teachers
    taxa: tuple[str, ...]  # of each class

    @property
    def manifest(self) -> str:
        """The identity of the labels."""
        return identity_of(self.folder)

    def load(self, prepared: Prepared) -> SoftLabels:
        """Read the labels, checked."""
        return open_soft_labels(self.folder, prepared.classes, prepared.folds)

    def excluded_stems(self, prepared: Prepared, labels: SoftLabels, fold: int | None) -> dict[str, str]:
        """The soundscapes that may not be pseudo-labels of this fold, with reasons."""
        reasons = ineligible_soundscapes(prepared, labels.card.stems, fold, labels.card.external)
        return {stem: why for stem, why in reasons.items() if why == "excluded" or not self.pooled}

    def crops(
        self, prepared: Prepared, fold: int | None, seconds: int, gate: LabelGateSettings, settings: PseudoSettings
    ) -> CropTable:
        """The crops that pass the gate, among those that the fold (None: the full data's network) may train on."""
        labels = self.load(prepared)
        left_out = self.excluded_stems(prepared, labels, fold)
        rows = [row for row, stem in enumerate(labels.card.stems) if stem not in left_out]
        whose = "the full-data network" if fold is None else f"fold {fold}"
        if not rows:
            raise BadInput(
                f"the labels {labels.card.name} have no soundscape for {whose}",
                expected="some of other days and recordings than are labelled or held out",
                got=_count_by_reason(left_out),
                do="label more soundscapes, or train without labels",
            )
        probabilities = labels.of_fold(None if self.pooled else fold)[rows]
        stems = [labels.card.stems[row] for row in rows]
        try:
            return crops_that_pass(probabilities, stems, seconds, gate, settings, self.taxa)
        except BadInput as error:
            raise BadInput(f"{error.what}, of {whose}", expected=error.expected, got=error.got, do=error.do) from error

    def summary(self, prepared: Prepared, fold: int | None, source: CropTable) -> str:
        """One line: how many crops pass the gate, and what was left out."""
        excluded = self.excluded_stems(prepared, self.load(prepared), fold)
        left_out = f"; left out: {_count_by_reason(excluded)}" if excluded else ""
        return f"{len(source)} crops of {len(set(source.items))} soundscapes pass the gate{left_out}"


def load_pseudo_labels(
    folder: Path | None,
    pooled: bool,
    settings: PseudoSettings,
    prepared: Prepared,
    competition: Path,
    members: Path,
    others: Mapping[str, Path] | None,
) -> PseudoLabelSource | None:
    """The soft labels in a folder as training data, checked before anything is decoded; None without a folder.

    Teachers of fold-wise labels must themselves have honest out-of-fold scores. `others` gives the folders of members
    that do not lie in `members`.
    """
    if (folder is not None) != (settings.pseudo_ratio > 0) or (pooled and folder is None):
        raise BadInput(
            "labels and pseudo_ratio go together",
            expected="both, or neither",
            got=f"labels {folder}, pseudo_ratio {settings.pseudo_ratio}{', pooled' if pooled else ''}",
            do="give a folder of soft labels, as 04_pseudo_labels makes them, and a pseudo_ratio above 0; or"
            " set pseudo_ratio=0 and give none",
        )
    if folder is None:
        return None
    taxonomy = read_taxonomy(competition, prepared.classes, Findings())
    source = PseudoLabelSource(folder, pooled, tuple(taxonomy.class_name))
    labels = source.load(prepared)
    if missing := sorted(set(prepared.folds.numbers) - set(labels.card.folds)):
        raise BadInput(
            f"the labels {labels.card.name} were not made for every fold",
            expected=prepared.folds.numbers,
            got=f"none for {missing}",
            do="run 04_pseudo_labels again with members of all folds",
        )
    for name, manifest in () if pooled else labels.card.teachers.items():
        teacher = members / name if others is None else others.get(name)
        if teacher is None or not (teacher / "manifest.json").is_file():
            raise BadInput(
                f"the teacher {name} is missing",
                expected="its folder, to check what it was trained on",
                got=f"none {f'in {members}' if others is None else f'among {shorten(sorted(others))}'}",
                do="attach the output that holds it",
            )
        if (now := check_seal(teacher)) != manifest:
            raise BadInput(
                f"the teacher {name} is not the one that made the labels",
                expected=f"manifest {manifest}",
                got=now,
                do="run 04_pseudo_labels again with this teacher",
            )
        load_oof_scores(teacher, prepared.folds, related=prepared.related, others=others)
    return source


def crops_that_pass(
    probabilities: np.ndarray,
    stems: list[str],
    seconds: int,
    gate: LabelGateSettings,
    settings: PseudoSettings,
    taxa: tuple[str, ...],
) -> CropTable:
    """Crops of so many seconds that pass the gate, with targets, from (stems, 12, classes) probabilities.

    A crop's probability of a class is the maximum over its windows.
    """
    covered, starts = seconds // WINDOW_S, WINDOWS_PER_SOUNDSCAPE - seconds // WINDOW_S + 1
    union = probabilities[:, :starts]
    for shift in range(1, covered):
        union = np.maximum(union, probabilities[:, shift : shift + starts])
    gated = apply_gate(union.reshape(-1, union.shape[-1]), gate, taxa)
    stem, start = np.divmod(gated.kept, starts)
    weights = (settings.pseudo_weight * gated.weights).astype(np.float32)
    return CropTable(tuple(stems[n] for n in stem), gated.targets, weights, WINDOW_S * start, gated.passed_gate)


def _count_by_reason(excluded_stems: dict[str, str]) -> str:
    """The number of excluded soundscapes by reason, as text."""
    return ", ".join(f"{count} {why}" for why, count in sorted(Counter(excluded_stems.values()).items())) or "none"
