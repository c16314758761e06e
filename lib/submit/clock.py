"""The clock: how long each stage took, and what that means for six hundred soundscapes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CONTEST_SOUNDSCAPES = 600
BUDGET_MINUTES = 90.0


@dataclass
class Clock:
    """Seconds by stage, in order."""

    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside, and say so when it ends."""
        start = time.perf_counter()
        yield
        self.stages[name] = time.perf_counter() - start
        print(f"{name}: {self.stages[name]:.1f} s", flush=True)

    def projected_minutes(self, per_soundscape_s: float, scaled: str) -> float:
        """Minutes for the contest's test set: the stage `scaled` at its rate a soundscape, the others as they were."""
        fixed = sum(seconds for name, seconds in self.stages.items() if name != scaled)
        return (fixed + per_soundscape_s * CONTEST_SOUNDSCAPES) / 60.0
