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
        """Path of a member of that name."""
        return self.embedder.parents[1] / "members" / name


def make_head_setup(prepared: Prepared, public: Path, folder: Path) -> HeadSetup:
    """Pack the embedder, which has no label for half of the classes, and embed all recordings with it."""
    packed = pack(prepared, folder, folder / "embedders" / "tiny")
    embedder = open_embedder(packed, prepared.classes)

    def embeddings_of(item: str) -> dict[str, np.ndarray]:
        """Two windows of a clip, twelve of a soundscape."""
        if "/" in item:
            return embedder.embed(loudest_windows(decode(public / "train_audio" / item), 2)).by_name()
        return embedder.embed(soundscape_windows(decode(public / "train_soundscapes" / f"{item}.ogg"))).by_name()

    return HeadSetup(prepared, load_head_data(prepared, embeddings_of, NAMES), packed)


def pack(prepared: Prepared, work: Path, folder: Path, first_label: int = 0) -> Path:
    """The embedder whose label number `first_label` stands for the first class."""
    write_standin(work / "tiny.onnx")
    write_labels(work / "labels.csv")
    labels = prepared.classes.labels
    columns = tuple((first_label + n,) if n % 2 == 0 else () for n in range(len(labels)))
    how = tuple("name" if found else "none" for found in columns)
    label_map = LabelMap(labels, columns, how, LABELS)
    pack_embedder(work / "tiny.onnx", None, label_map, prepared.classes, folder, blocks=["MBConv_0"])
    return folder
