"""Run a command to its exit code: an error becomes a printed message and a code for make."""

import sys
from collections.abc import Callable

from build.cli.exit_codes import FAILED, INTERRUPTED, UNKNOWN
from build.kaggle_io.client import OutcomeUnknown
from lib.core.errors import BadInput


def run_cli(work: Callable[[], int]) -> int:
    """The return value of `work`; 1 after an error, which is printed, 3 with an unknown outcome, 130 after Ctrl-C."""
    try:
        return work()
    except OutcomeUnknown as error:
        print(error, file=sys.stderr)
        return UNKNOWN
    except BadInput as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("\ninterrupted: the same command resumes from here", file=sys.stderr)
        return INTERRUPTED
