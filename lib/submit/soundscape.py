"""Score one soundscape with every active member: a table a member, or the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE, parse_soundscape, soundscape_named
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.open import Member
from lib.models.runtime.onnx import session_seconds
from lib.sound.decode import read_soundscape
from lib.submit.budget import Clock
from lib.submit.timing import SoundscapeSeconds, TimedInputs

_TRIES = 2  # a failure that does not come back is not the member's fault


@dataclass(frozen=True, eq=False)
class SoundscapeResult:
    """One soundscape's (12, classes) tables and failures by member; or a read error, or that the guard cut it off.

    `damage` is what is wrong with a file that was read after all.
    """

    file: Path
    tables: dict[str, np.ndarray] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    seconds: SoundscapeSeconds = field(default_factory=SoundscapeSeconds)
    read_error: str = ""
    damage: str = ""
    timed_out: bool = False


@dataclass(eq=False)
class Watch:
    """The step that a thread is at, a member's name or "" while it reads, and since when; others may give it up."""

    since: float
    member: str = ""
    given_up: bool = False


def score_soundscape(
    file: Path,
    members: Mapping[str, Member],
    width: int,
    clock: Clock,
    final_attempt: bool = False,
    watch: Watch | None = None,
) -> SoundscapeResult:
    """Run all members on the soundscape; their tables are `width` classes wide.

    Before each member the clock is checked, and that the member was not dropped meanwhile. Too little memory is a
    MemoryError, since soundscapes in other threads may be the cause; in the final attempt it is a failure.
    """
    watch = watch or Watch(clock.now())
    start, before_s = clock.now(), session_seconds()
    try:
        recording = read_soundscape(file)
    except Exception as error:  # whatever a file makes a reader do, it costs its own rows at most
        _raise_memory(error, final_attempt)
        text = f"{file.name}: {error}".replace(f"{file.name}: {file.name}: ", f"{file.name}: ")
        return SoundscapeResult(file, read_error=text)
    seconds = SoundscapeSeconds(decoding=clock.now() - start)
    inputs = TimedInputs(soundscape_named(file.name), recording.audio, now=clock.now, seconds=seconds)
    result = SoundscapeResult(file, seconds=seconds, damage=recording.damage)
    for name, member in list(members.items()):
        if watch.given_up or not clock.minutes_left:
            return SoundscapeResult(file, timed_out=True)
        if name in members:  # it may have been dropped since this soundscape was begun
            watch.member, watch.since = name, clock.now()
            _predict(result, inputs, name, member, width, final_attempt)
    seconds.sessions = session_seconds() - before_s
    return result


def _predict(
    result: SoundscapeResult, inputs: TimedInputs, name: str, member: Member, width: int, final_attempt: bool
) -> None:
    """Store the member's table, or after a second try its failure."""
    for _ in range(_TRIES):
        try:
            table = np.asarray(inputs.time_member(name, member.score), dtype=np.float32)
        except Exception as error:  # a member is any trained model, so its failure can be anything
            _raise_memory(error, final_attempt)
            result.failures[name] = f"{type(error).__name__}: {' '.join(f'{error}'.split())}, twice"
            continue
        failure = _table_error(table, width)
        if not failure:
            result.tables[name] = table
            result.failures.pop(name, None)
            return
        result.failures[name] = f"{failure}, twice"


def _raise_memory(error: Exception, final_attempt: bool) -> None:
    """Raise MemoryError if the error means that; ONNX Runtime reports it as a failure of its own."""
    if not final_attempt and (isinstance(error, MemoryError) or "Failed to allocate memory" in f"{error}"):
        raise MemoryError from error


def _table_error(table: np.ndarray, width: int) -> str:
    """The reason why a table is not (12, classes) probabilities; empty if it is."""
    if table.shape != (WINDOWS_PER_SOUNDSCAPE, width):
        return f"a table of shape {table.shape} instead of {(WINDOWS_PER_SOUNDSCAPE, width)}"
    if not np.isfinite(table).all():
        return "a score that is not finite"
    if not (table.min() >= 0 and table.max() <= 1):
        return f"a score outside [0, 1]: {table.min():g} … {table.max():g}"
    return ""


def prior_table(prior: Member, stem: str) -> np.ndarray:
    """(12, classes) the prior's probabilities, from the soundscape's name alone."""
    return prior.score(SoundscapeInputs(parse_soundscape(stem), None))
