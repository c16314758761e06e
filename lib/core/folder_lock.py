"""One run at a time in a folder that several may fill."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive_folder(folder: Path) -> Iterator[None]:
    """Wait until nobody else fills the folder; the lock dies with the process that holds it."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
