"""The embedder's card: what is asked of a frozen model, and which of its labels stand for which class."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lib.competition.classes import ClassList
from lib.core.records import from_json, read_json
from lib.models.embedder.base import BLOCK

LABELS = "labels.csv"


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

    @property
    def blocks(self) -> tuple[str, ...]:
        """The blocks that it tells of."""
        return tuple(name.removeprefix(BLOCK) for name in self.widths if name.startswith(BLOCK))


def read_embedder_card(folder: Path) -> EmbedderCard:
    """The card in an embedder's folder."""
    return from_json(EmbedderCard, read_json(folder / "embedder.json"), f"{folder.name}/embedder.json")


def known_by_name(folders: Iterable[Path], classes: ClassList) -> frozenset[str]:
    """The labels that any of the embedders in these folders knows by a name of their own."""
    named = [zip(classes.labels, card.how, strict=True) for card in map(read_embedder_card, folders)]
    return frozenset(label for pairs in named for label, how in pairs if how in ("name", "synonym"))
