"""An environment that looks like Kaggle to one command: sealed by namespaces where possible, else an open stand-in."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import psutil

from build.project import ROOT
from lib.core.errors import BadInput
from lib.core.paths import KAGGLE_VARIABLE

_HERE = Path(__file__).resolve().parent
_ENVIRONMENT = "/rehearsal-environment"
_PREFIX = "rehearsal-"  # then the number of the process
_PASSED_ON = ("LANG", "LC_ALL", "TZ", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Room:
    """The files and variables visible to the command; `inputs` are folders mounted read-only below /kaggle/input."""

    python: Path  # the interpreter of the environment to run in
    inputs: dict[str, Path]
    variables: dict[str, str]
    hidden: tuple[Path, ...] = (ROOT,)
    base: Path = field(
        default_factory=lambda: Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir="/tmp"))
    )  # covered inside

    @property
    def working(self) -> Path:
        """The folder on the host that becomes /kaggle/working."""
        return self.base / "working"

    @property
    def environment(self) -> Path:
        """The folder of the interpreter's environment."""
        return self.python.parents[1]


@dataclass(frozen=True)
class Isolation:
    """The isolation of a room: sealed as root, sealed in a user namespace, or open, with the reason for the last."""

    kind: str  # "root", "user namespace" or "open"
    why: str

    def __str__(self) -> str:
        if self.kind == "open":
            return f"open ({self.why}): {KAGGLE_VARIABLE} stands in for /kaggle, connections out are refused"
        return f"sealed ({self.kind}): own /kaggle, no network, the checkout hidden"


@contextmanager
def make_room(room: Room) -> Iterator[Room]:
    """Create the room with its empty working folder, and remove all of it at the end, and what a killed one left."""
    for left in Path("/tmp").glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    try:
        room.working.mkdir(parents=True)
        yield room
    finally:
        shutil.rmtree(room.base)


def choose_isolation(
    room: Room, force_open: bool = False, kinds: tuple[str, ...] = ("root", "user namespace")
) -> Isolation:
    """The first sealed kind that works here, tried out with the probe alone; else, or when forced, the open one."""
    if force_open:
        return Isolation("open", "requested")
    if not sys.platform.startswith("linux"):
        return Isolation("open", f"{sys.platform} has no namespaces")
    reasons = []
    for kind in kinds:
        if kind == "root" and os.getuid() != 0:
            continue
        room.working.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(_sealed_command(room, kind, ["/bin/true"]), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return Isolation(kind, "")
        reasons.append(f"{kind}: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return Isolation("open", "; ".join(reasons))


def start_process(room: Room, isolation: Isolation, arguments: list[str], log: IO[str]) -> subprocess.Popen:
    """Start `python <arguments>` inside the room, in its working folder, with its output in `log`."""
    start = partial(
        subprocess.Popen, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    if isolation.kind != "open":
        command = _sealed_command(room, isolation.kind, [f"{_inside(room)}/bin/python", *arguments])
        return start(command)
    variables = _open_variables(room)
    _link_inputs(room)
    probe = [str(room.python), *_probe([], [])]
    done = subprocess.run(probe, cwd=room.working, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInput(
            "the open rehearsal leaks",
            expected="no lib to import, no connection out, an empty working folder",
            got=done.stderr.strip(),
            do="uninstall what is named there, or rehearse on a system with namespaces",
        )
    return start([str(room.python), *arguments], cwd=room.working, env=variables)


def _sealed_command(room: Room, kind: str, command: list[str]) -> list[str]:
    """The command line that enters the sealed room and becomes `command` there."""
    environment = _inside(room)
    root = room.base / "root"
    root.mkdir(exist_ok=True)
    hidden = [str(folder) for folder in room.hidden]
    shown = [f"/kaggle/input/{name}" for name in room.inputs]
    request = {
        "as_user": kind == "user namespace",
        "root": str(root),
        "moved": {environment: str(room.environment)} if environment == _ENVIRONMENT else {},
        "hidden": hidden,
        "inputs": {name: str(folder.resolve()) for name, folder in room.inputs.items()},
        "working": str(room.working),
        "probe": [f"{environment}/bin/python", *_probe(hidden, shown)],
        "command": command,
        "variables": _variables(room, environment, "/tmp"),
    }
    path = room.base / "request.json"
    path.write_text(json.dumps(request))
    return [sys.executable, str(_HERE / "sealed.py"), str(path)]


def _inside(room: Room) -> str:
    """The path of the interpreter's environment inside the sealed room: another when its own is hidden there."""
    covered = any(room.environment.is_relative_to(folder) for folder in (*room.hidden, Path("/tmp")))
    return _ENVIRONMENT if covered else str(room.environment)


def _probe(hidden: list[str], read_only: list[str]) -> list[str]:
    """The probe as arguments of Python: its text, since its file is hidden inside."""
    return ["-c", (_HERE / "probe.py").read_text(), json.dumps(hidden), json.dumps(read_only)]


def _variables(room: Room, environment: str, home: str) -> dict[str, str]:
    """The environment variables inside: only those listed here, so that none of the host's helps along."""
    return {
        "PATH": f"{environment}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "JUPYTER_PATH": f"{environment}/share/jupyter",
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        **room.variables,
    }


def _open_variables(room: Room) -> dict[str, str]:
    """The variables of an open room: the stand-in for /kaggle, and the guard that every Python loads first."""
    home = room.base / "home"
    home.mkdir(exist_ok=True)
    return _variables(room, str(room.environment), str(home)) | {
        KAGGLE_VARIABLE: str(room.base),
        "PYTHONPATH": str(_HERE / "guard"),
    }


def _link_inputs(room: Room) -> None:
    """Link the input files into folders as below /kaggle/input."""
    for name, folder in room.inputs.items():
        target = room.base / "input" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder.resolve(), target, copy_function=os.symlink)
