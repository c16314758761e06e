"""One soundscape, heard by everyone who listens: their tables, or why there are none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE, parse_soundscape, soundscape_named
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.open import Member
from lib.models.runtime.onnx import session_seconds
from lib.sound.decode import decode
from lib.submit.budget import Clock
from lib.submit.timing import Spent, TimedInputs

_TRIES = 2  # a fault that does not come back was none of the member's


@dataclass(frozen=True, eq=False)
class SoundscapeResult:
    """What came of one soundscape: (12, classes) tables by member, faults by member, or that it has neither."""

    file: Path
    tables: dict[str, np.ndarray] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    unreadable: str = ""
    late: bool = False


def hear(
    file: Path, members: Mapping[str, Member], width: int, clock: Clock, last_try: bool = False
) -> SoundscapeResult:
    """The answers of all members, `width` classes wide; it looks at the clock, and at who still listens, as it goes.

    Too little memory is a MemoryError, since others working at once may be why; at the last try it is a fault.
    """
    start, before_s = clock.now(), session_seconds()
    try:
        audio = decode(file)
    except Exception as error:  # whatever a file makes a reader do, it costs its own rows at most
        _raise_memory(error, last_try)
        return SoundscapeResult(
            file, unreadable=f"{file.name}: {error}".replace(f"{file.name}: {file.name}: ", f"{file.name}: ")
        )
    spent = Spent(decoding=clock.now() - start)
    hearing = TimedInputs(soundscape_named(file.name), audio, now=clock.now, spent=spent)
    answer = SoundscapeResult(file, spent=spent)
    for name, member in list(members.items()):
        if not clock.minutes_left:
            return SoundscapeResult(file, late=True)
        if name in members:  # it may have been dropped since this soundscape was begun
            _ask(answer, hearing, name, member, width, last_try)
    spent.sessions = session_seconds() - before_s
    return answer


def _ask(answer: SoundscapeResult, hearing: TimedInputs, name: str, member: Member, width: int, last_try: bool) -> None:
    """Enter the member's table, or after a second try its fault."""
    for _ in range(_TRIES):
        try:
            table = np.asarray(hearing.by(name, member.score), dtype=np.float32)
        except Exception as error:  # a member may be anything that somebody trained
            _raise_memory(error, last_try)
            answer.faults[name] = f"{type(error).__name__}: {' '.join(f'{error}'.split())}"
            continue
        fault = _fault(table, width)
        if not fault:
            answer.tables[name] = table
            answer.faults.pop(name, None)
            return
        answer.faults[name] = fault


def _raise_memory(error: Exception, last_try: bool) -> None:
    """Raise a MemoryError where that is what it is; ONNX Runtime has a failure of its own for it."""
    if not last_try and (isinstance(error, MemoryError) or "Failed to allocate memory" in f"{error}"):
        raise MemoryError from error


def _fault(table: np.ndarray, width: int) -> str:
    """Why a table is not (12, classes) chances; nothing where it is."""
    if table.shape != (WINDOWS_PER_SOUNDSCAPE, width):
        return f"a table of shape {table.shape} instead of {(WINDOWS_PER_SOUNDSCAPE, width)}"
    if not np.isfinite(table).all():
        return "a score that is not finite"
    if not (table.min() >= 0 and table.max() <= 1):
        return f"a score outside [0, 1]: {table.min():g} … {table.max():g}"
    return ""


def prior_table(prior: Member, stem: str) -> np.ndarray:
    """(12, classes) what the prior says, from the name alone."""
    return prior.score(SoundscapeInputs(parse_soundscape(stem), None))
