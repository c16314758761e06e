"""A machine in virtual time: its threads work one after another, each with a clock of its own; no thread sleeps."""

from concurrent.futures import Future
from pathlib import Path

import numpy as np

from lib.blend.recipe import Mix, Part, Recipe, RecipeMember
from lib.competition.row_ids import SAMPLE_RATE, row_ids
from lib.competition.scores import Scores
from lib.models.member.open import Member
from lib.sound.decode import DecodedFile
from lib.submit import soundscape, stream

CLASSES = ("1161364", "116570", "ashgre1", "houspa", "y00678")


class Machine:
    """So many threads; what a call takes is multiplied by `slow`, and at `stall_at` everything stands still."""

    def __init__(self, threads=4, slow=1.0, stall_at=np.inf, stall_s=0.0):
        self.at, self.slow, self.stall_at, self.stall_s = [0.0] * threads, slow, stall_at, stall_s
        self.worker, self.calls = None, []

    def now(self):
        return min(self.at) if self.worker is None else self.at[self.worker]

    def spend(self, seconds):
        self.at[self.worker] += seconds * self.slow
        if self.at[self.worker] >= self.stall_at:
            self.at, self.stall_at = [at + self.stall_s for at in self.at], np.inf

    def submit(self, work, *arguments):
        self.worker, future = int(np.argmin(self.at)), Future()
        try:
            future.set_result(work(*arguments))
        except MemoryError as error:
            future.set_exception(error)
        self.worker = None
        return future

    def member(self, name, seconds, share=None):
        """A member that takes its time, and with `share` (a name and seconds) something it shares with others."""

        def score(inputs):
            self.calls.append((name, inputs.soundscape.stem))
            if share:
                inputs.get_or_compute(share[0], lambda: self.spend(share[1]))
            self.spend(seconds)
            return table_of(name, inputs.soundscape.stem)

        return Member(None, needs_audio=True, score=score)

    def installed(self, monkeypatch):
        """The same machine, where the stream looks for threads and sound."""
        monkeypatch.setattr(stream, "in_daemon_thread", self.submit)
        monkeypatch.setattr(stream, "cpu_count", lambda: len(self.at))
        sound = DecodedFile(np.zeros(8, dtype=np.float32), 60.0, SAMPLE_RATE, 1)
        monkeypatch.setattr(soundscape, "read_soundscape", lambda file: sound)
        return self


def soundscapes(count):
    return [Path(f"BC2026_Test_{number:04d}_S05_20250227_010002.ogg") for number in range(count)]


def table_of(name, stem):
    """(12, classes) a member's table of a soundscape: the same each time, different for each."""
    seed = [*name.encode(), *stem.encode()]
    return np.random.default_rng(seed).random((12, len(CLASSES))).astype(np.float32)


def scores_of(name, files):
    values = [table_of(name, file.stem) for file in files] or [np.zeros((0, len(CLASSES)))]
    return Scores(np.concatenate(values), [row for file in files for row in row_ids(file.stem)], CLASSES, "prob")


def optional(name, seconds, value, **shared):
    return RecipeMember(name, "m", seconds, shared, required=False, value=value)


def recipe_of(members, weights=None):
    """A blend in rank space of all but the prior."""
    names = [member.name for member in members if member.name != "prior"]
    weights = weights or [1 / len(names)] * len(names)
    parts = [Part(name, weight) for name, weight in zip(names, weights, strict=True)]
    return Recipe("safe", "h", "f", members, [Mix("blend", "rank", parts)], "prior", 0.9, [0.8, 1.0], 5)
