"""Pace of training: clips a second, the share of time spent waiting for data, and the line that shows them."""

import time
from collections.abc import Callable, Iterator

from lib.core.progress import LiveLine, format_duration
from lib.learn.network.dataset import Batch

_EVERY_S = 30.0


class Pace:
    """Speed of training since the last epoch began, and a live line: step, loss, last score, speed, time left."""

    def __init__(self, name: str, step: int, steps: int, clock: Callable[[], float] = time.monotonic):
        self._step, self._steps, self._clock = step, steps, clock
        self._first, self._begun = step, clock()
        self._since, self._clips, self._waited_s = clock(), 0, 0.0
        self._live = LiveLine(name, _EVERY_S, clock)
        self.scores: dict[str, float | None] = {}  # of the last epoch

    def next_batch(self, batches: Iterator[Batch]) -> Batch:
        """The next batch; the time it takes to come counts as waiting."""
        start = self._clock()
        try:
            return next(batches)
        finally:
            self._waited_s += self._clock() - start

    def step_done(self, clips: int, loss: float | None) -> None:
        """Count a step, and show the line where it is due."""
        self._step, self._clips = self._step + 1, self._clips + clips
        self._live.update(lambda: self._line(loss))

    def lap(self) -> dict[str, float]:
        """The seconds, the clips a second and the share of the time spent waiting, since the last `end_lap`."""
        seconds = max(self._clock() - self._since, 1e-9)
        return {"seconds": seconds, "clips_per_s": self._clips / seconds, "waiting_share": self._waited_s / seconds}

    def end_lap(self, line: str) -> None:
        """Print a line that stays, and begin a new lap."""
        self._live.keep(line)
        self._since, self._clips, self._waited_s = self._clock(), 0, 0.0

    def close(self) -> None:
        """End the live line."""
        self._live.close()

    def _line(self, loss: float | None) -> str:
        """The state of training in one line."""
        lap = self.lap()
        left_s = (self._clock() - self._begun) / (self._step - self._first) * (self._steps - self._step)
        parts = [
            f"step {self._step}/{self._steps}",
            f"{format_duration(left_s)} left" if self._step < self._steps else "judging",
            "loss not finite" if loss is None else f"loss {loss:.4f}",
            *named_scores(self.scores),
            f"{lap['clips_per_s']:.1f} clips/s",
            f"{lap['waiting_share']:.0%} waiting for data",
        ]
        return ", ".join(parts)


def named_scores(scores: dict[str, float | None]) -> list[str]:
    """Each score with its name, as text."""
    return [f"{name} {'–' if value is None else f'{value:.4f}'}" for name, value in scores.items()]
