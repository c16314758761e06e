"""Packed embedders: frozen models in sealed folders whose logits are mapped to the project's classes."""

import threading
from pathlib import Path

import numpy as np

from lib.competition.classes import ClassList
from lib.core.errors import BadInput
from lib.core.records import check_seal, identity_of
from lib.models.embedder.base import Embeddings
from lib.models.embedder.card import LABELS_FILE, EmbedderCard, read_embedder_card
from lib.models.embedder.labels import LabelMap
from lib.models.embedder.open import FrozenModel, open_frozen


class Embedder:
    """An opened embedder; `manifest` identifies it."""

    def __init__(self, card: EmbedderCard, manifest: str, frozen: FrozenModel, classes: ClassList):
        self.card, self.manifest, self.widths = card, manifest, card.widths
        self._frozen = frozen
        columns, labels = tuple(map(tuple, card.columns)), len(frozen.labels)
        self._label_map = LabelMap(classes.labels, columns, tuple(card.matched_by), labels)

    def embed(self, windows: np.ndarray) -> Embeddings:
        """Its outputs for (rows, 160000) audio, in the project's classes."""
        raw = self._frozen.embed(windows, self.card.blocks)
        return Embeddings(raw.embedding, self._label_map.logits(raw.logits), raw.blocks)


_OPENED: dict[tuple[str, str], Embedder] = {}  # by manifest and classes: an embedder's heads share one session
_OPENING = threading.Lock()


def open_embedder(folder: Path, classes: ClassList) -> Embedder:
    """The embedder in a folder, checked when this process first opens it: undamaged, and made for these classes."""
    if not (folder / "manifest.json").is_file():
        raise BadInput(
            f"no embedder lies in {folder}",
            expected="a sealed folder of one",
            got="no manifest.json",
            do="run the notebook that packs it, attach its output",
        )
    manifest = identity_of(folder)
    key = manifest, classes.hash
    with _OPENING:
        if key not in _OPENED:
            check_seal(folder)
            card = read_embedder_card(folder)
            classes.check_hash(card.class_hash, f"embedder {card.name}")
            _OPENED[key] = Embedder(card, manifest, open_frozen(folder / card.file, folder / LABELS_FILE), classes)
    return _OPENED[key]
