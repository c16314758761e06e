"""Run one notebook source in a watched child process, judge the run by its reports, and return its record."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import nbformat

from build.cli.processes import end_tree
from build.notebooks.meter import Meter
from build.notebooks.source import read_notebook, title_and_summary
from build.notebooks.values import convert_parameters
from build.notebooks.verdict import RunEvents, correct_cell_states, judge_run
from build.project import ROOT
from lib.core.progress import WATCHED


@dataclass(frozen=True)
class RunResult:
    """The result of one run; `status` is "done" or a description of the failure."""

    name: str
    title: str
    summary: str
    status: str
    failure: str
    started: str  # ISO time with zone
    duration_s: float
    code_cells: int
    completed_cells: int
    parameters: dict
    source: str
    source_hash: str
    executed: str

    @property
    def ok(self) -> bool:
        """True when every code cell completed and nothing else went wrong."""
        return self.status == "done"


def run_notebook(source: Path, parameters: dict, executed: Path, *, timeout_s: float | None = None) -> RunResult:
    """Execute the percent script with these parameters, save it at `executed`, and return the result.

    Parameters are checked before anything runs. The kernel works in `output_dir` where that is given, else beside
    `executed`. A failing notebook is a result, not an exception: check `ok`.
    """
    source, executed = source.resolve(), executed.resolve()
    values = convert_parameters(source, parameters)
    notebook, source_hash = read_notebook(source), hash_of(source)
    folder = Path(str(values.get("output_dir") or executed.parent)).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    executed.parent.mkdir(parents=True, exist_ok=True)
    executed.unlink(missing_ok=True)  # an older success must not outlive this run
    started, clock = datetime.now(UTC).astimezone(), time.monotonic()
    events = _execute(source.stem, notebook, values, folder, executed, timeout_s)
    duration_s = time.monotonic() - clock
    status, failure = judge_run(source, executed, events, timeout_s)
    if failure:
        correct_cell_states(notebook, executed, events)
    title, summary = title_and_summary(notebook, source.stem)
    return RunResult(
        name=source.stem,
        title=title,
        summary=summary,
        status=status,
        failure=failure,
        started=started.isoformat(timespec="seconds"),
        duration_s=round(duration_s, 2),
        code_cells=_code_cells(notebook),
        completed_cells=events.own_completed,
        parameters=values,
        source=str(source),
        source_hash=source_hash,
        executed=str(executed),
    )


def hash_of(source: Path) -> str:
    """The SHA-256 of the file, by which a page shows that a source has changed since its run."""
    return sha256(source.read_bytes()).hexdigest()


def _code_cells(notebook: nbformat.NotebookNode) -> int:
    """The number of code cells of the source."""
    return sum(cell.cell_type == "code" for cell in notebook.cells)


def _execute(name, notebook, values, folder: Path, executed: Path, timeout_s: float | None) -> RunEvents:
    """Run the child until it ends or its time is up, and return its reports."""
    with tempfile.TemporaryDirectory() as scratch, executed.with_suffix(".log").open("w+") as log:
        unrun, request = Path(scratch) / f"{name}.ipynb", Path(scratch) / "request.json"
        posts = Path(os.environ.get(WATCHED) or Path(scratch) / "progress")
        posts.mkdir(exist_ok=True)
        nbformat.write(notebook, unrun)
        content = {"notebook": unrun, "executed": executed, "parameters": values, "cwd": folder}
        request.write_text(json.dumps(content, default=str))
        with _child(request, log, posts) as (process, pipe), Meter(name, _code_cells(notebook), posts) as meter:
            events = _watch(pipe, time.monotonic() + timeout_s if timeout_s else None, meter)
            if events.timed_out:
                end_tree(process.pid)
            events.return_code = process.wait()
        log.seek(0)
        events.log = log.read()
    return events


@contextmanager
def _child(request: Path, log, posts: Path) -> Iterator[tuple[subprocess.Popen, int]]:
    """The running child and the reading end of its pipe; whatever happens, no process of it is left behind."""
    reading, writing = os.pipe()
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}  # the kernel sets inline
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the Makefile: its threads wait for each other
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment[WATCHED] = str(posts)
    command = [sys.executable, "-m", "build.notebooks.child", str(request), str(writing)]
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, pass_fds=[writing])
    os.close(writing)
    try:
        yield process, reading
    finally:
        os.close(reading)
        if process.poll() is None:
            end_tree(process.pid)
            process.wait()


def _watch(pipe: int, deadline: float | None, meter: Meter) -> RunEvents:
    """Follow the child's reports until its pipe closes or the deadline passes."""
    events, unread = RunEvents(), b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while deadline is None or time.monotonic() < deadline:
            meter.tick()
            if not selector.select(timeout=0.5):
                continue
            received = os.read(pipe, 65536)
            if not received:
                return events
            *lines, unread = (unread + received).split(b"\n")
            for line in lines:
                event = json.loads(line)
                events.update(event)
                meter.update(event)
    events.timed_out = True
    return events
