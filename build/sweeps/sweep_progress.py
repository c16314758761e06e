"""What a sweep says while it goes: a line for each run that has ended, and how far it is with the time left."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from build.notebooks.meter import clock
from build.notebooks.source import shown
from build.sweeps.sweep_record import RunRecord

_EVERY_S = 30.0


class Progress:
    """Tells a person how a stage of a sweep goes: one line that moves on a terminal, one at intervals elsewhere."""

    def __init__(self, folder: Path, varied: Sequence[str]):
        self._folder, self._varied, self._moving = folder, varied, sys.stdout.isatty()
        self._start = self._shown = time.monotonic()
        self._counts = dict.fromkeys(("done", "failed", "pruned"), 0)
        self._made = 0

    def ended(self, record: RunRecord, total: int) -> None:
        """A run has ended."""
        self._counts[record.status] += 1
        self._made += 1
        self._print(f"{sum(self._counts.values())}/{total} {told(record, self._varied, self._folder)}")

    def was_there(self, record: RunRecord) -> None:
        """A run had ended before."""
        self._counts[record.status] += 1

    def tick(self, running: int, total: int) -> None:
        """Show how far it is; call it often."""
        now = time.monotonic()
        if now - self._shown < (0.5 if self._moving else _EVERY_S):
            return
        self._shown = now
        ended = sum(self._counts.values())
        counts = [f"{count} {word}" for word, count in self._counts.items() if count or word == "done"]
        left = f", {clock((now - self._start) / self._made * (total - ended))} left" if self._made else ""
        line = f"{self._folder.name}: {', '.join(counts)}, {running} running of {total}{left}"
        print(f"\r{line:<79}" if self._moving else line, end="" if self._moving else "\n", flush=True)

    def _print(self, line: str) -> None:
        """A line of its own, also where the moving line stands."""
        print(f"\r{line:<79}" if self._moving else line, flush=True)


def told(record: RunRecord, varied: Sequence[str], folder: Path) -> str:
    """A run that has ended, in one line: what it set, and what came out or went wrong."""
    name = f"run {record.number}{' replay' if record.stage == 'replay' else ''} ({setting(record.parameters, varied)})"
    if record.status == "failed":
        log = shown((folder / record.notebook).with_suffix(".log"))
        return f"{name} FAILED: {in_a_line(record.error)}; log: {log}"
    if record.status == "pruned":
        return f"{name} {record.error}"
    if record.score is None:
        return f"{name} done, without a score, in {clock(record.seconds)}"
    low, high = record.interval
    return f"{name} {record.score:.4f} [{low:.3f}, {high:.3f}] in {clock(record.seconds)}"


def in_a_line(error: str) -> str:
    """What went wrong: where, and the last that was said of it."""
    first, *more = error.splitlines()
    last = [line.strip() for line in more if line.startswith("    ") and line.strip()][-1:]
    return ": ".join([first, *last])


def setting(parameters: dict, varied: Sequence[str]) -> str:
    """What a run sets, as people say it."""
    return ", ".join(f"{name}={parameters[name]}" for name in varied if name in parameters) or "nothing set"
