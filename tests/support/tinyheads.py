"""Test setup of heads: a packed embedder for the tiny miniature's classes, and its embeddings of the recordings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.competition.prepared import Prepared
from lib.learn.head.data import HeadData, load_head_data
from lib.models.embedder.labels import LabelMap
from lib.models.embedder.pack import pack_embedder
from lib.models.embedder.packed import open_embedder
from lib.sound.decode import decode, loudest_windows, soundscape_windows
from tests.support.standin import LABELS, write_labels, write_standin

NAMES = ("embedding", "logits", "block:MBConv_0")


@dataclass(frozen=True)
class HeadSetup:
    """A run's folder with an embedder, and the head data of its embeddings."""

    prepared: Prepared
    data: HeadData
    embedder: Path

    def member(self, name: str) -> Path:
        """Where a member of that name belongs."""
        return self.embedder.parents[1] / "members" / name


def make_head_setup(prepared: Prepared, public: Path, folder: Path) -> HeadSetup:
    """Pack the embedder, of which half the classes are no labels, and hear everything with it."""
    embedder = pack(prepared, folder, folder / "embedders" / "ear")
    ear = open_embedder(embedder, prepared.classes)

    def embeddings_of(item: str) -> dict[str, np.ndarray]:
        """Two windows of a clip, twelve of a soundscape."""
        if "/" in item:
            return ear.embed(loudest_windows(decode(public / "train_audio" / item), 2)).named()
        return ear.embed(soundscape_windows(decode(public / "train_soundscapes" / f"{item}.ogg"))).named()

    return HeadSetup(prepared, load_head_data(prepared, embeddings_of, NAMES), embedder)


def pack(prepared: Prepared, work: Path, folder: Path, first_label: int = 0) -> Path:
    """The embedder whose label number `first_label` stands for the first class."""
    write_standin(work / "ear.onnx")
    write_labels(work / "labels.csv")
    labels = prepared.classes.labels
    columns = tuple((first_label + n,) if n % 2 == 0 else () for n in range(len(labels)))
    how = tuple("name" if found else "none" for found in columns)
    label_map = LabelMap(labels, columns, how, LABELS)
    pack_embedder(work / "ear.onnx", None, label_map, prepared.classes, folder, blocks=["MBConv_0"])
    return folder
