"""Embedders: frozen models packed in sealed folders, speaking of the project's classes."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.competition.classes import ClassList
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.records import check_seal, from_json, read_json
from lib.models.embedder.base import BLOCK, Embeddings
from lib.models.embedder.labels import LabelMap
from lib.models.embedder.open import FrozenModel, open_frozen

LABELS_FILE = "labels.csv"


@dataclass(frozen=True)
class EmbedderCard:
    """`embedder.json`."""

    name: str
    file: str
    source: str  # the fingerprint of the file that it was packed from
    class_hash: str
    widths: dict[str, int]  # of each part of its tokens, under the name by which heads ask for it
    columns: list[list[int]]  # a list for each class: the model's labels that stand for it
    how: list[str]  # by class: how they were found
    standin: bool = False  # made by `lib.models.standin`: scores of its heads tell nothing about Perch

    @property
    def blocks(self) -> tuple[str, ...]:
        """The blocks that it tells of."""
        return tuple(name.removeprefix(BLOCK) for name in self.widths if name.startswith(BLOCK))


def read_embedder_card(folder: Path) -> EmbedderCard:
    """The card in an embedder's folder."""
    return from_json(EmbedderCard, read_json(folder / "embedder.json"), f"{folder.name}/embedder.json")


def classes_with_own_label(folders: Iterable[Path], classes: ClassList) -> frozenset[str]:
    """The labels that any of the embedders in these folders knows by a name of their own."""
    named = [zip(classes.labels, card.how, strict=True) for card in map(read_embedder_card, folders)]
    return frozenset(label for pairs in named for label, how in pairs if how in ("name", "synonym"))


class Embedder:
    """An opened embedder; `manifest` tells it from every other."""

    def __init__(self, card: EmbedderCard, manifest: str, frozen: FrozenModel, classes: ClassList):
        self.card, self.manifest, self.widths = card, manifest, card.widths
        self._frozen = frozen
        columns, labels = tuple(map(tuple, card.columns)), len(frozen.labels)
        self._label_map = LabelMap(classes.labels, columns, tuple(card.how), labels)

    def embed(self, windows: np.ndarray) -> Embeddings:
        """What it says of (rows, 160000) audio."""
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
    manifest = fingerprint.of_file(folder / "manifest.json")
    key = manifest, classes.hash
    with _OPENING:
        if key not in _OPENED:
            check_seal(folder)
            card = read_embedder_card(folder)
            classes.check_hash(card.class_hash, f"embedder {card.name}")
            _OPENED[key] = Embedder(card, manifest, open_frozen(folder / card.file, folder / LABELS_FILE), classes)
    return _OPENED[key]
