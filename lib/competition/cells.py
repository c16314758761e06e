"""Cells of the contest's tables: a list of strings, and the end of a window; anything else is refused."""

import ast
import re

from lib.competition.row_ids import WINDOW_S, window_ends
from lib.core.errors import BadInput

_CLOCK = re.compile(r"(\d\d):(\d\d):(\d\d)", re.ASCII)
_LONGEST_LIST = 10_000  # characters


def literal_list(text: str, where: str) -> tuple[str, ...]:
    """The strings of a Python list literal; nothing is evaluated."""
    try:
        value = ast.literal_eval(text[:_LONGEST_LIST].strip() or "[]")
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise _bad_list(f"{where} cannot be read", text) from error
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _bad_list(f"{where} is not a list of strings", text)
    return tuple(item for item in value if item)


def _bad_list(what: str, text: str) -> BadInput:
    return BadInput(what, expected="a list such as ['a', 'b']", got=text[:80], do="fix the cell")


def window_end(start: str, end: str, where: str) -> int:
    """The end second of a window given as HH:MM:SS twice; it must be one of the twelve."""
    begin_s, end_s = _seconds(start, where), _seconds(end, where)
    if end_s - begin_s != WINDOW_S or end_s not in window_ends():
        raise BadInput(
            f"{where}: not one of the twelve windows",
            expected="five seconds, ending at 5, 10, … 60 s",
            got=f"{start} to {end}",
            do="fix the row's start and end",
        )
    return end_s


def _seconds(clock: str, where: str) -> int:
    match = _CLOCK.fullmatch(clock)
    if match is None:
        raise BadInput(f"{where}: time cannot be read", expected="HH:MM:SS", got=clock[:80], do="fix the row")
    hours, minutes, seconds = map(int, match.groups())
    return hours * 3600 + minutes * 60 + seconds
