"""A file lock: one run at a time in a folder that several may write to."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive_folder(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, waiting until no other process holds it; the lock is released when its process ends."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
