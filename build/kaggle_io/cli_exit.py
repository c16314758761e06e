"""How a command ends: what went wrong becomes a line for people and an exit code for make."""

import sys
from collections.abc import Callable

from build.kaggle_io.client import StillUnknown
from lib.core.errors import BadInput

FAILED, UNKNOWN, INTERRUPTED = 1, 3, 130


def ended(work: Callable[[], int]) -> int:
    """What `work` returns; 1 after an error that says what to do, 3 when the end is not known yet, 130 after Ctrl-C."""
    try:
        return work()
    except StillUnknown as error:
        print(error, file=sys.stderr)
        return UNKNOWN
    except BadInput as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
