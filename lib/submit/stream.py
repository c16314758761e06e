"""The stream: soundscapes go in, one a thread; tables fill up; who is too slow or breaks is left out, for all rows.

Decoding ahead was measured and gains nothing here: a thread that decodes its own soundscape keeps a core as busy, and
no more than one decoded soundscape a thread is alive.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path

import numpy as np

from lib.blend.recipe import Ingredient
from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE, row_ids
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.core.progress import progress
from lib.models.member.open import Member
from lib.submit.budget import Clock, make_plan
from lib.submit.soundscape import SoundscapeResult, hear
from lib.submit.timing import Meter

FIRST = 8  # soundscapes before anybody is dropped: the costs in a recipe were measured on another machine
_KEEP_MINUTES = 15.0  # between better and better submissions
_MAY_FAIL = 0.05  # of the soundscapes, for a member that the recipe requires


@dataclass(frozen=True)
class DroppedMember:
    """Why a member was left out, and when."""

    why: str
    minutes: float


@dataclass(frozen=True, eq=False)
class StreamResult:
    """What the members made of the soundscapes: scores of what was heard, the prior's of all, and what was given up."""

    parts: dict[str, Scores]
    prior: Scores
    dropped: dict[str, DroppedMember]
    alarms: tuple[str, ...]
    meter: Meter
    workers: int


def score_soundscapes(
    files: Sequence[Path],
    members: Mapping[str, Member],
    ingredients: Sequence[Ingredient],
    prior: Scores,
    clock: Clock,
    keep: Callable[[StreamResult], None] | None = None,
) -> StreamResult:
    """The members' scores of the soundscapes, the same bits however many work at once and in whatever order.

    `prior` has the rows of all files; the ingredients say who may be dropped when time runs short. `keep` is called
    now and then with what there is by then.
    """
    return _Stream(list(files), dict(members), list(ingredients), prior, clock, keep).run()


@dataclass(eq=False)
class _Stream:
    files: list[Path]
    members: dict[str, Member]  # who still listens; the tasks look at it as they go
    ingredients: list[Ingredient]
    prior: Scores
    clock: Clock
    keep: Callable[[StreamResult], None] | None
    dropped: dict[str, DroppedMember] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)

    def __post_init__(self):
        self.place = {file: number for number, file in enumerate(self.files)}
        shape = len(self.files) * WINDOWS_PER_SOUNDSCAPE, len(self.prior.classes)
        self.tables = {name: np.zeros(shape, dtype=np.float32) for name in self.members}
        self.heard = np.zeros(len(self.files), dtype=bool)
        self.workers = cpu_count() or 1
        self.again: set[Path] = set()  # files that met the end of the memory, and were given a second try
        self.done = self.failed = 0
        self.kept_minutes = self.clock.minutes

    def run(self) -> StreamResult:
        """Everything that can be heard in time."""
        pool = ThreadPoolExecutor(self.workers)
        try:
            for answer in progress(self._answers(pool), "listening", len(self.files)):
                self._take(answer)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # a task that hangs is not waited for
        if late := len(self.files) - self.done:
            self._alarm(f"{late} of {len(self.files)} soundscapes were not heard in time: the prior's ranks")
        return self._so_far()

    def _answers(self, pool: ThreadPoolExecutor) -> Iterator[SoundscapeResult]:
        """The answers as they come, until all have, or the guard says stop."""
        waiting, running = deque(self.files), {}
        while waiting or running:
            while waiting and len(running) < self.workers and self._may_start():
                file = waiting.popleft()
                arguments = file, self.members, len(self.prior.classes), self.clock, file in self.again
                running[pool.submit(hear, *arguments)] = file
            finished, _ = wait(running, timeout=60 * self.clock.minutes_left, return_when=FIRST_COMPLETED)
            if not finished:
                return
            for future in sorted(finished, key=lambda future: self.place[running[future]]):
                answer = self._answer(future, file := running.pop(future))
                if answer is None:
                    waiting.appendleft(file)
                elif not answer.late:
                    yield answer

    def _may_start(self) -> bool:
        """Whether another soundscape would end before the guard."""
        return self.meter.costs().of(self.members) < 60 * self.clock.minutes_left

    def _answer(self, future: Future, file: Path) -> SoundscapeResult | None:
        """The task's answer; None where the memory did not suffice and the file deserves a second try."""
        try:
            return future.result()
        except MemoryError:
            if not self.again:
                self.workers = max(1, self.workers // 2)
                self._alarm(f"the memory does not suffice: {self.workers} at once from here on")
            self.again.add(file)
            return None

    def _take(self, answer: SoundscapeResult) -> None:
        """Enter the answer, see who has to go, and keep what there is from time to time."""
        self.done += 1
        if answer.unreadable:
            self._alarm(f"unreadable, scored by the prior: {answer.unreadable}")
            return
        for name in [name for name in answer.faults if name in self.members]:
            self._faulty(name, answer)
        if set(self.members) <= set(answer.tables):
            self._enter(answer)
        if self.meter.soundscapes >= FIRST:
            self._replan()
        if self.keep and self.clock.minutes - self.kept_minutes >= _KEEP_MINUTES:
            self._keep()

    def _keep(self) -> None:
        """Hand over what there is; if so few soundscapes cannot be blended, all of them may yet be."""
        self.kept_minutes = self.clock.minutes
        try:
            self.keep(self._so_far())
        except BadInput as error:
            self._alarm(f"nothing was kept at minute {self.clock.minutes:.1f}: {error.what}, {error.got}")

    def _enter(self, answer: SoundscapeResult) -> None:
        first = self.place[answer.file] * WINDOWS_PER_SOUNDSCAPE
        for name in self.members:
            self.tables[name][first : first + WINDOWS_PER_SOUNDSCAPE] = answer.tables[name]
        self.heard[self.place[answer.file]] = True
        self.meter.add(answer.spent)

    def _faulty(self, name: str, answer: SoundscapeResult) -> None:
        """An optional member goes; a required one costs the soundscape its rows, and not many of them."""
        fault = f"{answer.faults[name]}, twice on {answer.file.name}"
        if name in self._optional():
            self._drop(name, fault)
            return
        self._alarm(f"{name} failed, the soundscape is scored by the prior: {fault}")
        self.failed += 1
        if self.failed > _MAY_FAIL * len(self.files):
            raise BadInput(
                f"{name}, which the recipe requires, fails",
                expected=f"at most {_MAY_FAIL:.0%} of {len(self.files)} soundscapes without its scores",
                got=f"{self.failed} by now; the last: {fault}",
                do="mend the member, or make it optional in 05",
            )

    def _replan(self) -> None:
        """Drop whom the time no longer allows."""
        listening = [member for member in self.ingredients if member.name in self.members]
        costs, to_come = self.meter.costs(), len(self.files) - self.done
        plan = make_plan(listening, costs, soundscapes=to_come, workers=self.workers, minutes=self.clock.minutes)
        all_s, minutes = costs.of(self.members), self.clock.minutes
        for name in plan.dropped:
            self._drop(name, f"at {all_s:.2f} s a soundscape, {to_come} more do not fit")
        if plan.dropped or self.meter.soundscapes == FIRST:
            print(f"minute {minutes:.1f}: at this pace listening ends at minute {plan.end_minutes:.1f}", flush=True)

    def _drop(self, name: str, why: str) -> None:
        """Nobody asks this member again, and what it said is thrown away."""
        del self.members[name], self.tables[name]
        self.dropped[name] = DroppedMember(why, self.clock.minutes)
        self._alarm(f"{name} is left out from minute {self.clock.minutes:.1f}: {why}")

    def _optional(self) -> set[str]:
        return {member.name for member in self.ingredients if not member.required}

    def _alarm(self, text: str) -> None:
        self.alarms.append(text)
        print(f"ALARM: {text}", flush=True)

    def _so_far(self) -> StreamResult:
        """What there is by now."""
        rows = [row for number in np.flatnonzero(self.heard) for row in row_ids(self.files[number].stem)]
        inside = np.repeat(self.heard, WINDOWS_PER_SOUNDSCAPE)
        parts = {name: Scores(table[inside], rows, self.prior.classes, "prob") for name, table in self.tables.items()}
        return StreamResult(parts, self.prior, dict(self.dropped), tuple(self.alarms), self.meter, self.workers)
