"""Progress of long work: rewritten in place on a terminal, printed at intervals elsewhere, posted to who watches a run.

Whoever starts a notebook may name a folder in WATCHED: what is under way then has a file there with its latest line.
On Kaggle and in Jupyter nobody does, and the lines at intervals are all there is. No dependency.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

WATCHED = "PANTANAL_PROGRESS"
_EVERY_S = 10.0
_MOVE_S, _POST_S = 0.2, 0.5


class LiveLine:
    """The line of one piece of work under way."""

    def __init__(self, name: str, every_s: float | None = None, clock: Callable[[], float] = time.monotonic):
        self._name, self._clock, self._moving = name, clock, sys.stdout.isatty()
        self._every_s = _MOVE_S if self._moving else _EVERY_S if every_s is None else every_s
        folder = os.environ.get(WATCHED)
        self._post = Path(folder) / f"{os.getpid()}-{id(self)}" if folder else None
        self._shown = self._posted = clock()
        self.post("starting")

    def update(self, text: Callable[[], str]) -> None:
        """Show the text where that is due; call it as often as you like."""
        now = self._clock()
        if now - self._shown >= self._every_s:
            self._shown = now
            self._print(text(), stays=not self._moving)
        if self._post and now - self._posted >= _POST_S:
            self._posted = now
            self.post(text())

    def keep(self, text: str) -> None:
        """Print a text that stays, on a terminal in place of the line."""
        self._print(text, stays=True)

    def post(self, text: str) -> None:
        """Put the line where a watcher reads it; a watcher that has gone away is none of the work's concern."""
        if self._post:
            with suppress(OSError):
                self._post.write_text(f"{self._name}: {text}", encoding="utf-8")

    def close(self) -> None:
        """Withdraw what was posted."""
        if self._post:
            with suppress(OSError):
                self._post.unlink(missing_ok=True)

    def _print(self, text: str, stays: bool) -> None:
        """Print the line, on a terminal over the one before."""
        line = f"{self._name}: {text}"
        print(f"\r{line:<110}" if self._moving else line, end="\n" if stays else "", flush=True)


def progress(items: Iterable, what: str, total: int) -> Iterator:
    """Yield the items while printing count, rate and time left."""
    if not total:
        yield from items
        return
    start, live = time.monotonic(), LiveLine(what)
    first = start  # when the first item was done: it may have waited for processes to start, or a file to be read
    live.post(f"0/{total}")
    try:
        for done, item in enumerate(items, start=1):
            yield item
            first = time.monotonic() if done == 1 else first
            if done < total:
                live.update(partial(_count, done, total, start, first))
            else:
                live.keep(_count(done, total, start, start))
    finally:
        live.close()


def _count(done: int, total: int, start: float, first: float) -> str:
    """The count with its rate since the first item, and the time left; at the end with the whole rate and time."""
    now = time.monotonic()
    if done == 1 < total:
        return f"1/{total} after {format_duration(now - start)}"
    rate = (done if done == total else done - 1) / max(now - first, 1e-9)
    speed = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
    left = f"{format_duration((total - done) / rate)} left" if done < total else f"in {format_duration(now - start)}"
    return f"{done}/{total}, {speed}, {left}"


def format_duration(seconds: float) -> str:
    """Seconds as people read them: 8.3 s, 42 s, 4 min 05 s, 1 h 02 min."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
