"""The member's card with all that inference needs to know, what was measured of it, and the files of its folds."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from lib.competition.classes import ClassList
from lib.core.errors import BadInput, shorten
from lib.core.records import MEASURED, check_seal, from_json, read_json, write_json

FoldModel = TypeVar("FoldModel")


@dataclass(frozen=True)
class Measured:
    """`measured.json`: what depends on machine and day, and decides no score. It is no part of a member's identity."""

    own_seconds: float  # a soundscape, of all served models together
    shared_seconds: dict[str, float] = field(default_factory=dict)  # embedder -> its seconds, which other heads share
    parity_max_abs: float = 0.0  # between the files and the models that were exported
    lib_fingerprint: str = ""  # of the code that made the member

    @property
    def seconds_per_soundscape(self) -> float:
        """The seconds of the member alone."""
        return self.own_seconds + sum(self.shared_seconds.values())


@dataclass(frozen=True)
class MemberCard:
    """`member.json`, with what was measured. `config` is the whole configuration, by which ledgers name members."""

    name: str
    family: str
    class_hash: str
    config: dict
    config_fingerprint: str
    data_version: str
    seed: int
    inputs: list[str]
    outputs: list[str]
    measured: Measured


def read_card(folder: Path, classes: ClassList) -> MemberCard:
    """The card of an undamaged member that was made for these classes."""
    check_seal(folder)
    measured = {"measured": read_json(folder / MEASURED)}
    card = from_json(MemberCard, read_json(folder / "member.json") | measured, f"{folder.name}/member.json")
    classes.check_hash(card.class_hash, f"member {card.name}")
    return card


def write_card(folder: Path, card: MemberCard) -> None:
    """Write the card, and beside it what was measured."""
    data = asdict(card)
    write_json(folder / MEASURED, data.pop("measured"))
    write_json(folder / "member.json", data)


def fold_files(folder: Path, suffix: str) -> dict[int, Path]:
    """Fold -> the file of its model, in the order of the folds."""
    files = {int(path.stem.removeprefix("fold")): path for path in folder.glob(f"fold*{suffix}")}
    return dict(sorted(files.items()))


def find_fold(models: Mapping[int, FoldModel], fold: int, member: str) -> FoldModel:
    """The model of that fold; a member that has none is an error."""
    if fold not in models:
        raise BadInput(
            f"member {member} has no model of fold {fold}",
            expected=f"fold{fold} among its files",
            got=f"folds {shorten(models)}" if models else "none",
            do="fit the member again",
        )
    return models[fold]
