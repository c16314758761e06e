"""A toy notebook for tests of sweeps, whose score is a parameter, and an engine that makes its runs in no time."""

import json
from dataclasses import asdict
from pathlib import Path

from build.sweeps.record import RunRecord, write_record
from build.sweeps.runs import STOP, Request
from lib.core.records import from_json, read_json, write_text
from tests.support.tinysweep import ledger_line

TOY = """# %% [markdown]
# # 02 · A toy
#
# Its score is a parameter.

# %% tags=["parameters"]
inputs_dir: str = ""
output_dir: str = ""  # where to write
gain: float = 0.0  # what is added to the score
steps: int = 3
word: str = "x"
fail: bool = False  # in the middle
seed: int = 1
overrides: str = ""  # settings of a network's plan

# %%
import os
from pathlib import Path

from lib.core.paths import ledger_path
from lib.judge.ledger import LedgerLine, append_ledger_line

print("cores", len(os.sched_getaffinity(0)), "threads", os.environ["OMP_NUM_THREADS"])
if fail:
    raise ValueError("as set")

# %%
for tag, score in (("other", 0.9), ("toy", 0.6 + gain)):
    line = LedgerLine("toy", tag, "f", "d", seed, score, (score - 0.05, score + 0.05), 3, 0.1, ("alone", tag), "park")
    append_ledger_line(ledger_path(Path(output_dir)), line)
"""


FAILURE = """02_toy: failed with BadInput in code cell 2 of 3 (02_toy.py, line 23)
  the cell begins: import os
  the end of its output:
    BadInput                                  Traceback (most recent call last)
    ----> 1 raise BadInput("fail is set", expected="False", got=fail, do="set fail=False")

    BadInput: fail is set
      expected: False
      got:      3 < 4
      do this:  set fail=False
  up to there: notebook.ipynb; log: notebook.log"""  # as build/notebooks/verdict.py writes it


def toy_sources(folder: Path) -> Path:
    """The folder with the toy in it."""
    folder.mkdir(exist_ok=True)
    (folder / "02_toy.py").write_text(TOY)
    return folder


class ToyEngine:
    """Makes runs at once, two at a time, by the toy's rules; `made` counts them, `lose` are lost without a record."""

    def __init__(self, lose: tuple[float, ...] = (), never_ends: tuple[float, ...] = (), interrupt_after: int = 999):
        self.made, self.slots, self._lose, self._never_ends = [], 2, lose, never_ends
        self._left, self._running, self.closed = interrupt_after, [], False

    def __str__(self) -> str:
        return "in no time"

    def start(self, request: Path) -> None:
        self._running.append(request)
        wanted = from_json(Request, read_json(request), str(request))
        write_history(Path(wanted.values["output_dir"]), 0.6 + wanted.run.parameters.get("gain", 0.0))

    def poll(self) -> dict[str, str]:
        found = {}
        for request in list(self._running):
            wanted = from_json(Request, read_json(request), str(request))
            gain = wanted.run.parameters.get("gain", 0.0)
            if gain in self._never_ends and not (request.parent / STOP).exists():
                continue
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
            self._running.remove(request)
            if gain not in (*self._lose, *self._never_ends):
                write_record(Path(wanted.sweep), made_record(wanted))
            self.made.append(wanted.run)
            found[wanted.run.id] = "its process ended with code -9"
        return found

    def close(self) -> None:
        self.closed = True


def write_history(output: Path, score: float) -> None:
    """The records of training after each of three epochs of two folds, all of one score."""
    rows = [json.dumps({"epoch": epoch, "scores": {"soundscapes": score, "clips": 0.0}}) for epoch in (1, 2, 3)]
    for fold in (0, 1):
        write_text(output / f"training/toy-1/fold{fold}/history.jsonl", "\n".join(rows) + "\n")


def made_record(wanted: Request) -> RunRecord:
    """The record that the toy's run would have left."""
    fails, score = wanted.run.parameters.get("fail", False), 0.6 + wanted.run.parameters.get("gain", 0.0)
    line = ledger_line(score, "alone", "toy")
    return RunRecord(
        **asdict(wanted.run),
        status="failed" if fails else "done",
        score=None if fails else score,
        interval=None if fails else [score - 0.05, score + 0.05],
        per_fold={},
        seed=wanted.run.parameters.get("seed", 1),
        seconds=0.1,
        started="2026-01-01T00:00:00+00:00",
        error=FAILURE if fails else "",
        notebook=f"runs/{wanted.run.id}/notebook.ipynb",
        member="",
        ledger=[] if fails else [line],
    )
