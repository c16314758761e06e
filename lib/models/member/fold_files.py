"""The files of a member's fold models, and which of them are there."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from lib.core.errors import BadInput, shortened

Model = TypeVar("Model")


def fold_files(folder: Path, suffix: str) -> dict[int, Path]:
    """Fold -> the file of its model, in the order of the folds."""
    files = {int(path.stem.removeprefix("fold")): path for path in folder.glob(f"fold*{suffix}")}
    return dict(sorted(files.items()))


def of_fold(models: Mapping[int, Model], fold: int, member: str) -> Model:
    """The model of that fold; a member that has none is an error."""
    if fold not in models:
        raise BadInput(f"member {member} has no model of fold {fold}", expected=f"fold{fold} among its files",
                       got=f"folds {shortened(models)}" if models else "none", do="fit it again")  # fmt: skip
    return models[fold]
