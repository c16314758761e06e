"""Folds in processes: results by fold, one thread each, errors with their traceback, and no process left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from build.project import ROOT
from lib.core.errors import BadInput
from lib.learn import parallel_folds as fold_processes
from lib.learn.parallel_folds import available_devices, train_folds
from tests.support.toytraining import fold_that_dies, fold_that_fails, fold_that_returns


def test_each_fold_runs_in_a_process_of_its_own_and_its_output_is_printed(capsys, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    results = train_folds([2, None], fold_that_returns, ["cpu"])  # one after the other; None is the whole
    assert list(results) == [2, None]
    assert all(results[fold][:3] == (fold, "cpu", 1) for fold in results)
    assert len({pid for *_rest, pid in results.values()} | {os.getpid()}) == 3
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["fold 2 | hello from cpu", "whole | hello from cpu"]


def test_an_error_comes_back_with_its_traceback_while_the_others_run_and_ends_them():
    with pytest.raises(ZeroDivisionError, match="planted") as caught:
        train_folds([0, 1], fold_that_fails, ["cpu", "cpu"])
    assert "toytraining.py" in str(caught.value.__cause__)
    assert "fold 1" in str(caught.value.__cause__)


def test_a_process_that_dies_is_an_error_with_its_exit_code(capsys):
    with pytest.raises(BadInput, match=r"fold 3 ended without a result(.|\n)*-9"):
        train_folds([3], fold_that_dies, ["cpu"])


def test_a_function_of_a_notebook_is_refused_before_anything_starts(monkeypatch):
    def cell(fold, device):
        return fold

    cell.__module__ = "__main__"
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(BadInput, match="a file of lib"):
        train_folds([0], cell, ["cpu"])


def alive(pid: int) -> bool:
    """True if the process runs; one that ended and was not yet waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.exists("/proc"), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_an_interrupted_or_killed_parent(tmp_path, how):
    paths = [str(ROOT)]
    code = (
        f"import sys; sys.path[:0] = {paths!r}; from functools import partial; "
        "from tests.support.toytraining import *; "
        f"from lib.learn.parallel_folds import train_folds; "
        f"train_folds([0], partial(fold_that_waits, {str(tmp_path)!r}), ['cpu'])"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while len(pids := [int(path.read_text()) for path in tmp_path.glob("*.pid")]) < 1:
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert all(alive(pid) for pid in pids)
    parent.send_signal(how)
    parent.wait(30)
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_gpu_is_a_place_and_without_one_every_core(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert available_devices() == ["cuda:0", "cuda:1"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(fold_processes.os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert available_devices() == ["cpu"] * 3
