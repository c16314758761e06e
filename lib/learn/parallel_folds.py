"""Folds side by side: a process each, one on every GPU, or one on every CPU core where there is no GPU."""

import io
import os
import pickle
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from lib.core.errors import BadInput
from lib.core.processes import end_with_parent, process_server

Fold = TypeVar("Fold", int, int | None)
Result = TypeVar("Result")
_POLL_S = 0.5


def available_devices() -> list[str]:
    """The devices for folds trained at the same time: every GPU, or "cpu" once for each core this process may use."""
    if torch.cuda.is_available():
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ["cpu"] * cores


def fold_name(fold: int | None) -> str:
    """The name of a fold in print; None, which holds nothing out, is the whole."""
    return "whole" if fold is None else f"fold {fold}"


def train_folds(
    folds: Sequence[Fold], train_one: Callable[[Fold, str], Result], devices: Sequence[str]
) -> dict[Fold, Result]:
    """Call `train_one(fold, device)` in a process a fold and return the results by fold; all travels as pickles.

    Each fold has a fresh process, with one thread where that is a core of the CPU. What the processes print is printed
    here, line by line, with the fold in front. The first error stops all of them and is raised here.
    """
    _require_importable(train_one)
    context = process_server(train_one)
    waiting, free, results = list(folds), list(devices), {}
    running: list[_Child[Fold]] = []
    with tempfile.TemporaryDirectory(prefix="folds-") as logs:
        # A file, not the pipe of a starting process: that holds 64 kB, and we would wait until it is read.
        function = Path(logs) / "train_one.pickle"
        function.write_bytes(pickle.dumps(train_one))
        try:
            while waiting or running:
                while waiting and free:
                    running.append(_start(context, waiting.pop(0), function, free.pop(0), Path(logs)))
                wait([child.pipe for child in running], _POLL_S)
                for child in list(running):
                    child.print_new_lines()
                    if child.pipe.poll():
                        results[child.fold] = child.result()
                        running.remove(child)
                        free.insert(0, child.device)
        finally:
            for child in running:
                child.stop()
    return {fold: results[fold] for fold in folds}


def _require_importable(train_one: Callable) -> None:
    """Refuse a function of a notebook's cell, which a new process cannot import."""
    function = getattr(train_one, "func", train_one)  # functools.partial has it inside
    if function.__module__ == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise BadInput(
            "a new process cannot import this function",
            expected="a function of a module",
            got=f"{function.__name__}, defined in a notebook",
            do="move it to a file of lib, and import it from there",
        )


@dataclass
class _Child(Generic[Fold]):
    """A fold's process, the pipe its result comes through, and the file it prints to."""

    fold: Fold
    device: str
    process: BaseProcess
    pipe: Connection
    log: Path
    _read: int = field(default=0)

    def print_new_lines(self, incomplete_too: bool = False) -> None:
        """Print the lines that the process has completed since the last time."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new if incomplete_too else new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            print(f"{fold_name(self.fold)} | {line}", flush=True)

    def result(self) -> Any:
        """The process's result; its error is raised, with its traceback as the cause."""
        try:
            ok, value, trace = pickle.loads(self.pipe.recv_bytes())
        except EOFError:
            ok, value, trace = False, None, ""
        self.process.join()
        self.print_new_lines(incomplete_too=True)
        if ok:
            return value
        if value is None:
            raise BadInput(
                f"the process of {fold_name(self.fold)} ended without a result",
                expected="a trained fold",
                got=f"exit code {self.process.exitcode} (-9: killed, most often for want of memory)",
                do="run again: it goes on from its checkpoint; with fewer devices if memory was short",
            )
        raise value from RuntimeError(f"in the process of {fold_name(self.fold)}:\n{trace}")

    def stop(self) -> None:
        """Kill the process, which needs no clean-up: its checkpoint is whole at any moment."""
        self.process.kill()
        self.process.join()


def _start(context: ForkServerContext, fold: Fold, function: Path, device: str, logs: Path) -> _Child[Fold]:
    """Start the fold's process."""
    receiving, sending = context.Pipe(duplex=False)
    log = logs / fold_name(fold)
    log.touch()
    process = context.Process(target=_child, args=(fold, function, device, str(log), sending), name=fold_name(fold))
    process.start()
    sending.close()  # so that the pipe ends when the process does
    return _Child(fold, device, process, receiving, log)


def _child(fold: Fold, function: Path, device: str, log: str, pipe: Connection) -> None:
    """Train the fold in this process and send (True, result, "") or (False, error, traceback)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    threading.Thread(target=end_with_parent, daemon=True).start()
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        if device == "cpu":
            torch.set_num_threads(1)  # small networks gain more from a second process than from a second thread
        else:
            torch.cuda.set_device(device)
        train_one = pickle.loads(function.read_bytes())
        sent = pickle.dumps((True, train_one(fold, device), ""))
    except BaseException as error:
        sent = _pickled_error(error)
    sys.stdout.flush()
    pipe.send_bytes(sent)


def _pickled_error(error: BaseException) -> bytes:
    """The error and its traceback as a pickle; an error that cannot travel becomes a RuntimeError with its text."""
    trace = traceback.format_exc()
    try:
        sent = pickle.dumps((False, error, trace))
        pickle.loads(sent)
    except Exception:
        sent = pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}"), trace))
    return sent
