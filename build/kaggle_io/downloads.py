"""Download one archive from Kaggle, resumed after an interruption, and unpack it; error pages are refused."""

import errno
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import requests

from build.cli.exit_codes import Failed
from build.kaggle_io import client
from build.kaggle_io.client import call_kaggle
from lib.core.errors import BadInput, shorten
from lib.core.progress import progress
from lib.core.records import read_json, write_json

_GIB = 1 << 30
_CHUNK = 1 << 20
_MOST_EXPANDED, _MOST_FILES = 100, 500_000  # bytes of one that is packed, and files; beyond them it is a bomb
_DAMAGES = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError)
_SYSTEM_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO)
_ATTEMPTS = 5
_PAUSE_S = 2.0


def unpack(archive: Path, folder: Path) -> int:
    """Unpack the archive into `folder`, whole or not at all, remove it, and return the number of files.

    An archive that cannot be unpacked is removed too, so that the next call does not meet it again.
    """
    aside = folder.with_name(f"{folder.name}.unpacking")
    if aside.exists():  # left by a run that was killed
        shutil.rmtree(aside)
    try:
        with _opened(archive) as inside:
            files = _files(inside, archive)
            need_space(folder, sum(size for _, size in files), f"unpack {archive.name}")
            for name, _ in progress(files, f"unpacking {archive.name}, files", len(files)):
                target = aside / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with _read(inside, name) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
    except BadInput:
        raise
    except OSError as error:  # of the disk; BadZipFile and its like are none
        if error.errno in _SYSTEM_TROUBLE:
            raise
        raise _refused(archive, error) from error
    except (*_DAMAGES, RuntimeError, NotImplementedError) as error:  # the last two: encrypted, compressed unusually
        raise _refused(archive, error) from error
    aside.rename(folder)
    archive.unlink()
    return len(files)


def need_space(folder: Path, needed_bytes: int, why: str) -> None:
    """Refuse to begin what the disk below `folder` has no room for."""
    home = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    if (free := shutil.disk_usage(home).free) < needed_bytes:
        raise Failed(
            f"the disk is too full to {why}",
            expected=f"{needed_bytes / _GIB:.1f} GiB free at {home}",
            got=f"{free / _GIB:.1f} GiB",
            do="free disk space, or give another folder by --to",
        )


def _opened(archive: Path) -> zipfile.ZipFile | tarfile.TarFile:
    """Open the archive by its first bytes, not by its name."""
    if zipfile.is_zipfile(archive):
        return zipfile.ZipFile(archive)
    if tarfile.is_tarfile(archive):
        return tarfile.open(archive)
    with archive.open("rb") as file:
        start = file.read(120)
    raise _refused(archive, f"{start!r}…")


def _files(inside: zipfile.ZipFile | tarfile.TarFile, archive: Path) -> list[tuple[str, int]]:
    """Name and bytes of every file in the archive, which must be plain, below the folder, and of a likely size."""
    files: list[tuple[str, int]] = []
    bad: list[str] = []
    total, most = 0, archive.stat().st_size * _MOST_EXPANDED + _GIB
    for name, size, plain, is_folder in _entries(inside):
        total += size
        if total > most or len(files) >= _MOST_FILES:
            limits = f"more than {most / _GIB:.0f} GiB or {_MOST_FILES:,} files from {archive.stat().st_size:,} bytes"
            raise _refused(archive, limits)
        if not is_folder:
            files.append((name, size))
            bad += [] if plain and not leaves_folder(name) else [name]
    names = Counter(name for name, _ in files)
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    if bad:
        raise _refused(archive, f"{len(bad)} that leave the folder or are links: {shorten(bad)}")
    if clashing := sorted(name for name, count in names.items() if count > 1 or name in folders):
        raise _refused(archive, f"names that claim one place: {shorten(clashing)}")
    if not files:
        raise _refused(archive, "no file in it")
    return files


def _entries(inside: zipfile.ZipFile | tarfile.TarFile) -> Iterator[tuple[str, int, bool, bool]]:
    """Name, bytes, whether it is a plain file and whether it is a folder, of every entry."""
    if isinstance(inside, zipfile.ZipFile):
        yield from ((info.filename, info.file_size, True, info.is_dir()) for info in inside.infolist())
    else:
        yield from ((info.name, info.size, info.isfile(), info.isdir()) for info in inside)


def leaves_folder(name: str) -> bool:
    """True for a name that is absolute, climbs by `..`, or hides either behind backslashes."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or ":" in path.parts[0]


def _read(inside: zipfile.ZipFile | tarfile.TarFile, name: str) -> IO[bytes]:
    """One file's bytes as a stream that fails when a checksum does not hold."""
    if isinstance(inside, zipfile.ZipFile):
        return inside.open(name)
    stream = inside.extractfile(name)
    assert stream is not None, "only plain files are listed"
    return stream


def _refused(archive: Path, got: object) -> Failed:
    """The error; the archive is removed."""
    archive.unlink(missing_ok=True)
    return Failed(
        f"{archive.name} is damaged or refused, and was removed",
        expected="a whole .zip or .tar.gz of plain files below one folder",
        got=got or "damage",
        do="run the same command again: it downloads anew; if it stays, open the page that it comes from",
    )


def download(what: str, request: Callable[[], requests.Response], target: Path, *, room: int) -> Path:
    """Download the whole file to `target`; each attempt requests a fresh address and resumes where the last stopped.

    `room` times the file's size must be free on the disk before the first byte is written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part, note = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    most, failed = 0, 0  # bytes that were ever here, and attempts in a row that brought no more
    while failed < _ATTEMPTS:
        most = max(most, _bytes_in(part))
        response = call_kaggle(f"download {what}", request, repeatable=True)
        try:
            _refuse_page(what, response)
            version = _version(response)
            start = _kept_bytes(part, note, version)
            need_space(target.parent, room * (version["bytes"] or 0) - start, f"fetch {what}")
            if not start:
                part.unlink(missing_ok=True)
                write_json(note, version)
            size = _stream(target.name, response, part, start)
            if version["bytes"] in (None, size):
                part.replace(target)
                note.unlink()
                return target
            reason = f"{size:,} of {version['bytes']:,} bytes came"
        except requests.exceptions.RequestException as error:
            status = getattr(error.response, "status_code", None)
            reason = f"HTTP {status}" if status else f"the connection broke ({type(error).__name__})"
        finally:
            response.close()
        failed = 0 if _bytes_in(part) > most else failed + 1
        print(f"{what}: interrupted: {reason}; resuming", flush=True)
        client.sleep(_PAUSE_S * (failed + 1))
    raise Failed(
        f"{what} could not be downloaded",
        expected="some of it in each attempt",
        got=f"nothing in {_ATTEMPTS}: {reason}",
        do=f"run the same command again: it resumes where {part.name} ends",
    )


def _version(response: requests.Response) -> dict:
    """The validator and the size in bytes, by which versions of the remote file differ."""
    length = response.headers.get("Content-Length")
    validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
    return {"validator": validator, "bytes": int(length) if length else None}


def _kept_bytes(part: Path, note: Path, version: dict) -> int:
    """The number of bytes of this very version in the part already; 0 where that cannot be proven."""
    if not note.is_file() or not all(version.values()) or read_json(note) != version:
        return 0
    return _bytes_in(part) if _bytes_in(part) < version["bytes"] else 0


def _bytes_in(part: Path) -> int:
    """The size of the part; 0 where there is none."""
    return part.stat().st_size if part.is_file() else 0


def _stream(name: str, response: requests.Response, part: Path, start: int) -> int:
    """Append the rest of the file to the part, and return its size."""
    with _rest(response, start) if start else response as body:
        if body.status_code != requests.codes.partial_content:
            start = 0
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in _chunks(name, body, start):
                file.write(chunk)
            return file.tell()


def _rest(response: requests.Response, start: int) -> requests.Response:
    """The file from byte `start` on, or the whole of it where the server cannot do that or the file has changed."""
    if response.request.method != "GET":  # no redirect to a store, no ranges
        return response
    response.close()
    headers = {
        "Range": f"bytes={start}-",
        "If-Range": response.headers.get("ETag") or response.headers["Last-Modified"],
    }
    rest = requests.get(response.url, headers=headers, stream=True)
    rest.raise_for_status()
    return rest


def _chunks(name: str, response: requests.Response, start: int) -> Iterator[bytes]:
    """The body in blocks of 1 MiB, with progress where its size is known."""
    length = response.headers.get("Content-Length")
    blocks = response.iter_content(_CHUNK)
    if not length:
        return blocks
    from_where = f" from {start / _CHUNK:.0f} on" if start else ""
    return progress(blocks, f"{name}{from_where}, MiB", -(-int(length) // _CHUNK))


def _refuse_page(what: str, response: requests.Response) -> None:
    """Refuse a web page where a file is expected: an expired address or a sign-in page comes as one."""
    kind = response.headers.get("Content-Type", "")
    if "html" in kind or "xml" in kind:
        raise Failed(
            f"Kaggle sent a page instead of {what}",
            expected="a file",
            got=f"{kind}: {response.text[:200].strip()}",
            do="try again in a minute; if it stays, open the page in a browser and do what it requires",
        )
