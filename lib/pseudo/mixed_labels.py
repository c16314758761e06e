"""Soft labels of two kinds of teachers as one: a round's student beside those who taught it."""

from pathlib import Path

import numpy as np

from lib.core.errors import BadInput
from lib.learn.soft_labels.store import SoftLabels, SoftLabelsCard, save_soft_labels


def mixed_labels(first: SoftLabels, last: SoftLabels, share: float, folder: Path) -> Path:
    """The folder, in which the second labels have that share of every chance; both must be of the same soundscapes."""
    ours, theirs = first.card, last.card
    for what in ("class_hash", "fold_version", "stems", "folds"):
        if getattr(ours, what) != getattr(theirs, what):
            raise BadInput(f"labels of other {what} cannot be mixed", expected=f"as in {ours.name}", got=theirs.name,
                           do="label the same soundscapes again with both")  # fmt: skip
    by_fold = {
        fold: (1 - share) * first.of_fold(fold).astype(np.float32) + share * last.of_fold(fold).astype(np.float32)
        for fold in ours.folds
    }
    card = SoftLabelsCard(
        name=folder.name,
        class_hash=ours.class_hash,
        fold_version=ours.fold_version,
        teachers=ours.teachers | theirs.teachers,
        mixed={"labels": {ours.name: 1 - share, theirs.name: share}, "made by": [first.manifest, last.manifest]},
        stems=ours.stems,
        folds=ours.folds,
        external=ours.external,
    )
    save_soft_labels(folder, card, by_fold)
    return folder
