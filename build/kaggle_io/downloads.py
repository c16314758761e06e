"""One file from Kaggle: into a .part beside it, continued after an interruption, never an error page."""

from collections.abc import Callable, Iterator
from pathlib import Path

import requests

from build.kaggle_io import client as kaggle_client
from build.kaggle_io.client import ask
from build.kaggle_io.unpack import need_space
from lib.core.errors import BadInput
from lib.core.progress import progress
from lib.core.records import read_json, write_json

_CHUNK = 1 << 20
_ATTEMPTS = 5
_PAUSE_S = 2.0


def download(what: str, asked: Callable[[], requests.Response], target: Path, *, room: int) -> Path:
    """`target`, whole; each attempt asks for a fresh address and goes on where the last one stopped, while they help.

    `room` times the file's size must be free on the disk before the first byte is written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part, note = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    most, vain = 0, 0  # bytes that were ever here, and attempts in a row that brought no more
    while vain < _ATTEMPTS:
        most = max(most, _bytes_in(part))
        answer = ask(f"download {what}", asked, repeatable=True)
        try:
            _refuse_page(what, answer)
            version = _version(answer)
            start = _kept_bytes(part, note, version)
            need_space(target.parent, room * (version["bytes"] or 0) - start, f"fetch {what}")
            if not start:
                part.unlink(missing_ok=True)
                write_json(note, version)
            size = _stream(target.name, answer, part, start)
            if version["bytes"] in (None, size):
                part.replace(target)
                note.unlink()
                return target
            reason = f"{size:,} of {version['bytes']:,} bytes came"
        except requests.exceptions.RequestException as error:
            status = getattr(error.response, "status_code", None)
            reason = f"HTTP {status}" if status else f"the connection broke ({type(error).__name__})"
        finally:
            answer.close()
        vain = 0 if _bytes_in(part) > most else vain + 1
        print(f"{what}: interrupted: {reason}; going on", flush=True)
        kaggle_client.sleep(_PAUSE_S * (vain + 1))
    raise BadInput(
        f"{what} could not be downloaded",
        expected="some of it in each attempt",
        got=f"nothing in {_ATTEMPTS}: {reason}",
        do=f"run the same command again: it goes on where {part.name} ends",
    )


def _version(answer: requests.Response) -> dict:
    """What tells this version of the remote file from another: its validator and its size in bytes."""
    length = answer.headers.get("Content-Length")
    validator = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    return {"validator": validator, "bytes": int(length) if length else None}


def _kept_bytes(part: Path, note: Path, version: dict) -> int:
    """How many bytes of this very version lie in the part already; 0 where that cannot be proven."""
    if not note.is_file() or not all(version.values()) or read_json(note) != version:
        return 0
    return _bytes_in(part) if _bytes_in(part) < version["bytes"] else 0


def _bytes_in(part: Path) -> int:
    """The size of the part; 0 where there is none."""
    return part.stat().st_size if part.is_file() else 0


def _stream(name: str, answer: requests.Response, part: Path, start: int) -> int:
    """The part's size after the rest of the file was appended to it."""
    with _rest(answer, start) if start else answer as body:
        if body.status_code != requests.codes.partial_content:
            start = 0
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in _chunks(name, body, start):
                file.write(chunk)
            return file.tell()


def _rest(answer: requests.Response, start: int) -> requests.Response:
    """The file from byte `start` on, or the whole of it where the server cannot do that or the file has changed."""
    if answer.request.method != "GET":  # answered without a redirect to a store: cannot be asked for a part
        return answer
    answer.close()
    headers = {"Range": f"bytes={start}-", "If-Range": answer.headers.get("ETag") or answer.headers["Last-Modified"]}
    rest = requests.get(answer.url, headers=headers, stream=True)
    rest.raise_for_status()
    return rest


def _chunks(name: str, answer: requests.Response, start: int) -> Iterator[bytes]:
    """The body in blocks of 1 MiB, with progress where its size is known."""
    length = answer.headers.get("Content-Length")
    blocks = answer.iter_content(_CHUNK)
    if not length:
        return blocks
    from_where = f" from {start / _CHUNK:.0f} on" if start else ""
    return progress(blocks, f"{name}{from_where}, MiB", -(-int(length) // _CHUNK))


def _refuse_page(what: str, answer: requests.Response) -> None:
    """Refuse a page for people where a file is expected: an expired address or a sign-in page comes as one."""
    kind = answer.headers.get("Content-Type", "")
    if any(word in kind for word in ("html", "xml")):
        raise BadInput(
            f"Kaggle sent a page instead of {what}",
            expected="a file",
            got=f"{kind}: {answer.text[:200].strip()}",
            do="try again in a minute; if it stays, open the page in a browser and see what it asks for",
        )
