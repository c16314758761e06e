"""Progress of a running notebook: a block of lines that moves on a terminal, one line at intervals elsewhere."""

import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lib.core.progress import format_duration

_EVERY_S = 30.0
_HEAD = "head"  # the notebook's own post
_UP_AND_CLEAR = "\x1b[{}F\x1b[J"  # to the beginning of so many lines above, and nothing below it


class Meter:
    """The number of code cells done, the current heading, the time passed; below, what the cell reports itself."""

    def __init__(self, name: str, total: int, posts: Path):
        self._name, self._total, self._posts = name, total, posts
        self._done, self._heading, self._start = 0, "", time.monotonic()
        self._screen = Screen(_EVERY_S)

    def __enter__(self) -> "Meter":
        self._screen.say(f"{self._name}: {self._total} code cells, starting")
        return self

    def __exit__(self, *_error: object) -> None:
        self._screen.clear()

    def update(self, event: dict) -> None:
        """Update the display by one report of the child."""
        if event["what"] == "started":
            self._heading = event["heading"]
        elif event["what"] == "completed":
            self._done += event["own"]

    def tick(self) -> None:
        """Show what is under way; call it often."""
        passed = format_duration(time.monotonic() - self._start)
        at = f", at “{self._heading}”" if self._heading and self._done < self._total else ""
        head = f"{self._name}: {self._done}/{self._total} code cells, {passed}{at}"
        (self._posts / _HEAD).write_text(head, encoding="utf-8")  # for a sweep, which watches many notebooks
        if self._screen.due():
            self._screen.show([head, *read_posts(self._posts)[1:]])


class Screen:
    """Standard output: on a terminal the last lines are a block that is rewritten, elsewhere lines only follow."""

    def __init__(self, every_s: float):
        self._moving = sys.stdout.isatty()
        self._every_s, self._shown, self._height = 0.5 if self._moving else every_s, time.monotonic(), 0

    def due(self) -> bool:
        """True when it is time to show the block again."""
        return time.monotonic() - self._shown >= self._every_s

    def show(self, lines: Sequence[str]) -> None:
        """Show the block in place of the one before; elsewhere all in one line."""
        self._shown = time.monotonic()
        if not self._moving:
            print("; ".join(lines), flush=True)
            return
        width, rows = shutil.get_terminal_size()
        shown = [lines[0], *(f"  {line}" for line in lines[1:])][: rows - 1]
        self._print("".join(f"{line[: width - 1]}\n" for line in shown))
        self._height = len(shown)

    def say(self, line: str) -> None:
        """Print a line that stays, above the block."""
        self._print(f"{line}\n")

    def clear(self) -> None:
        """Take the block away."""
        self._print("")

    def _print(self, text: str) -> None:
        """Print the text in place of the block, which is gone then."""
        up = _UP_AND_CLEAR.format(self._height) if self._height else ""
        print(f"{up}{text}", end="", flush=True)
        self._height = 0


def read_posts(folder: Path) -> list[str]:
    """The latest lines that are posted in the folder (lib/core/progress.py): the notebook's, then others by name."""
    lines = []
    for path in folder.glob("*"):
        with suppress(OSError, UnicodeDecodeError):
            lines.append((path.name != _HEAD, path.read_text(encoding="utf-8")))
    return [line for _, line in sorted(lines) if line]  # an empty one is just being written
