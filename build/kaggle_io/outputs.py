"""Download the outputs of one version of a kernel into a folder of their own: all of them, whole, or none."""

import shutil
import tempfile
from functools import partial
from pathlib import Path, PurePosixPath

import requests

from build.kaggle_io.client import call_kaggle
from build.kaggle_io.versions import outputs_of
from lib.core.errors import BadInput, shorten
from lib.core.progress import progress

_BLOCK_BYTES = 1 << 20
_PAGES = (".html", ".htm", ".xml", ".svg")
_PAGE_STARTS = (b"<?xml", b"<!doctype html", b"<html")


def fetch_outputs(api, kernel: str, version: int, folder: Path) -> list[str]:
    """Download the version's outputs and log into `folder`, unchanged after an error, and return the outputs' names."""
    files, log = outputs_of(api, kernel, version)
    own = f"{kernel.partition('/')[2]}.log"  # as the Kaggle client calls it
    _refuse_names([name for name, _ in files], own)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        made = Path(scratch, "made")
        made.mkdir()
        for name, address in progress(files, f"outputs of version {version}", len(files)):
            target = made / name
            target.parent.mkdir(parents=True, exist_ok=True)
            call_kaggle(f"download the output {name}", partial(_download, address, target), repeatable=True)
            _refuse_page(name, target)
        (made / own).write_text(log, encoding="utf-8")
        if folder.exists():
            shutil.move(folder, Path(scratch, "old"))
        made.rename(folder)
    return sorted(name for name, _ in files)


def _refuse_names(names: list[str], log: str) -> None:
    """Raise when a name leads out of the folder, or two names would be one file."""
    wrong = [name for name in names if not _stays_inside(name)]
    wrong += sorted({name for name in [*names, log] if [*names, log].count(name) > 1})
    if wrong:
        raise BadInput(
            "names of outputs that cannot be kept",
            expected="relative names below the output folder, each once",
            got=shorten(map(repr, wrong)),
            do="rename them in the notebook; nothing was written",
        )


def _stays_inside(name: str) -> bool:
    """True for a plain relative name, on every system."""
    path = PurePosixPath(name)
    plain = name and str(path) == name and "\\" not in name and ":" not in name and name.isprintable()
    return bool(plain) and not path.is_absolute() and ".." not in path.parts


def _download(address: str, target: Path) -> None:
    """Write the file at the address; fewer bytes than its Content-Length raise like a broken connection, by urllib3."""
    with requests.get(address, stream=True, headers={"Accept-Encoding": "identity"}) as response:
        response.raise_for_status()
        with target.open("wb") as file:
            for block in response.iter_content(_BLOCK_BYTES):
                file.write(block)


def _refuse_page(name: str, path: Path) -> None:
    """Raise when a web page came instead of the file: an expired address returns one."""
    with path.open("rb") as file:
        start = file.read(200).lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.lower().startswith(_PAGE_STARTS) and path.suffix.lower() not in _PAGES:
        raise BadInput(
            f"the output {name} is a page and no {path.suffix or 'data'} file",
            expected="the file that the kernel wrote",
            got=repr(start[:80]),
            do="fetch again; if it stays, open the output on kaggle.com",
        )
