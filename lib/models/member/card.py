"""The member's card, `member.json`, with all that inference needs to know, and the files of the member's folds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lib.competition.classes import ClassList
from lib.core.errors import BadInput, shorten
from lib.core.records import check_seal, from_json, read_json

FoldModel = TypeVar("FoldModel")


@dataclass(frozen=True)
class MemberCard:
    """`member.json`. `config` is the whole configuration; its fingerprint distinguishes members."""

    name: str
    family: str
    class_hash: str
    config: dict
    config_fingerprint: str
    lib_fingerprint: str
    data_version: str
    seed: int
    inputs: list[str]
    outputs: list[str]
    seconds_per_soundscape: float
    parity_max_abs: float


def read_card(folder: Path, classes: ClassList) -> MemberCard:
    """The card of an undamaged member that was made for these classes."""
    check_seal(folder)
    card = from_json(MemberCard, read_json(folder / "member.json"), f"{folder.name}/member.json")
    classes.check_hash(card.class_hash, f"member {card.name}")
    return card


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
