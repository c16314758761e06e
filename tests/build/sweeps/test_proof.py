"""The proof of sweeps: twelve runs of 02, here and on a Dask cluster that loses a worker in the middle: one table."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from build.cli.processes import end_tree
from build.project import ROOT

pytest.importorskip("dask.distributed", reason="Dask is optional: requirements-dev.txt")
pytestmark = pytest.mark.slow

SWEEP = """
question: which loss and which sampler suit a small network
notebook: "02"
fixed: {baselines: false, epochs: 1, steps_per_epoch: 4, overrides.batch_size: 8}
grid:
  overrides.loss: [bce, focal, asymmetric]
  overrides.sampler: [uniform, weighted]
seeds: [1, 2]
"""
PATIENCE_S = 1200


def command(file: Path, runs: Path, data: Path, *more: str) -> list[str]:
    command = ["-m", "build.sweep", str(file), "--runs", str(runs), "--data", str(data), *more]
    return [sys.executable, "-u", *command]


def until(found, what: str):
    """What `found` returns, once it returns something."""
    start = time.monotonic()
    while not (value := found()):
        assert time.monotonic() - start < PATIENCE_S, f"waited in vain for {what}"
        time.sleep(0.1)
    return value


@contextmanager
def running(folder: Path, *arguments: str):
    """A process of Dask's command line, in its own folder."""
    folder.mkdir()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        yield process
    finally:
        end_tree(process.pid)
        process.wait()


@pytest.fixture
def scheduler(tmp_path):
    """The address of a scheduler with two worker processes on loopback."""
    file = tmp_path / "scheduler.json"
    with ExitStack() as stack:
        options = ["--scheduler-file", str(file), "--no-dashboard"]
        stack.enter_context(
            running(tmp_path / "scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0", *options)
        )
        until(file.is_file, "the scheduler")
        for name in ("one", "two"):
            stack.enter_context(running(tmp_path / name, "worker", "--nthreads", "1", "--name", name, *options))
        yield json.loads(file.read_text())["address"]


def made_runs(prepared_folder: Path, runs: Path) -> Path:
    """A folder of runs in which only 01 has been run."""
    shutil.copytree(prepared_folder, runs / "01_data_prep/prepared")
    return runs


def table(runs: Path) -> list[dict]:
    """The sweep's table without times."""
    rows = json.loads((runs / "sweeps/proof/results.json").read_text())
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def runners(driver: psutil.Process | None, runs: Path) -> list[psutil.Process]:
    """The processes that make runs in this folder."""
    found = driver.children() if driver else psutil.process_iter()
    return [process for process in found if any(str(runs) in part for part in _words(process) if "request" in part)]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_twelve_runs_here_and_on_a_cluster_that_loses_a_worker_give_one_table(
    prepared_folder, public, scheduler, tmp_path
):
    file = tmp_path / "proof.yaml"
    file.write_text(SWEEP)
    here, there = (made_runs(prepared_folder, tmp_path / name) for name in ("here", "there"))
    alone = subprocess.run(command(file, here, public), capture_output=True, text=True, timeout=PATIENCE_S)
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert len(table(here)) == 12
    assert {row["status"] for row in table(here)} == {"done"}

    with subprocess.Popen(
        command(file, there, public, "--engine", scheduler), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as driver:
        ended = there / "sweeps/proof/runs"
        until(lambda: len(list(ended.glob("*/run.json"))) >= 3 and runners(None, there), "the middle")
        victim = runners(None, there)[0]
        worker, lost = victim.parent(), [victim, *victim.children(recursive=True)]
        assert worker.pid != driver.pid
        worker.kill()
        psutil.wait_procs(lost, timeout=30)
        assert not [process for process in lost if process.is_running() and process.status() != "zombie"]
        printed, _ = driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode == 0, printed
    assert table(there) == table(here)

    again = subprocess.run(command(file, here, public), capture_output=True, text=True, timeout=PATIENCE_S)
    assert again.returncode == 0
    assert "FAILED" not in again.stdout
    assert "12/12" not in again.stdout  # nothing was made again
    assert (here / "sweeps/proof/index.html").is_file()
