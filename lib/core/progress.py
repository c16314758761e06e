"""Progress output: one line that is rewritten on a terminal, one line at intervals elsewhere. No dependency."""

import sys
import time
from collections.abc import Iterable, Iterator

_EVERY_S = 10.0


def progress(items: Iterable, what: str, total: int) -> Iterator:
    """Yield the items while printing count, rate and time left."""
    moving = sys.stdout.isatty()
    start = printed = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if done == total or now - printed >= (0.2 if moving else _EVERY_S):
            printed = now
            rate = done / max(now - start, 1e-9)
            line = f"{what}: {done}/{total}, {rate:.1f}/s, {(total - done) / rate:.0f} s left"
            print(f"\r{line:<70}" if moving else line, end="\n" if done == total or not moving else "", flush=True)
