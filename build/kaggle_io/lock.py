"""One lock for runs/kaggle: what is built, sent and recorded for Kaggle is one call's at a time."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from build.kaggle_io.push_log import now
from lib.core.errors import BadInput


@contextmanager
def kaggle_lock(root: Path, *, waits: bool = False) -> Iterator[None]:
    """Hold the lock of runs/kaggle; while another call holds it, wait, or raise an error that names that call.

    The system releases it with the end of its process, however that comes.
    """
    path = root / "runs" / "kaggle" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            file.seek(0)
            raise BadInput(
                "another call sends to Kaggle or rehearses now",
                expected="one at a time",
                got=file.read() or "a call that has just begun",
                do="run this again when it has ended; a push lets others go while it waits for its run",
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}, `{' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])}`, since {now()}")
        file.flush()
        yield
