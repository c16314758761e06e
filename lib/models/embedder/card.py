"""The card of a packed embedder: its file, the widths of its outputs, and the labels that stand for each class.

It is apart from the embedder itself so that what only reads cards needs no runtime.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lib.competition.classes import ClassList
from lib.core.records import from_json, read_json

BLOCK = "block:"  # prefix of outputs and inputs that hold a block's means; the block's own name follows
LABELS_FILE = "labels.csv"


@dataclass(frozen=True)
class EmbedderCard:
    """`embedder.json`."""

    name: str
    file: str
    source: str  # the fingerprint of the file that it was packed from
    class_hash: str
    widths: dict[str, int]  # of each output, by the name of a head's input
    columns: list[list[int]]  # a list for each class: the model's labels that stand for it
    matched_by: list[str]  # for each class: the kind of match
    standin: bool = False  # made by `lib.models.standin`: scores of its heads tell nothing about Perch

    @property
    def blocks(self) -> tuple[str, ...]:
        """The blocks whose means it outputs."""
        return tuple(name.removeprefix(BLOCK) for name in self.widths if name.startswith(BLOCK))


def read_embedder_card(folder: Path) -> EmbedderCard:
    """The card in an embedder's folder."""
    return from_json(EmbedderCard, read_json(folder / "embedder.json"), f"{folder.name}/embedder.json")


def classes_with_own_label(folders: Iterable[Path], classes: ClassList) -> frozenset[str]:
    """The classes for which any of the embedders in these folders has a label of the species itself."""
    pairs = [zip(classes.labels, card.matched_by, strict=True) for card in map(read_embedder_card, folders)]
    return frozenset(label for each in pairs for label, kind in each if kind in ("name", "synonym"))
