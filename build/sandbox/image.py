"""The Python environment a rehearsal runs in: the one in use, or one with the versions of Kaggle's image."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lib.core.errors import BadInput
from lib.core.fingerprint import of_bytes

IMAGES = ("here", "kaggle")
FOLDER = ".venv-image"
REQUIREMENTS = "requirements-image.txt"
_VERSION = "3.12"
_STAMP = "made-of.txt"


def image_python(root: Path, image: str) -> Path:
    """The interpreter of an image; Kaggle's is installed into .venv-image on first use and when its list changes."""
    if image == "here":
        return Path(sys.executable)
    requirements, folder = root / REQUIREMENTS, root / FOLDER
    python, stamp = folder / "bin" / "python", folder / _STAMP
    made_of = of_bytes(requirements.read_bytes())
    if stamp.is_file() and stamp.read_text().split()[0] == made_of and version_of(python) is not None:
        return python
    base = find_python()
    print(f"making {FOLDER} with Python {version_of(base)} from {REQUIREMENTS}; once, about a minute", flush=True)
    _run([str(base), "-m", "venv", "--clear", str(folder)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)])
    stamp.write_text(f"{made_of} of {REQUIREMENTS}, Python {version_of(python)}\n")
    return python


def version_of(python: Path) -> str | None:
    """The version an interpreter reports, or None when it does not run, as a shim without that version does."""
    try:
        command = [str(python), "-c", "import platform, venv; print(platform.python_version())"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def find_python() -> Path:
    """The first Python 3.12 that really runs; without one, an error that lists the places tried."""
    tried = []
    for place, path in _candidates():
        version = version_of(path) if path else None
        if path and version and version.startswith(f"{_VERSION}."):
            return path
        tried.append(f"{place}: {f'{path} is {version}' if version else f'{path} does not run' if path else 'none'}")
    raise BadInput(
        f"no Python {_VERSION} for Kaggle's image",
        expected=f"an interpreter of version {_VERSION}",
        got="tried " + "; ".join(tried),
        do=f"run `uv python install {_VERSION}` or `pyenv install {_VERSION}`, or set PYTHON312; or use --image here",
    )


def _candidates() -> Iterator[tuple[str, Path | None]]:
    """The places where Python 3.12 may be: (the place in words, the path or None)."""
    yield "PYTHON312", _path(os.environ.get("PYTHON312"))
    yield f"python{_VERSION} on PATH", _path(shutil.which(f"python{_VERSION}"))
    prefix = _path(_output_of(["pyenv", "prefix", _VERSION]))
    yield f"pyenv prefix {_VERSION}", prefix / "bin" / "python" if prefix else None
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = sorted(versions.glob(f"{_VERSION}*/bin/python"), key=lambda path: path.parts[-3], reverse=True)
    yield from ((f"{versions}/{_VERSION}*", path) for path in installed)
    if not installed:
        yield f"{versions}/{_VERSION}*", None
    yield f"uv python find {_VERSION}", _path(_output_of(["uv", "python", "find", _VERSION]))


def _path(text: str | None) -> Path | None:
    """The text as a path, or None for nothing."""
    return Path(text) if text else None


def _output_of(command: list[str]) -> str | None:
    """A program's output, or None when it is absent or failed."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _run(command: list[str]) -> None:
    """Run a command to its end; the error after a failure shows the end of its output."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise BadInput(
            f"Kaggle's image could not be made: `{' '.join(command[1:])}` failed",
            expected="exit status 0",
            got=f"{done.returncode}: " + "\n".join(done.stdout.splitlines()[-8:]),
            do=f"fix {REQUIREMENTS} or the network, remove {FOLDER} and try again; or rehearse with --image here",
        )
