"""How fast training goes: clips a second, the share of time it waits for data, and when it will be done."""

import sys
import time
from collections.abc import Callable, Iterator

_EVERY_S = 30.0


class Pace:
    """Counts since the last lap began, and a line at intervals for people who wait."""

    def __init__(self, name: str, step: int, steps: int, clock: Callable[[], float] = time.monotonic):
        self._name, self._step, self._steps, self._clock = name, step, steps, clock
        self._moving = sys.stdout.isatty()
        self._first, self._begun = step, clock()
        self._shown = self._begun
        self._begin_lap()

    def waiting_for(self, batches: Iterator):
        """The next batch, and the time it took to come counts as waiting."""
        asked = self._clock()
        try:
            return next(batches)
        finally:
            self._waited_s += self._clock() - asked

    def passed(self, clips: int, loss: float | None) -> None:
        """A step is done; says so when it is time to."""
        self._step, self._clips = self._step + 1, self._clips + clips
        now = self._clock()
        if now - self._shown >= (0.2 if self._moving else _EVERY_S):
            self._shown = now
            left_s = (now - self._begun) / (self._step - self._first) * (self._steps - self._step)
            told = "loss not finite" if loss is None else f"loss {loss:.4f}"
            speed = _speed(self.lap())
            self._print(f"step {self._step}/{self._steps}, {told}, {speed}, {_span(left_s)} left", stays=False)

    def lap(self) -> dict[str, float]:
        """The seconds, the clips a second and the share of the time spent waiting, since the last `say`."""
        seconds = max(self._clock() - self._since, 1e-9)
        return {"seconds": seconds, "clips_per_s": self._clips / seconds, "waiting_share": self._waited_s / seconds}

    def say(self, line: str) -> None:
        """Print a line that stays, and begin a new lap."""
        self._print(line, stays=True)
        self._begin_lap()

    def _begin_lap(self) -> None:
        self._since, self._clips, self._waited_s = self._clock(), 0, 0.0

    def _print(self, line: str, stays: bool) -> None:
        """Print it; on a terminal over the line before, unless that stays."""
        text = f"{self._name}: {line}"
        print(f"\r{text:<110}" if self._moving else text, end="\n" if stays or not self._moving else "", flush=True)


def _speed(lap: dict[str, float]) -> str:
    """A lap as a person says it."""
    return f"{lap['clips_per_s']:.1f} clips/s, {lap['waiting_share']:.0%} waiting for data"


def _span(seconds: float) -> str:
    """A length of time as a person says it."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
