"""Unpacking downloads: names that leave the folder are refused, every byte is checked, nothing is left half done."""

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lib.core.errors import BadInput, shortened
from lib.core.progress import progress

_GIB = 1 << 30


def unpack(archive: Path, folder: Path) -> int:
    """How many files of the archive now lie in `folder`, which appears whole or not at all; the archive is removed."""
    aside = folder.with_name(f"{folder.name}.unpacking")
    if aside.exists():  # left by a run that was killed
        shutil.rmtree(aside)
    names = 0
    try:
        with _opened(archive) as inside:
            files = list(_files(inside, archive))
            need_space(folder, sum(size for _, size in files), f"unpack {archive.name}")
            for name, _ in progress(files, f"unpacking {archive.name}, files", len(files)):
                target = aside / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with _read(inside, name) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
                names += 1
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        archive.unlink()
        raise BadInput(
            f"{archive.name} is damaged and was removed",
            expected="an archive whose checksums hold",
            got=error,
            do="run the same command again: it downloads anew",
        ) from error
    if not names:
        raise _refused(archive, "no file in it")
    aside.rename(folder)
    archive.unlink()
    return names


def need_space(folder: Path, needed_bytes: int, why: str) -> None:
    """Refuse to begin what the disk below `folder` has no room for."""
    home = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    if (free := shutil.disk_usage(home).free) < needed_bytes:
        raise BadInput(
            f"the disk is too full to {why}",
            expected=f"{needed_bytes / _GIB:.1f} GiB free at {home}",
            got=f"{free / _GIB:.1f} GiB",
            do="make room, or give another folder by --to",
        )


def _opened(archive: Path) -> zipfile.ZipFile | tarfile.TarFile:
    """The archive, opened by what its first bytes say and not by its name."""
    if zipfile.is_zipfile(archive):
        return zipfile.ZipFile(archive)
    if tarfile.is_tarfile(archive):
        return tarfile.open(archive)
    with archive.open("rb") as file:
        start = file.read(120)
    raise _refused(archive, f"{start!r}…")


def _files(inside: zipfile.ZipFile | tarfile.TarFile, archive: Path) -> Iterator[tuple[str, int]]:
    """Name and bytes of every file in the archive; links and names that lead out of the folder are refused."""
    if isinstance(inside, zipfile.ZipFile):
        entries = [(info.filename, info.file_size, True) for info in inside.infolist() if not info.is_dir()]
    else:
        entries = [(info.name, info.size, info.isfile()) for info in inside.getmembers() if not info.isdir()]
    bad = [name for name, _, plain in entries if not plain or leaves_folder(name)]
    if bad:
        raise _refused(archive, f"{len(bad)} that leave the folder or are links: {shortened(bad)}")
    yield from ((name, size) for name, size, _ in entries)


def leaves_folder(name: str) -> bool:
    """True for a name that is absolute, climbs by `..`, or hides either behind backslashes."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or ":" in path.parts[0]


def _read(inside: zipfile.ZipFile | tarfile.TarFile, name: str) -> BinaryIO:
    """One file's bytes as a stream that fails when a checksum does not hold."""
    return inside.open(name) if isinstance(inside, zipfile.ZipFile) else inside.extractfile(name)


def _refused(archive: Path, got: str) -> BadInput:
    """The error; the archive is removed, so that the next attempt does not meet it again."""
    archive.unlink()
    return BadInput(
        f"{archive.name} is refused and was removed",
        expected="a .zip or .tar.gz with plain files below one folder",
        got=got,
        do="look at the page it comes from; where this is an error page, try again later",
    )
