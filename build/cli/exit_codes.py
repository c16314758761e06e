"""The exit codes of every tool in one table, and how a tool comes to one: errors are printed, never raised."""

import argparse
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import NoReturn, ParamSpec

from lib.core.errors import BadInput

CODES = {
    0: "done",
    1: "failed: what was begun did not succeed; the reason stands above",
    2: "refused: nothing was begun; a name, a value, a path or a file is wrong",
    3: "not known yet: Kaggle has not ended, or a response was lost; the same command looks again",
    130: "interrupted by Ctrl-C; the same command resumes where a sweep, a training or a wait was cut off",
    143: "ended by SIGTERM or a closed terminal, and all that it had started with it; as after Ctrl-C",
}
DONE, FAILED, REFUSED, UNKNOWN, INTERRUPTED, TERMINATED = CODES
_FREE = "free the disk or open the folder, then run the same command again"
Arguments = ParamSpec("Arguments")


class Failed(BadInput):
    """An error after the work began; any other BadInput means that nothing was begun, unless it has an `exit_code`."""

    exit_code = FAILED


def exit_code_of(error: BadInput) -> int:
    """The code that an error ends a tool with."""
    return getattr(error, "exit_code", REFUSED)


@contextmanager
def failing_after_start() -> Iterator[None]:
    """Where the work has begun: whatever is wrong from here on is a failure, and no refusal."""
    try:
        yield
    except BadInput as error:
        if exit_code_of(error) != REFUSED:
            raise
        raise Failed(error.what, expected=error.expected, got=error.got, do=error.do) from error


class Parser(argparse.ArgumentParser):
    """The parser of a tool's command line; what it cannot read is a BadInput like any other."""

    def __init__(self, description: str | None = None, **more):
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter, **more)

    def error(self, message: str) -> NoReturn:
        """Raise with the usage."""
        usage = " ".join(self.format_usage().removeprefix("usage:").split())
        raise BadInput("the command line cannot be read", expected=usage, got=message, do="fix it; --help has more")


def tool(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """The command line of a tool, made to return a code of the table: an error is printed with its four parts."""

    @wraps(main)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except BadInput as error:
            print(error, file=sys.stderr)
            return exit_code_of(error)
        except OSError as error:  # a full disk, a folder that may not be written
            got = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
            print(Failed("the system refused", expected="room and rights", got=got, do=_FREE), file=sys.stderr)
            return FAILED
        except KeyboardInterrupt:
            print(file=sys.stderr)
            return INTERRUPTED
        except SystemExit as end:  # of --help
            return end.code if isinstance(end.code, int) else FAILED if end.code else DONE

    return run


def end(main: Callable[[], int]) -> NoReturn:
    """Run the tool and end the process with its code; where that is not 0, its meaning is the last line."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # under nohup a closed terminal ends nothing
            signal.signal(number, lambda *_: sys.exit(TERMINATED))  # else no `finally` would end what it started
    try:
        code = main()
    except Exception:
        traceback.print_exc()
        code = FAILED
    if code:
        sys.stdout.flush()
        print(f"exit {code}: {CODES.get(code, 'the code of the program that it started')}", file=sys.stderr)
    sys.exit(code)
