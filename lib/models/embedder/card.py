"""The card of a packed embedder: its file, the widths of its outputs, and which of its labels stand for which class.

It is apart from the embedder itself so that what only reads cards needs no runtime.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lib.competition.classes import ClassList
from lib.core.records import from_json, read_json
from lib.models.embedder.base import BLOCK

LABELS_FILE = "labels.csv"


@dataclass(frozen=True)
class EmbedderCard:
    """The fields of `embedder.json`."""

    name: str
    file: str
    source: str  # the fingerprint of the file that it was packed from
    class_hash: str
    widths: dict[str, int]  # of each part of its tokens, under the name by which heads request it
    columns: list[list[int]]  # a list for each class: the model's labels that stand for it
    how: list[str]  # by class: how they were found
    standin: bool = False  # made by `lib.models.standin`: scores of its heads are no evidence about Perch

    @property
    def blocks(self) -> tuple[str, ...]:
        """The blocks whose outputs it returns."""
        return tuple(name.removeprefix(BLOCK) for name in self.widths if name.startswith(BLOCK))


def read_embedder_card(folder: Path) -> EmbedderCard:
    """The card in an embedder's folder."""
    return from_json(EmbedderCard, read_json(folder / "embedder.json"), f"{folder.name}/embedder.json")


def classes_with_own_label(folders: Iterable[Path], classes: ClassList) -> frozenset[str]:
    """The classes that any of these embedders has a label for, by name or by synonym."""
    named = [zip(classes.labels, card.how, strict=True) for card in map(read_embedder_card, folders)]
    return frozenset(label for pairs in named for label, how in pairs if how in ("name", "synonym"))
