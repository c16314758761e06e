"""The clock: how long each stage took, how much of the ninety minutes is gone, and what that means for 600 files."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CONTEST_SOUNDSCAPES = 600
BUDGET_MINUTES = 90.0
TARGET_MINUTES = 75.0  # when a plan made at the start should end
GUARD_MINUTES = 85.0  # when nothing new is started any more; the rest is for blending and writing


@dataclass
class Clock:
    """Seconds by stage, in order; `now` is a clock that only moves on."""

    stages: dict[str, float] = field(default_factory=dict)
    now: Callable[[], float] = time.perf_counter

    def __post_init__(self):
        self._start = self.now()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside, and say so when it ends."""
        start = self.now()
        yield
        self.stages[name] = self.now() - start
        print(f"{name}: {self.stages[name]:.1f} s", flush=True)

    @property
    def minutes(self) -> float:
        """Minutes since the clock was made."""
        return (self.now() - self._start) / 60.0

    @property
    def minutes_left(self) -> float:
        """Minutes in which work may still be started, or waited for; none once the guard has come."""
        return max(0.0, GUARD_MINUTES - self.minutes)

    def projected_minutes(self, per_soundscape_s: float, scaled: str) -> float:
        """Minutes for the contest's test set: the stage `scaled` at its rate a soundscape, the others as they were."""
        fixed = sum(seconds for name, seconds in self.stages.items() if name != scaled)
        return (fixed + per_soundscape_s * CONTEST_SOUNDSCAPES) / 60.0
