"""Outputs of a run, written aside and swapped in together when the run is whole.

A run writes what others read into a folder of its own, `.staged/<run>` in its output. `publish_outputs` puts all of it
in the place of its namesakes, by renames alone. Whatever ends a run before that, be it an error, Ctrl-C, SIGKILL or a
full disk, the last good outputs stay as they were. A publication that is itself cut off leaves its plan behind, and is
completed by whoever next reads or writes there: nobody meets new outputs mixed with old ones.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import IO

from lib.core.errors import BadInput, shorten
from lib.core.folder_lock import exclusive_folder
from lib.core.records import identity_of, read_json, write_json

_STAGED, _PLAN, _REPLACED, _ALIVE = ".staged", "publishing.json", "replaced", ".alive"
_RUNNING: dict[Path, IO] = {}  # output -> the locked file by which others see that this process's run is alive


def describe_output(output: Path) -> str:
    """The folder, and what in it a run may replace: sealed folders and files by their paths."""
    there = [str(unit.relative_to(output)) for unit in _units(output)]
    return f"{output} (in place of {', '.join(there)}, where made anew)" if there else f"{output} (empty so far)"


def stage_outputs(output: Path) -> Path:
    """An empty folder for what this run makes; what dead runs left there is removed."""
    output = output.resolve()
    top = output / _STAGED
    top.mkdir(parents=True, exist_ok=True)
    if output in _RUNNING:
        _RUNNING.pop(output).close()  # the same cell again: the run before is dead
    with exclusive_folder(top):
        _complete(output)
        for alive in top.glob(f"*{_ALIVE}"):
            if not _is_locked(alive):
                shutil.rmtree(alive.with_suffix(""), ignore_errors=True)
                alive.unlink()
        staged = Path(tempfile.mkdtemp(dir=top, prefix="run"))
        _RUNNING[output] = (top / f"{staged.name}{_ALIVE}").open("w")
        fcntl.flock(_RUNNING[output], fcntl.LOCK_EX)
    return staged


def publish_outputs(staged: Path, retired: Iterable[str] = ()) -> list[str]:
    """Put everything staged in its place and take the `retired` away, all or nothing; one line for each."""
    top, output = staged.parent, staged.parent.parent
    names = [str(unit.relative_to(staged)) for unit in _units(staged)]
    gone = [name for name in dict.fromkeys(retired) if name not in names and (output / name).exists()]
    with exclusive_folder(top):
        _complete(output)
        lines = [f"{name}: {_difference(output / name, staged / name)}" for name in names]
        for name in [*names, *gone]:  # so that only renames are left to do, for which a full disk has room
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (top / _REPLACED / name).parent.mkdir(parents=True, exist_ok=True)
        write_json(top / _PLAN, {"staged": staged.name, "put": names, "retire": gone})
        _complete(output)
    if output in _RUNNING:
        _RUNNING.pop(output).close()
    return [*lines, *(f"{name}: taken away" for name in gone)]


def complete_publications(root: Path) -> None:
    """Complete each publication that was cut off in the folder or in one below it."""
    for plan in [*root.glob(f"{_STAGED}/{_PLAN}"), *root.glob(f"*/{_STAGED}/{_PLAN}")]:
        with exclusive_folder(plan.parent):
            _complete(plan.parents[1])


def final_place(path: Path) -> Path:
    """The place of a staged file or folder once it is published; any other path as it is."""
    parts = path.parts
    if _STAGED not in parts:
        return path
    at = parts.index(_STAGED)
    return Path(*parts[:at], *parts[at + 2 :])


def _complete(output: Path) -> None:
    """Do what is left of the plan, if there is one; each step may have been done before."""
    top = output / _STAGED
    if not (top / _PLAN).is_file():
        return
    plan = read_json(top / _PLAN)
    if foreign := [name for name in (plan["staged"], *plan["put"], *plan["retire"]) if not _stays_below(name)]:
        raise BadInput(
            f"{top / _PLAN} was not written by a run",
            expected="names below the output",
            got=shorten(foreign),
            do=f"delete {top}",
        )
    staged = top / plan["staged"]
    for name in plan["put"]:
        if (staged / name).exists():
            _move(output / name, top / _REPLACED / name)
            os.rename(staged / name, output / name)
    for name in plan["retire"]:
        _move(output / name, top / _REPLACED / name)
    (top / _PLAN).unlink()
    for left in (staged, top / _REPLACED):
        shutil.rmtree(left, ignore_errors=True)
    (top / f"{staged.name}{_ALIVE}").unlink(missing_ok=True)


def _stays_below(name: str) -> bool:
    """True for a relative path that leads nowhere else."""
    return not PurePath(name).is_absolute() and ".." not in PurePath(name).parts


def _move(path: Path, to: Path) -> None:
    """Move the file or folder, if it is there, over what an attempt that was cut off moved there."""
    if path.exists():
        if to.is_dir():
            shutil.rmtree(to)
        os.rename(path, to)


def _units(folder: Path) -> list[Path]:
    """What is swapped as one: sealed folders, up to two levels down, and the files at the top, but for Kaggle's own."""
    if not folder.is_dir():
        return []
    sealed = [path.parent for pattern in ("*", "*/*") for path in folder.glob(f"{pattern}/manifest.json")]
    files = [path for path in folder.iterdir() if path.is_file()]
    return [unit for unit in sorted([*sealed, *files]) if not unit.relative_to(folder).parts[0].startswith((".", "__"))]


def _difference(old: Path, new: Path) -> str:
    """How the new file or folder compares with the one it replaces."""
    if not old.exists():
        return "new"
    if new.is_file():
        return "as before" if old.is_file() and old.read_bytes() == new.read_bytes() else "replaced"
    try:
        same = identity_of(old) == identity_of(new)
    except BadInput:  # the old one is damaged
        same = False
    return "as before" if same else "another than before: what was made from that one has to be made again"


def _is_locked(path: Path) -> bool:
    """True while the run that the file belongs to is alive."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
