"""A file lock: one run at a time in a folder that several may write to."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive_folder(folder: Path, name: str = "lock") -> Iterator[None]:
    """Hold the folder's lock, waiting until nobody else holds it; the lock is released when its process ends.

    Within the block the same lock would be waited for without an end: a lock of another purpose has another name.
    """
    with (folder / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
