"""The runs of a sweep: the identity and folder of each, the request to its process, and how that starts and ends.

    RUNS/sweeps/<name>/runs/<id>/       request.json, run.log, run.json once ended, notebook.ipynb and .html
    RUNS/sweeps/<name>/runs/<id>/runs/  as RUNS is to notebooks run by hand: the notebook's folder, and a ledger

A ledger lies in the nearest folder named `runs`, so each run has one of its own.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from build.cli.processes import end_tree
from build.kernels.closure import closure_of
from build.notebooks.inputs import artifact_kinds
from build.notebooks.meter import Screen, read_posts
from build.notebooks.parameters import parameters_of
from build.notebooks.verdict import short_failure
from build.project import ROOT, display_path
from build.sweeps.config import Sweep, join_overrides
from build.sweeps.record import LOG, RunRecord, record_path
from lib.competition.prepared import data_version
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.paths import MARKERS, cache_folder, find_artifacts
from lib.core.progress import WATCHED, format_duration
from lib.core.records import identity_of, write_json

_ID_DIGITS = 12
STOP = "stop"  # a file of this name in a run's folder ends the run, on whatever machine it is


@dataclass(frozen=True)
class Run:
    """One run to execute."""

    id: str
    number: int
    stage: str
    parameters: dict


@dataclass(frozen=True)
class Place:
    """The folders of a sweep: its own and those that its notebook reads; and the facts that every run shares."""

    folder: Path
    runs: Path
    data: Path
    facts: str

    def run(self, number: int, stage: str, parameters: dict) -> Run:
        """The run of these parameters, with the fingerprint of all that decides its outcome."""
        identity = fingerprint.of_json([self.facts, parameters])[:_ID_DIGITS]
        return Run(identity, number, stage, parameters)


class ListedRuns:
    """Runs that are known from the beginning."""

    def __init__(self, runs: Sequence[Run]):
        self._runs, self._left, self.total = list(runs), list(runs), len(runs)

    def next(self) -> Run | None:
        """The next run; None when all are under way."""
        return self._left.pop(0) if self._left else None

    def record_result(self, record: RunRecord) -> None:
        """Ignore the result: the list is fixed."""

    def prune_reason(self, run: Run) -> str:
        """Empty: no run is pruned."""
        return ""

    def runs(self) -> list[Run]:
        """All of them."""
        return self._runs


@dataclass(frozen=True)
class Request:
    """The input of a run's process."""

    sweep: str
    run: Run
    notebook: str
    values: dict  # the notebook's parameters
    metric: str


def place_of(sweep: Sweep, runs: Path, data: Path) -> Place:
    """The sweep's place below `runs`; inputs that its notebook reads and that are not there are an error."""
    text = sweep.notebook.read_text(encoding="utf-8")
    code = closure_of(ROOT, str(sweep.notebook)).files
    facts = {
        "notebook": fingerprint.of_text(text),
        "lib": {label: fingerprint.of_file(ROOT / label) for label in code},
        "data": data_version(data) if all((data / marker).is_file() for marker in MARKERS) else "",
        "inputs": _inputs(text, runs),
    }
    return Place(runs / "sweeps" / sweep.name, runs, data, fingerprint.of_json(facts))


def _inputs(notebook: str, runs: Path) -> dict[str, list[str]]:
    """The manifests of what a notebook reads, by kind; what it reads lazily, in a lambda, may be absent."""
    found = {}
    for kind, needed in sorted(artifact_kinds(notebook).items()):
        try:
            folders = find_artifacts(kind, str(runs))
        except BadInput:
            if needed:
                raise
            folders = []
        found[kind] = sorted(identity_of(folder) for folder in folders)
    return found


def write_sweep(sweep: Sweep, place: Place, runs: Sequence[Run]) -> None:
    """Write `sweep.json`: the sweep as it was read, and the runs that belong to it now."""
    facts = asdict(sweep) | {"notebook": sweep.notebook.stem, "runs": [run.id for run in runs]}
    write_json(place.folder / "sweep.json", json.loads(json.dumps(facts)))


def write_request(sweep: Sweep, place: Place, run: Run) -> Path:
    """Write the request to the run's process into the run's folder, and return the file."""
    folder = record_path(place.folder, run.id).parent
    folders = {
        "competition_dir": str(place.data),
        "inputs_dir": str(place.runs),
        "output_dir": str(output_of(place.folder, run.id, sweep.notebook)),
        "cache_dir": str(cache_folder(place.runs)),  # decoded once for all runs
    }
    known = parameters_of(sweep.notebook)
    values: dict[str, object] = {name: value for name, value in folders.items() if name in known}
    values |= join_overrides(run.parameters, list(known))
    request = Request(str(place.folder), run, str(sweep.notebook), values, sweep.metric)
    (folder / STOP).unlink(missing_ok=True)
    write_json(folder / "request.json", asdict(request))
    return folder / "request.json"


def output_of(sweep_folder: Path, identity: str, notebook: Path) -> Path:
    """The folder that the run's notebook writes to."""
    return record_path(sweep_folder, identity).parent / "runs" / notebook.stem


def split_cores(cores: Sequence[int], parts: int) -> list[list[int]]:
    """The cores in so many parts, none with more than one core more than another."""
    return [list(cores[n * len(cores) // parts : (n + 1) * len(cores) // parts]) for n in range(parts)]


def available_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def start_process(request: Path, cores: Sequence[int], environment: dict[str, str] | None = None) -> subprocess.Popen:
    """Start the process of a run on these cores; it ends, with all it started, when this process does.

    It has a session of its own: an interrupt at the keyboard is for this process alone to handle.
    """
    command = [sys.executable, "-m", "build.sweeps.one", str(request), ",".join(map(str, cores))]
    posts = _posts(request.parent)
    shutil.rmtree(posts, ignore_errors=True)  # of an attempt that was killed
    with (request.parent / LOG).open("w") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, WATCHED: str(posts), **(environment or {})},
        )


def end_process(process: subprocess.Popen) -> None:
    """End the process of a run and all that it started."""
    end_tree(process.pid)
    process.wait()
    if process.stdin:
        process.stdin.close()


_PRINT_EVERY_S = 30.0


class Progress:
    """Prints how far a stage of a sweep is, and on a terminal what its running notebooks report."""

    def __init__(self, folder: Path, varied: Sequence[str]):
        self._folder, self._varied, self._screen = folder, varied, Screen(_PRINT_EVERY_S)
        self._start, self._made = time.monotonic(), 0
        self._counts = dict.fromkeys(("done", "failed", "pruned"), 0)

    def count_ended(self, record: RunRecord, total: int) -> None:
        """Count and print a run that has ended."""
        self._counts[record.status] += 1
        self._made += 1
        self._screen.say(f"{sum(self._counts.values())}/{total} {summary(record, self._varied, self._folder)}")

    def count_known(self, record: RunRecord) -> None:
        """Count a run that had ended before."""
        self._counts[record.status] += 1

    def tick(self, running: Collection[Run], total: int) -> None:
        """Show how far it is, where that is due; call it often."""
        if not self._screen.due():
            return
        ended = sum(self._counts.values())
        counts = [f"{count} {word}" for word, count in self._counts.items() if count or word == "done"]
        left_s = (time.monotonic() - self._start) / max(self._made, 1) * (total - ended)
        left = f", {format_duration(left_s)} left" if self._made else ""
        head = f"{self._folder.name}: {', '.join(counts)}, {len(running)} running of {total}{left}"
        posts = {run.number: read_posts(_posts(record_path(self._folder, run.id).parent)) for run in running}
        self._screen.show(
            [head, *(f"run {number}: {'; '.join(lines[1:] or lines) or 'starting'}" for number, lines in posts.items())]
        )

    def close(self) -> None:
        """Take the moving lines away."""
        self._screen.clear()


def _posts(run: Path) -> Path:
    """The folder in which a running notebook posts its progress."""
    return run / "progress"


def summary(record: RunRecord, varied: Sequence[str], folder: Path) -> str:
    """What a run that has ended set, and its score in one line; or its error, whole, and the place of its log."""
    stage = " replay" if record.stage == "replay" else ""
    name = f"run {record.number}{stage} ({format_parameters(record.parameters, varied)})"
    if record.status == "failed":
        return f"{name} FAILED: {short_failure(record.error)}\n  log: {display_path(folder / record.log)}"
    if record.status == "pruned":
        return f"{name} {record.error}"
    if record.score is None or record.interval is None:
        return f"{name} done, without a score, in {format_duration(record.seconds)}"
    low, high = record.interval
    return f"{name} {record.score:.4f} [{low:.3f}, {high:.3f}] in {format_duration(record.seconds)}"


def format_parameters(parameters: dict, varied: Sequence[str]) -> str:
    """The varied parameters of a run, as `name=value, name=value`."""
    return ", ".join(f"{name}={parameters[name]}" for name in varied if name in parameters) or "nothing set"
