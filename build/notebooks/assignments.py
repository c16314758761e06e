"""Assignments as a person types them, in one grammar for all tools: `P="a=1 02:b=x"`."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from build.notebooks.parameters import is_called, parameters_of
from build.notebooks.values import convert_parameters, no_such_parameter
from build.project import display_path
from lib.core.errors import BadInput

_ASSIGNMENT = re.compile(r"(?:(\w+):)?([^\W\d]\w*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Assignment:
    """One `name=value` of a command line, for one notebook or for each that has the parameter."""

    notebook: str
    name: str
    value: str


def parse_assignments(text: str) -> list[Assignment]:
    """`fold=0 02:epochs=1` as a list; quotes hold a value with spaces together."""
    try:
        parts = shlex.split(text)
    except ValueError as error:
        raise _unreadable(text, f"{text}: {error}") from error
    found: list[Assignment] = []
    for part in parts:
        read = _ASSIGNMENT.fullmatch(part)
        if not read:
            raise _unreadable(text, part)
        one = Assignment(read[1] or "", read[2], read[3])
        if (one.notebook, one.name) in [(other.notebook, other.name) for other in found]:
            raise _unreadable(text, f"{part}, and {one.name} before it")
        found.append(one)
    return found


def _unreadable(text: str, got: str) -> BadInput:
    """The error of a list of parameters that cannot be read."""
    return BadInput(
        f"not a list of parameters: {text}",
        expected="name=value, with spaces between, each name once; 02:name=value for one notebook of several",
        got=got,
        do='write it as in P="02:epochs=1 seed=3"',
    )


def assign(sources: Sequence[Path], text: str) -> dict[Path, dict[str, object]]:
    """The values that the text sets, in their types, for each source; one without a notebook is for all that have it.

    A value that no source takes is an error.
    """
    values: dict[Path, dict[str, object]] = {source: {} for source in sources}
    for one in sorted(parse_assignments(text), key=lambda one: one.notebook != ""):  # what names its notebook wins
        named = [source for source in sources if not one.notebook or is_called(source, one.notebook)]
        if not named:
            raise BadInput(
                f"{one.notebook}:{one.name}=… is for a notebook that is not run",
                expected=f"one of {', '.join(source.stem for source in sources)}",
                got=one.notebook,
                do="add that notebook, or drop the parameter",
            )
        takers = [source for source in named if one.name in parameters_of(source)]
        if not takers:
            where = display_path(named[0]) if len(named) == 1 else f"none of {len(named)} notebooks"
            known = dict.fromkeys(name for source in named for name in parameters_of(source))
            raise no_such_parameter(where, one.name, list(known))
        for source in takers:
            values[source][one.name] = one.value
    return {source: convert_parameters(source, found) if found else {} for source, found in values.items()}
