"""Soft labels: teachers' probabilities for soundscapes, fold by fold, in a sealed folder that students train on."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lib.competition.classes import ClassList
from lib.competition.folds import Folds
from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE
from lib.core.errors import BadInput
from lib.core.records import check_seal, from_json, read_json, seal, to_json, write_json

KIND = "labels"
_BLOCK = 256  # soundscapes whose probabilities are in memory in single precision


@dataclass(frozen=True)
class SoftLabelsCard:
    """`labels.json`: the soundscapes, the teachers, and how their predictions were mixed."""

    name: str
    class_hash: str
    fold_version: str
    teachers: dict[str, str]  # member -> manifest; each fold by its own models
    mixed: dict  # their weights, or the recipe, for people and for the fingerprint
    stems: list[str]  # soundscapes, labelled ones too: training leaves out what its fold may not use
    folds: list[int]
    external: list[str]  # those of the stems that are not the contest's


@dataclass(frozen=True, eq=False)
class SoftLabels:
    """An opened folder: its card, its manifest's fingerprint, and probabilities that are read on access."""

    folder: Path
    card: SoftLabelsCard
    manifest: str

    def of_fold(self, fold: int | None) -> np.ndarray:
        """(stems, 12, classes) float16 probabilities by the teachers' models of this fold; None: mean of all folds."""
        if fold is None:
            return self._mean_of_folds
        if fold not in self.card.folds:
            raise BadInput(
                f"the labels {self.card.name} have no predictions for fold {fold}",
                expected=self.card.folds,
                got=fold,
                do="run 04_pseudo_labels again with the teachers' models of this fold",
            )
        return np.load(self.folder / _file(fold), mmap_mode="r")

    @cached_property
    def _mean_of_folds(self) -> np.ndarray:
        by_fold = [self.of_fold(fold) for fold in self.card.folds]
        starts = range(0, len(self.card.stems), _BLOCK)
        pooled = [np.mean([fold[n : n + _BLOCK] for fold in by_fold], axis=0, dtype=np.float32) for n in starts]
        return np.concatenate([block.astype(np.float16) for block in pooled])


def open_soft_labels(folder: Path, classes: ClassList, folds: Folds) -> SoftLabels:
    """Open the labels in a folder, checked: undamaged, of these classes and these folds."""
    if not (folder / "labels.json").is_file():
        raise BadInput(
            f"there are no soft labels at {folder}",
            expected="a folder with labels.json",
            got="none",
            do="run 04_pseudo_labels to make them",
        )
    manifest = check_seal(folder)
    card = from_json(SoftLabelsCard, read_json(folder / "labels.json"), f"{folder.name}/labels.json")
    classes.check_hash(card.class_hash, f"labels {card.name}")
    if card.fold_version != folds.version:
        raise BadInput(
            f"the labels {card.name} were made on other folds",
            expected=f"fold version {folds.version}",
            got=card.fold_version,
            do="run 04_pseudo_labels again with teachers of the frozen folds",
        )
    return SoftLabels(folder, card, manifest)


def save_soft_labels(folder: Path, card: SoftLabelsCard, by_fold: Mapping[int, np.ndarray]) -> None:
    """Write the probabilities (stems, 12, classes) of each fold, and the card, as a sealed folder."""
    _check(card, by_fold)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for fold, probabilities in by_fold.items():
        np.save(folder / _file(fold), np.asarray(probabilities, dtype=np.float16))
    write_json(folder / "labels.json", to_json(card))
    seal(folder, KIND)


def _check(card: SoftLabelsCard, by_fold: Mapping[int, np.ndarray]) -> None:
    """Refuse labels that no student should train on, before anything is written."""
    shape = len(card.stems), WINDOWS_PER_SOUNDSCAPE
    faults = [] if card.stems else ["no soundscape"]
    faults += ["a soundscape twice"] if len(set(card.stems)) < len(card.stems) else []
    faults += [f"folds {list(by_fold)}"] if not by_fold or list(by_fold) != card.folds else []
    faults += [f"external soundscapes without labels: {lost}"] if (lost := {*card.external} - {*card.stems}) else []
    for fold, probabilities in by_fold.items():
        if probabilities.ndim != 3 or probabilities.shape[:2] != shape:
            faults.append(f"fold {fold} of shape {probabilities.shape}")
        elif probabilities.size and not (probabilities.min() >= 0 and probabilities.max() <= 1):  # NaN is wrong too
            faults.append(f"fold {fold} from {probabilities.min()} to {probabilities.max()}")
    if faults:
        raise BadInput(
            f"the labels {card.name} cannot be saved",
            expected=f"probabilities (soundscapes, windows, classes) of {shape} for the folds {card.folds}",
            got="; ".join(faults),
            do="check the teachers' predictions of the folds named",
        )


def _file(fold: int) -> str:
    return f"fold{fold}.npy"
