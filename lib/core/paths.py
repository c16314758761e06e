"""Paths on Kaggle and at home: the contest's files, earlier notebooks' outputs, this notebook's own output."""

import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from lib.core.errors import BadInput, shorten
from lib.core.records import identity_of, read_manifest
from lib.core.staging import complete_publications

SLUG = "birdclef-2026"
REAL, MINIATURE = f"data/real/public/{SLUG}", f"data/mini/public/{SLUG}"  # in a checkout
MARKERS = ("sample_submission.csv", "taxonomy.csv", "train_soundscapes_labels.csv")
DATA_VARIABLE = "PANTANAL_DATA"  # a competition folder, for those who keep it elsewhere
KAGGLE_VARIABLE = "PANTANAL_KAGGLE"  # a folder that stands in for /kaggle where none can be mounted
_DEPTH = 6  # of sealed folders below the inputs
_NEVER_SEARCHED = {"sweeps", "train_audio", "train_soundscapes", "test_soundscapes"}


def kaggle_root() -> Path:
    """`/kaggle`, or the folder that stands in for it during a rehearsal."""
    return Path(os.environ.get(KAGGLE_VARIABLE, "/kaggle"))


def on_kaggle() -> bool:
    """True where Kaggle's input folder exists, for real or in a rehearsal."""
    return (kaggle_root() / "input").is_dir()


def in_rerun() -> bool:
    """True only in the scored rerun on the hidden test set."""
    return bool(os.environ.get("KAGGLE_IS_COMPETITION_RERUN"))


def checkout() -> Path | None:
    """The project's folder around the working directory, or None outside of one."""
    current = Path.cwd().resolve()
    return next((folder for folder in (current, *current.parents) if (folder / "notebooks_src").is_dir()), None)


def find_competition(explicit: str = "") -> Path:
    """The folder that holds the contest's tables: the one given, or the first of the known paths that has them."""
    candidates = [Path(explicit)] if explicit else list(_known_paths())
    for folder in candidates:
        if all((folder / marker).is_file() for marker in MARKERS):
            return folder
    if not explicit and on_kaggle():
        for folder in folders_below(kaggle_root() / "input", depth=4):
            if all((folder / marker).is_file() for marker in MARKERS):
                return folder
    raise BadInput(
        "the competition's files were not found",
        expected=f"a folder with {', '.join(MARKERS)}",
        got="searched " + "; ".join(f"{folder} ({_problem(folder)})" for folder in candidates),
        do=f"attach the competition {SLUG}, set {DATA_VARIABLE}, or run `make demo` for the miniature competition",
    )


def _known_paths() -> Iterator[Path]:
    """Every path where the contest's folder has been seen, most explicit first."""
    if os.environ.get(DATA_VARIABLE):
        yield Path(os.environ[DATA_VARIABLE])
    inputs = kaggle_root() / "input"
    yield inputs / "competitions" / SLUG
    yield inputs / SLUG
    if on_kaggle():
        yield from sorted(inputs.glob(f"datasets/*/{SLUG}"))
    if project := checkout():
        yield project / REAL
        yield project / MINIATURE


def _problem(folder: Path) -> str:
    """A few words on why a candidate was passed over."""
    if not folder.is_dir():
        return "no such folder"
    return "lacks " + ", ".join(marker for marker in MARKERS if not (folder / marker).is_file())


def folders_below(top: Path, depth: int) -> Iterator[Path]:
    """All folders under `top`, nearest first, without entering those that hold audio or sweeps, or that are locked."""
    level = [top]
    for _ in range(depth):
        level = [
            Path(entry)
            for folder in level
            for entry in _entries(folder)
            if entry.is_dir() and entry.name not in _NEVER_SEARCHED and not entry.name.startswith(".")
        ]
        yield from level


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in the folder, by name; nothing where it cannot be listed, or is gone by now."""
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []


def inputs_root(explicit: str = "") -> Path:
    """The folder below which earlier notebooks' outputs lie."""
    if explicit:
        return Path(explicit)
    if on_kaggle():
        return kaggle_root() / "input"
    project = checkout()
    return (project or Path.cwd()) / "runs" / "mini"


def find_artifacts(kind: str, explicit: str = "") -> list[Path]:
    """Every folder below the inputs whose manifest names this kind; none is an error that names the folder searched."""
    root = inputs_root(explicit)
    if not on_kaggle():  # what is attached there was whole when it was kept, and is not ours to change
        complete_publications(root)
    found = [folder for folder in folders_below(root, _DEPTH) if manifest_kind(folder) == kind]
    if not found:
        raise BadInput(
            f"nothing of kind {kind!r} was found",
            expected=f"a folder with a manifest.json of kind {kind!r}",
            got=f"searched below {root} ({'no such folder' if not root.is_dir() else 'none there'})",
            do="run the notebook that makes it, attach its output, or set inputs_dir",
        )
    return found


def find_artifact(kind: str, explicit: str = "") -> Path:
    """The single folder of that kind; two different ones are an error that names both."""
    found = find_artifacts(kind, explicit)
    if len({identity_of(folder) for folder in found}) > 1:
        raise BadInput(
            f"more than one folder of kind {kind!r}",
            expected="one, or copies of one",
            got=shorten(found),
            do="detach all but one, or set inputs_dir",
        )
    return found[0]


def by_name(folders: Iterable[Path]) -> dict[str, Path]:
    """Name -> sealed folder, in the order of names; two different ones of one name are an error that names both."""
    found: dict[str, Path] = {}
    for folder in sorted(folders, key=lambda folder: folder.name):
        if identity_of(found.setdefault(folder.name, folder)) != identity_of(folder):
            raise BadInput(
                f"two different folders are called {folder.name}",
                expected="one, or copies of one",
                got=f"{found[folder.name]}, {folder}",
                do="detach or remove one of them, or give one another name",
            )
    return found


def find_named(names: Collection[str], explicit: str = "") -> list[Path]:
    """Every folder of these names below the inputs that holds a `manifest.json`, whatever that says."""
    below = folders_below(inputs_root(explicit), _DEPTH)
    return [folder for folder in below if folder.name in names and (folder / "manifest.json").is_file()]


def manifest_kind(folder: Path) -> str | None:
    """The kind written in a folder's manifest; None where none of ours is: others write a `manifest.json` too."""
    try:
        return read_manifest(folder).kind
    except BadInput:
        return None


def output_folder(notebook: str, explicit: str = "") -> Path:
    """The folder this notebook writes to, created if absent: given, Kaggle's working one, or runs/mini/<notebook>."""
    project = checkout()
    if explicit:
        folder = Path(explicit)
    elif on_kaggle():
        folder = kaggle_root() / "working"
    else:
        folder = (project or Path.cwd()) / "runs" / "mini" / notebook
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache_folder(output: Path, explicit: str = "") -> Path:
    """The folder for decoded audio: given, one for all runs at home, a temporary one on Kaggle (not in the output)."""
    if explicit:
        return Path(explicit)
    return Path(tempfile.gettempdir()) / "pantanal_audio" if on_kaggle() else _all_runs(output) / "audio"


def ledger_path(output: Path) -> Path:
    """The ledger of a run that writes to `output`: `ledger.jsonl` of all runs at home, in the output on Kaggle."""
    return _all_runs(output) / "ledger.jsonl"


def _all_runs(output: Path) -> Path:
    """The folder that runs share: the nearest `runs` above; else that of the notebooks' folders; else the output."""
    output = output.resolve()
    if runs := next((folder for folder in output.parents if folder.name == "runs"), None):
        return runs
    return output.parent if re.fullmatch(r"\d\d_\w+", output.name) else output
