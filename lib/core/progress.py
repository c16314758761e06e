"""Progress for people who wait: one line that moves on a terminal, one line at intervals elsewhere. No dependency."""

import sys
import time
from collections.abc import Iterable, Iterator

_EVERY_S = 10.0


def progress(items: Iterable, what: str, total: int) -> Iterator:
    """The items, with count, rate and time left shown while they pass."""
    moving = sys.stdout.isatty()
    start = shown = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if done == total or now - shown >= (0.2 if moving else _EVERY_S):
            shown = now
            rate = done / max(now - start, 1e-9)
            line = f"{what}: {done}/{total}, {rate:.1f}/s, {(total - done) / rate:.0f} s left"
            print(f"\r{line:<70}" if moving else line, end="\n" if done == total or not moving else "", flush=True)
