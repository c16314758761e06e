"""Score soundscapes in parallel, one a thread; a member that fails or is too slow is dropped for all rows.

Decoding ahead was measured and gains nothing here: a thread that decodes its own soundscape keeps a core as busy, and
no more than one decoded soundscape a thread is alive.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path

import numpy as np

from lib.blend.costs import planned_costs
from lib.blend.recipe import RecipeMember
from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE, row_ids
from lib.competition.scores import Scores
from lib.core.daemon_threads import in_daemon_thread
from lib.core.errors import BadInput
from lib.core.progress import progress
from lib.models.member.open import Member
from lib.submit.budget import Clock, make_plan
from lib.submit.soundscape import SoundscapeResult, Watch, score_soundscape
from lib.submit.timing import Meter
from lib.submit.workers import Workers

WARMUP_SOUNDSCAPES = 8  # before any member is dropped: a recipe's costs were measured on another machine
_SAVE_MINUTES = 15.0  # between partial submissions, each better than the last
_MAY_FAIL = 0.05  # of the soundscapes: so many may be scored by the prior because members fail on them
_HANG_S, _HANG_TIMES = 60.0, 20  # a step that takes this long, and so many times what it usually takes, is given up
_LOOK_S = 1.0  # between looks at the threads


@dataclass(frozen=True)
class DroppedMember:
    """The reason for which a member was left out, and the minute."""

    reason: str
    minutes: float


@dataclass(frozen=True, eq=False)
class StreamResult:
    """Each kept member's scores of all scored soundscapes, the prior's of all soundscapes, and what was given up."""

    member_scores: dict[str, Scores]
    prior: Scores
    dropped: dict[str, DroppedMember]
    alarms: tuple[str, ...]
    meter: Meter
    workers: int


def score_soundscapes(
    files: Sequence[Path],
    members: Mapping[str, Member],
    recipe_members: Sequence[RecipeMember],
    prior: Scores,
    clock: Clock,
    save_partial: Callable[[StreamResult], object] | None = None,
) -> StreamResult:
    """The members' scores of the soundscapes, the same bits for any number of threads and any order of files.

    `prior` has the rows of all files; `recipe_members` say which may be dropped when time runs short. `save_partial`
    is called every quarter of an hour with the results so far.
    """
    return _Stream(list(files), dict(members), list(recipe_members), prior, clock, save_partial).run()


@dataclass(eq=False)
class _Stream:
    files: list[Path]
    members: dict[str, Member]  # those still in use; the tasks check it as they go
    recipe_members: list[RecipeMember]
    prior: Scores
    clock: Clock
    save_partial: Callable[[StreamResult], object] | None
    dropped: dict[str, DroppedMember] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)

    def __post_init__(self) -> None:
        self.place = {file: number for number, file in enumerate(self.files)}
        shape = len(self.files) * WINDOWS_PER_SOUNDSCAPE, len(self.prior.classes)
        self.tables = {name: np.zeros(shape, dtype=np.float32) for name in self.members}
        self.scored = np.zeros(len(self.files), dtype=bool)
        self.workers = Workers(cpu_count() or 1)
        self.running: dict[Future[SoundscapeResult], tuple[Path, Watch]] = {}
        self.done = self.failed = 0
        self.saved_minutes = self.clock.minutes
        self.planned = planned_costs(self.recipe_members)

    def run(self) -> StreamResult:
        """Score all soundscapes that the time allows."""
        for result in progress(self._results(), "scoring", len(self.files)):
            self._handle_result(result)
        if late := len(self.files) - self.done:
            self._alarm(f"{late} of {len(self.files)} soundscapes were not scored in time: the prior's ranks")
        return self._result_so_far()

    def _results(self) -> Iterator[SoundscapeResult]:
        """The results as they complete, until all have or the guard's minute has come."""
        waiting = deque(self.files)
        while waiting or self.running:
            while waiting and len(self.running) < self.workers.now and self._may_start():
                self._start(waiting.popleft())
            look_s = min(_LOOK_S, 60 * self.clock.minutes_left)
            finished, _ = wait(self.running, timeout=look_s, return_when=FIRST_COMPLETED)
            if not self.running or not (finished or self.clock.minutes_left):
                return  # a thread that hangs is not waited for
            in_order = sorted(finished, key=lambda future: self.place[self.running[future][0]])
            results = [self._result_or_retry(future) for future in in_order]
            results += [self._give_up(future) for future, (_, watch) in [*self.running.items()] if self._hangs(watch)]
            for file, result in results:
                if result is None:
                    waiting.appendleft(file)
                elif not result.timed_out:
                    yield result

    def _start(self, file: Path) -> None:
        watch = Watch(self.clock.now())
        arguments = file, self.members, len(self.prior.classes), self.clock, self.workers.is_final(file), watch
        self.running[in_daemon_thread(score_soundscape, *arguments)] = file, watch

    def _may_start(self) -> bool:
        """True if another soundscape would end before the guard."""
        return self.meter.costs().total(self.members) < 60 * self.clock.minutes_left

    def _result_or_retry(self, future: Future[SoundscapeResult]) -> tuple[Path, SoundscapeResult | None]:
        """The file and its result; None if it ran out of memory and is to be tried again."""
        file, _ = self.running.pop(future)
        try:
            result = future.result()
        except MemoryError:
            if self.workers.halve(file):
                self._alarm(f"out of memory: {self.workers.now} soundscapes at once for a while")
            return file, None
        self.workers.done(file)
        return file, result

    def _hangs(self, watch: Watch) -> bool:
        """True if the step that the thread is at takes far longer than it usually does."""
        return self.clock.now() - watch.since > self._patience_s(watch.member)

    def _patience_s(self, member: str) -> float:
        """The seconds after which a member, or reading where it is "", is given up."""
        usual_s = max(costs.total({member}) for costs in (self.meter.costs(), self.planned))
        return max(_HANG_S, _HANG_TIMES * usual_s)

    def _give_up(self, future: Future[SoundscapeResult]) -> tuple[Path, SoundscapeResult | None]:
        """Leave the thread to itself, another takes its place; the file and a failure, or None to score it again.

        An optional member that hangs is dropped. Reading and required members are the file's failure.
        """
        file, watch = self.running.pop(future)
        watch.given_up = True
        name, late = watch.member, f"no answer in {self._patience_s(watch.member):.0f} s"
        if name in self._optional():
            if name in self.members:
                self._drop(name, f"{late} on {file.name}")
            return file, None
        self.workers.done(file)
        if not name:
            return file, SoundscapeResult(file, read_error=f"{file.name}: {late}")
        return file, SoundscapeResult(file, failures={name: late})

    def _handle_result(self, result: SoundscapeResult) -> None:
        """Store the result, drop members that failed or are too slow, and save a partial submission when due."""
        self.done += 1
        if result.read_error:
            self._alarm(f"unreadable, scored by the prior: {result.read_error}")
            return
        if result.damage:
            self._alarm(f"scored, but damaged: {result.file.name}: {result.damage}")
        if failures := {name: reason for name, reason in result.failures.items() if name in self.members}:
            self._handle_failures(result.file, failures)
        if set(self.members) <= set(result.tables):
            self._store(result)
        if self.meter.soundscapes >= WARMUP_SOUNDSCAPES:
            self._replan()
        if self.save_partial and self.clock.minutes - self.saved_minutes >= _SAVE_MINUTES:
            self._save(self.save_partial)

    def _save(self, save_partial: Callable[[StreamResult], object]) -> None:
        """Pass on the results so far; if so few soundscapes cannot be blended, all of them may yet be."""
        self.saved_minutes = self.clock.minutes
        try:
            save_partial(self._result_so_far())
        except Exception as error:  # the last one written is still there
            self._alarm(f"nothing was saved at minute {self.clock.minutes:.1f}: {' '.join(f'{error}'.split())}")

    def _store(self, result: SoundscapeResult) -> None:
        first = self.place[result.file] * WINDOWS_PER_SOUNDSCAPE
        for name in self.members:
            self.tables[name][first : first + WINDOWS_PER_SOUNDSCAPE] = result.tables[name]
        self.scored[self.place[result.file]] = True
        self.meter.add(result.seconds)

    def _handle_failures(self, file: Path, failures: dict[str, str]) -> None:
        """Leave a file that is to blame to the prior, if there are not too many of them; else drop optional members.

        The file is to blame if a required member fails on it, or all of those that need its audio, if several do.
        """
        optional = self._optional()
        required = [name for name in failures if name not in optional]
        with_audio = {name for name, member in self.members.items() if member.needs_audio}
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
        if required or (len(with_audio) > 1 and with_audio <= set(failures)):
            self._alarm(f"{file.name} is scored by the prior, members failed: {reasons}")
            self.failed += 1
            if self.failed <= max(1, _MAY_FAIL * len(self.files)):
                return
        if required:
            raise BadInput(
                f"{required[0]}, which the recipe requires, fails",
                expected=f"at most {_MAY_FAIL:.0%} of {len(self.files)} soundscapes on which members fail",
                got=f"{self.failed} by now; the last, {file.name}: {reasons}",
                do="fix the member, or make it optional in 05",
            )
        for name, reason in failures.items():
            self._drop(name, f"{reason} on {file.name}")

    def _replan(self) -> None:
        """Drop the members that the time no longer allows."""
        active = [member for member in self.recipe_members if member.name in self.members]
        costs, to_come = self.meter.costs(), len(self.files) - self.done
        plan = make_plan(
            active, costs, soundscapes=to_come, workers=self.workers.now, minutes=self.clock.minutes, of=len(self.files)
        )
        all_s, minutes = costs.total(self.members), self.clock.minutes
        for name in plan.dropped:
            self._drop(name, f"at {all_s:.2f} s a soundscape, {to_come} more do not fit")
        if plan.dropped or self.meter.soundscapes == WARMUP_SOUNDSCAPES:
            print(f"minute {minutes:.1f}: at this pace scoring ends at minute {plan.end_minutes:.1f}", flush=True)

    def _drop(self, name: str, reason: str) -> None:
        """Stop running this member and discard its scores."""
        del self.members[name], self.tables[name]
        self.dropped[name] = DroppedMember(reason, self.clock.minutes)
        self._alarm(f"{name} is left out from minute {self.clock.minutes:.1f}: {reason}")

    def _optional(self) -> set[str]:
        return {member.name for member in self.recipe_members if not member.required}

    def _alarm(self, text: str) -> None:
        self.alarms.append(text)
        print(f"ALARM: {text}", flush=True)

    def _result_so_far(self) -> StreamResult:
        """The scores of the soundscapes that are complete by now."""
        rows = tuple(row for number in np.flatnonzero(self.scored) for row in row_ids(self.files[number].stem))
        inside = np.repeat(self.scored, WINDOWS_PER_SOUNDSCAPE)
        scores = {name: Scores(table[inside], rows, self.prior.classes, "prob") for name, table in self.tables.items()}
        return StreamResult(scores, self.prior, dict(self.dropped), tuple(self.alarms), self.meter, self.workers.now)
