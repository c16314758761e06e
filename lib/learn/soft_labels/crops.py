"""Pseudo-labels: what teachers said of soundscapes becomes crops with soft targets, as a fold may hear them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.competition.prepared import Prepared
from lib.competition.row_ids import WINDOW_S, WINDOWS_PER_SOUNDSCAPE
from lib.competition.tables import Findings, read_taxonomy
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.records import check_seal
from lib.judge.leakage import load_oof_scores
from lib.learn.network.dataset import CropTable, ineligible_soundscapes
from lib.learn.soft_labels.gate import LabelGateSettings, apply_gate
from lib.learn.soft_labels.store import SoftLabels, open_soft_labels

_WAYS, _LOSSES = ("rows", "mixup", "substitute"), ("bce", "kld")


@dataclass(frozen=True)
class PseudoSettings:
    """How much a teacher's word counts, and where it is put in."""

    pseudo_ratio: float = 0.0  # pseudo-labelled crops for each labelled soundscape crop of a batch; 0: none
    pseudo_weight: float = 1.0  # of their cells in the loss
    pseudo_mode: str = "rows"  # they share the soundscapes' rows; "mixup": and are mixed half and half with clips;
    # "substitute": they replace clips of a class that was heard in them, pseudo_ratio being the chance
    pseudo_loss: str = "bce"  # or "kld": softmax over the classes
    temperature: float = 1.0  # divides the teacher's logits and, in the loss, the student's

    def __post_init__(self):
        """Refuse what teaches nothing."""
        known = self.pseudo_mode in _WAYS and self.pseudo_loss in _LOSSES
        fit = self.pseudo_ratio >= 0 and self.pseudo_weight > 0 and self.temperature > 0
        chance = self.pseudo_mode != "substitute" or self.pseudo_ratio <= 1
        if not (known and fit and chance) or (self.pseudo_mode, self.pseudo_loss) == ("mixup", "kld"):
            raise BadInput(
                "pseudo-label settings",
                expected=f"a pseudo_mode of {_WAYS}, a loss of {_LOSSES} (kld not with"
                " mixup: the clip's certain class would drown the rest), a ratio from 0 (to substitute, to"
                " 1), a weight and a temperature above 0",
                got=self,
                do="change the setting",
            )


@dataclass(frozen=True)
class PseudoLabelSource:
    """The soft labels that networks train on; they travel to the folds' processes as a path."""

    folder: Path
    pooled: bool  # the leak, for comparison: all soundscapes, labelled by the mean of all folds' teachers
    taxa: tuple[str, ...]  # of each class

    @property
    def manifest(self) -> str:
        """The fingerprint of the labels."""
        return fingerprint.of_file(self.folder / "manifest.json")

    def load(self, prepared: Prepared) -> SoftLabels:
        """Read the labels, checked."""
        return open_soft_labels(self.folder, prepared.classes, prepared.folds)

    def excluded_stems(self, prepared: Prepared, labels: SoftLabels, fold: int | None) -> dict[str, str]:
        """The soundscapes that may not be pseudo-labels of this fold, with reasons."""
        reasons = ineligible_soundscapes(prepared, labels.card.stems, fold, labels.card.external)
        return {stem: why for stem, why in reasons.items() if why == "excluded" or not self.pooled}

    def crops(
        self, prepared: Prepared, fold: int | None, seconds: int, passing: LabelGateSettings, settings: PseudoSettings
    ) -> CropTable:
        """The crops that pass the gate, among those that the fold (None: the full data's network) may train on."""
        labels = self.load(prepared)
        left_out = self.excluded_stems(prepared, labels, fold)
        rows = [row for row, stem in enumerate(labels.card.stems) if stem not in left_out]
        whose = "the network of everything" if fold is None else f"fold {fold}"
        if not rows:
            raise BadInput(
                f"the labels {labels.card.name} have no soundscape for {whose}",
                expected="some of other days and recordings than are labelled or held out",
                got=_counted(left_out),
                do="label more soundscapes, or train without labels",
            )
        said, stems = labels.of_fold(None if self.pooled else fold)[rows], [labels.card.stems[row] for row in rows]
        try:
            return crops_that_pass(said, stems, seconds, passing, settings, self.taxa)
        except BadInput as error:
            raise BadInput(f"{error.what}, of {whose}", expected=error.expected, got=error.got, do=error.do) from error

    def summary(self, prepared: Prepared, fold: int | None, source: CropTable) -> str:
        """One line: how many crops pass the gate, and what was left out."""
        excluded = self.excluded_stems(prepared, self.load(prepared), fold)
        left_out = f"; left out: {_counted(excluded)}" if excluded else ""
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
    """What networks learn from the labels in a folder, if there are any; looked at before anything is decoded.

    Whoever teaches fold by fold must itself be honest. `others` says where members lie, if not in `members`.
    """
    if (folder is not None) != (settings.pseudo_ratio > 0) or (pooled and folder is None):
        raise BadInput(
            "labels and pseudo_ratio go together",
            expected="both, or neither",
            got=f"labels {folder}, pseudo_ratio {settings.pseudo_ratio}{', pooled' if pooled else ''}",
            do="give a folder of soft labels, as 04_pseudo_labels makes them, and a pseudo_ratio above 0; or"
            " neither, by pseudo_ratio=0",
        )
    if folder is None:
        return None
    taxonomy = read_taxonomy(competition, prepared.classes, Findings())
    taught = PseudoLabelSource(folder, pooled, tuple(taxonomy.class_name))
    labels = taught.load(prepared)
    if missing := sorted(set(prepared.folds.numbers) - set(labels.card.folds)):
        raise BadInput(
            f"the labels {labels.card.name} were not made for every fold",
            expected=prepared.folds.numbers,
            got=f"none for {missing}",
            do="label again with members of all folds",
        )
    for name, manifest in () if pooled else labels.card.teachers.items():
        teacher = members / name if others is None else others.get(name)
        if teacher is None or not (teacher / "manifest.json").is_file():
            raise BadInput(
                f"the teacher {name} is not there",
                expected="its folder, to see what it has met",
                got=f"none {f'in {members}' if others is None else f'among {shorten(sorted(others))}'}",
                do="attach the output that holds it",
            )
        if (now := check_seal(teacher)) != manifest:
            raise BadInput(
                f"the teacher {name} is another one than made the labels",
                expected=f"manifest {manifest}",
                got=now,
                do="label again",
            )
        load_oof_scores(teacher, prepared.folds, related=prepared.related, others=others)
    return taught


def crops_that_pass(
    said: np.ndarray,
    stems: list[str],
    seconds: int,
    passing: LabelGateSettings,
    settings: PseudoSettings,
    taxa: tuple[str, ...],
) -> CropTable:
    """The crops of so many seconds that pass, with targets, from (stems, 12, classes) chances.

    A crop has a class's chance in the likeliest of its windows.
    """
    covered, starts = seconds // WINDOW_S, WINDOWS_PER_SOUNDSCAPE - seconds // WINDOW_S + 1
    union = said[:, :starts]
    for shift in range(1, covered):
        union = np.maximum(union, said[:, shift : shift + starts])
    gated = apply_gate(union.reshape(-1, union.shape[-1]), passing, taxa)
    stem, start = np.divmod(gated.kept, starts)
    weights = (settings.pseudo_weight * gated.weights).astype(np.float32)
    return CropTable(tuple(stems[n] for n in stem), gated.targets, weights, WINDOW_S * start, gated.heard)


def _counted(excluded_stems: dict[str, str]) -> str:
    """How many soundscapes are barred, by reason."""
    return ", ".join(f"{count} {why}" for why, count in sorted(Counter(excluded_stems.values()).items())) or "none"
