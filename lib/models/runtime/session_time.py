"""How long threads are inside sessions: what an engine cannot be faster than."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_thread = threading.local()


def session_seconds() -> float:
    """Seconds that this thread has been inside sessions by now."""
    return getattr(_thread, "seconds", 0.0)


@contextmanager
def in_session() -> Iterator[None]:
    """Count what happens inside as a session's time."""
    start = time.perf_counter()
    try:
        yield
    finally:
        _thread.seconds = session_seconds() + time.perf_counter() - start
