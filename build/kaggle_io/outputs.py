"""Download the outputs of one version of a kernel into a folder of their own: all of them, whole, or none."""

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

import requests

from build.cli.exit_codes import Failed
from build.kaggle_io.client import call_kaggle
from build.kaggle_io.push_log import KERNELS
from build.kaggle_io.versions import outputs_of
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.progress import progress
from lib.core.records import check_seal, read_json, read_manifest

SUBMISSION, RECEIPT = "submission.csv", "receipt.json"
LONGEST_NAME = 255  # bytes of one part of a path
_SEALED = {  # kernel -> the kinds of folders of which it writes at least one; none for 06
    "prep": ("prepared",),
    "train": ("member",),
    "probe": ("member", "embedder"),
    "pseudo": ("member", "discarded"),
    "blend": ("recipes",),
    "infer": (),
}
_BLOCK_BYTES = 1 << 20
_PAGES = (".html", ".htm", ".xml", ".svg")
_PAGE_STARTS = (b"<?xml", b"<!doctype html", b"<html")


def fetch_outputs(
    api, kernel: str, version: int, folder: Path, check: Callable[[Path], None] | None = None
) -> list[str]:
    """Download the version's outputs and log into `folder`, and return the outputs' names.

    After an error, one that `check` raises for them included, the folder is as it was.
    """
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
        if check:
            check(made)
        if folder.exists():
            shutil.move(folder, Path(scratch, "old"))
        made.rename(folder)
    return sorted(name for name, _ in files)


def check_outputs(folder: Path, slug: str, lib: str) -> None:
    """Raise unless these are the whole outputs of the kernel, or of a variant of it, that was built with this lib."""
    kinds = next(kinds for short, kinds in _SEALED.items() if slug.startswith(KERNELS[short]))
    if not kinds:
        if (made_with := read_receipt(folder).get("lib_fingerprint")) != lib:
            raise _incomplete(f"a {RECEIPT} of lib {lib}, as it was pushed", f"one of lib {made_with}")
        return
    sealed = [path.parent for path in sorted(folder.rglob("manifest.json"))]
    for one in sealed:
        check_seal(one)
    if not any(read_manifest(one).kind in kinds for one in sealed):
        raise _incomplete(f"a sealed folder of kind {' or '.join(kinds)}", f"{len(sealed)} sealed folders, of others")


def read_receipt(folder: Path) -> dict:
    """The receipt in a folder of 06's outputs; an error unless the submission beside it is the one it states."""
    if absent := [name for name in (SUBMISSION, RECEIPT) if not (folder / name).is_file()]:
        raise _incomplete(f"{SUBMISSION} and {RECEIPT}", f"no {', '.join(absent)}")
    receipt, written = read_json(folder / RECEIPT), fingerprint.of_file(folder / SUBMISSION)
    if (stated := receipt.get("submission")) != written:
        raise _incomplete(f"a {SUBMISSION} of fingerprint {stated}, as {RECEIPT} states", f"{written}: cut or changed")
    return receipt


def _incomplete(expected: str, got: str) -> BadInput:
    return BadInput(
        "outputs that are not whole",
        expected=expected,
        got=got,
        do="fetch them again; if it stays, the notebook did not write them: see its log, mend it, push",
    )


def _refuse_names(names: list[str], log: str) -> None:
    """Raise when a name leads out of the folder, cannot be a file's here, or two names claim one place."""
    folders = {str(folder) for name in [*names, log] for folder in PurePosixPath(name).parents}
    wrong = [name for name in names if not _stays_inside(name)]
    wrong += sorted({name for name in [*names, log] if [*names, log].count(name) > 1 or name in folders})
    if wrong:
        raise Failed(
            "names of outputs that cannot be kept",
            expected="relative names below the output folder, each once, none both file and folder",
            got=shorten(map(repr, wrong)),
            do="rename them in the notebook; nothing was written",
        )


def _stays_inside(name: str) -> bool:
    """True for a plain relative name, on every system."""
    path = PurePosixPath(name)
    plain = name and str(path) == name and "\\" not in name and ":" not in name and name.isprintable()
    short = all(len(part.encode()) <= LONGEST_NAME for part in path.parts)
    return bool(plain) and short and not path.is_absolute() and ".." not in path.parts


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
        raise Failed(
            f"the output {name} is a page and no {path.suffix or 'data'} file",
            expected="the file that the kernel wrote",
            got=repr(start[:80]),
            do="fetch again; if it stays, open the output on kaggle.com",
        )
