"""What a notebook reads, found in its text, and whether it is there: checked before a kernel starts."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from build.project import display_path
from lib.core.errors import BadInput, did_you_mean
from lib.core.paths import find_artifacts, find_competition

_READS = re.compile(r"(lambda\b.*)?find_artifacts?\(\s*[\"'](\w+)[\"']")


def artifact_kinds(notebook: str) -> dict[str, bool]:
    """The kinds of artifacts that the notebook's text reads; False for what it reads lazily, in a lambda."""
    found: dict[str, bool] = {}
    for lazily, kind in _READS.findall(notebook):
        found[kind] = found.get(kind, False) or not lazily
    return found


def check_inputs(source: Path, values: Mapping[str, object], *, first: bool) -> None:
    """Refuse folders and files that the notebook would not find; artifacts are sought for the `first` of a run.

    Those that follow read what the first ones make.
    """
    text = source.read_text(encoding="utf-8")
    if "find_competition(" in text:
        find_competition(str(values.get("competition_dir") or ""))
    for name, value in values.items():
        is_path = name == "external_dir" or (name == "embedder" and "/" in str(value))
        if is_path and value and not Path(str(value)).exists():
            raise BadInput(
                f"the parameter {name} of {display_path(source)} names nothing",
                expected="a folder" if name == "external_dir" else "a file, or a name without a slash",
                got=value,
                do="check the path, from this folder or from the root",
            )
    if first:
        for kind in [kind for kind, needed in artifact_kinds(text).items() if needed]:
            find_artifacts(kind, str(values.get("inputs_dir") or ""))
        _check_recipe(values)
        _check_folds(values)


def _check_folds(values: Mapping[str, object]) -> None:
    """Refuse folds that 01 did not make."""
    wanted = {
        name: str(values[name]).split(",") for name in ("fold", "leaky_folds") if values.get(name) not in (None, "")
    }
    for name, listed in wanted.items():
        folder = find_artifacts("prepared", str(values.get("inputs_dir") or ""))[0]
        with (folder / "folds.csv").open(newline="", encoding="utf-8") as file:
            known = sorted({row["fold"] for row in csv.DictReader(file)})
        if unknown := [fold for fold in listed if fold.strip() not in known]:
            raise BadInput(
                f"{name} names a fold that there is not",
                expected=f"of {', '.join(known)}, as in {folder}",
                got=unknown[0],
                do="name one of these, or make others with 01:n_folds",
            )


def _check_recipe(values: Mapping[str, object]) -> None:
    """Refuse a recipe that the inputs do not hold."""
    if name := values.get("recipe_name"):
        folders = find_artifacts("recipes", str(values.get("inputs_dir") or ""))
        known = sorted({path.stem for folder in folders for path in folder.glob("*.json")} - {"manifest"})
        if name not in known:
            raise BadInput(
                f"there is no recipe {name}",
                expected=f"one of {', '.join(known)}",
                got=name,
                do=did_you_mean(name, known, f"run 05 with template={name}, if that is a template"),
            )


def resolve_paths(values: Mapping[str, object]) -> dict[str, object]:
    """The values with paths absolute: the kernel works in another folder than the person who typed them."""
    return {
        name: str(Path(str(value)).resolve()) if value and (name.endswith("_dir") or _is_file(name, value)) else value
        for name, value in values.items()
    }


def _is_file(name: str, value: object) -> bool:
    """True for an embedder that is a path and no name."""
    return name == "embedder" and ("/" in str(value) or Path(str(value)).exists())
