"""What can go wrong with one request to the loopback Kaggle: `kaggle.fail("SaveKernel", reset(done=True), …)`."""

import json
from dataclasses import dataclass, field

JSON, HTML = "application/json", "text/html; charset=utf-8"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request, instead of its answer, or with `done` after it was carried out."""

    status: int = 0
    body: str = ""
    kind: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    broken: bool = False
    done: bool = False
    kept_bytes: int | None = None  # of an upload, or of an answer's body, before the connection breaks
    unsized: bool = False  # the break is no error: the answer names no length
    also: dict | None = None  # merged into the true answer
    after: int = 0  # carried out so many requests later
    earlier: bool = False  # the answer of the first request of this name comes again


def refused(status: int, reason: str, nested: bool = False, **more) -> Fault:
    """An HTTP error with its reason in a flat or a nested body."""
    body = {"code": status, "message": reason}
    return Fault(status, json.dumps({"error": body} if nested else body), **more)


def instead(**answer) -> Fault:
    """Another response, and nothing done: Kaggle's `error` with status 200."""
    return Fault(200, json.dumps(answer))


def page(status: int = 200, body: str = "<html><title>Sign in</title></html>", kind: str = HTML) -> Fault:
    """A page where JSON or a file is expected."""
    return Fault(status, body, kind)


def reset(done: bool = False) -> Fault:
    """The connection is reset; with `done`, after the request was carried out."""
    return Fault(broken=True, done=done)


def hang(seconds: float = 30.0, done: bool = False) -> Fault:
    """No answer for so long; with `done`, the request was carried out."""
    return Fault(hang_s=seconds, broken=True, done=done)


def late(after: int, status: int = 0) -> Fault:
    """A reset, or an error of this status; the request is carried out when so many more have come."""
    return Fault(status, broken=not status, after=after)


def again(done: bool = True) -> Fault:
    """The answer of the first request of this name comes once more, out of its turn."""
    return Fault(earlier=True, done=done)


def cut(kept_bytes: int, unsized: bool = False) -> Fault:
    """An upload or an answer breaks off after so many bytes; where no length was named, nobody is told."""
    return Fault(kept_bytes=kept_bytes, broken=True, unsized=unsized)


def changed(**also) -> Fault:
    """The true answer, with these keys changed."""
    return Fault(also=also)
