"""Soft labels by hand: for the tiny miniature, or for any stems and probabilities."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lib.competition.prepared import Prepared
from lib.core.records import check_seal
from lib.learn.network.dataset import soundscape_stems
from lib.learn.soft_labels.store import SoftLabelsCard, save_soft_labels


def write_labels(
    folder: Path,
    prepared: Prepared,
    by_fold: Mapping[int, np.ndarray],
    stems: Sequence[str],
    teachers: Mapping[str, Path],
    external: Sequence[str] = (),
) -> Path:
    """Write a folder of labels with these members as teachers."""
    manifests = {name: check_seal(teacher) for name, teacher in teachers.items()}
    card = SoftLabelsCard(
        folder.name,
        prepared.classes.hash,
        prepared.folds.version,
        manifests,
        {},
        list(stems),
        list(by_fold),
        list(external),
    )
    save_soft_labels(folder, card, by_fold)
    return folder


def tiny_labels(folder: Path, prepared: Prepared, public: Path, teachers: Mapping[str, Path], seed: int = 0) -> Path:
    """Labels of all soundscapes of a competition folder: all folds predict a class in the same fifth of windows."""
    stems, rng = soundscape_stems(public), np.random.default_rng(seed)
    shape = len(stems), 12, len(prepared.classes)
    sure = rng.random(shape[:2]) < 0.2
    of_class = rng.integers(shape[2], size=sure.sum())
    by_fold = {fold: rng.uniform(0, 0.3, shape) for fold in prepared.folds.numbers}
    for probabilities in by_fold.values():
        probabilities[sure, of_class] = 0.9
    return write_labels(folder, prepared, by_fold, stems, teachers)
