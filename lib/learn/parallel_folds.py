"""Folds side by side: a process each, one on every GPU, or one on every CPU core where there is no GPU."""

import multiprocessing
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
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from lib.core.errors import BadInput
from lib.core.processes import end_with_parent

TrainOne = Callable[[int | None, str], object]
_LOOK_EVERY_S = 0.5


def available_devices() -> list[str]:
    """Where folds can be trained at the same time: every GPU, or "cpu" once for every core this process may use."""
    if torch.cuda.is_available():
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return ["cpu"] * cores


def fold_name(fold: int | None) -> str:
    """What people call a fold; None, which holds nothing out, is the whole."""
    return "whole" if fold is None else f"fold {fold}"


def train_folds(folds: Sequence[int | None], train_one: TrainOne, places: Sequence[str]) -> dict[int | None, object]:
    """What `train_one(fold, device)` returns, by fold; both it and what it returns travel as pickles.

    Each fold has a fresh process, with one thread where that is a core of the CPU. What the processes print is printed
    here, line by line, with the fold in front. The first error stops all of them and is raised here.
    """
    _refuse_what_a_process_cannot_find(train_one)
    waiting, free, results = list(folds), list(places), {}
    running: list[_Child] = []
    with tempfile.TemporaryDirectory(prefix="folds-") as logs:
        try:
            while waiting or running:
                while waiting and free:
                    running.append(_start(waiting.pop(0), train_one, free.pop(0), Path(logs)))
                wait([child.answer for child in running], _LOOK_EVERY_S)
                for child in list(running):
                    child.tell()
                    if child.answer.poll():
                        results[child.fold] = child.result()
                        running.remove(child)
                        free.insert(0, child.device)
        finally:
            for child in running:
                child.stop()
    return {fold: results[fold] for fold in folds}


def _refuse_what_a_process_cannot_find(train_one: TrainOne) -> None:
    """An error for a function of a notebook's cell, which a new process cannot import."""
    function = getattr(train_one, "func", train_one)  # functools.partial has it inside
    if function.__module__ == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise BadInput(
            "a process of its own cannot find this function",
            expected="a function of a module",
            got=f"{function.__name__}, defined in a notebook",
            do="move it to a file of lib, and import it",
        )


@dataclass
class _Child:
    """A fold's process, the pipe its answer comes through, and the file it prints to."""

    fold: int | None
    device: str
    process: BaseProcess
    answer: Connection
    log: Path
    _read: int = field(default=0)

    def tell(self, all_of_it: bool = False) -> None:
        """Print the whole lines that the process has printed since the last time."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new if all_of_it else new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            print(f"{fold_name(self.fold)} | {line}", flush=True)

    def result(self) -> object:
        """What the process answered; its error is raised, with its traceback as the cause."""
        try:
            ok, value, trace = pickle.loads(self.answer.recv_bytes())
        except EOFError:
            ok, value, trace = False, None, ""
        self.process.join()
        self.tell(all_of_it=True)
        if ok:
            return value
        if value is None:
            raise BadInput(
                f"the process of {fold_name(self.fold)} died without a word",
                expected="a trained fold",
                got=f"exit code {self.process.exitcode} (-9: killed, most often for want of memory)",
                do="run again, it goes on from its checkpoint; with fewer places if memory was short",
            )
        raise value from RuntimeError(f"in the process of {fold_name(self.fold)}:\n{trace}")

    def stop(self) -> None:
        """End the process, which has nothing to put in order: its checkpoint is whole at any moment."""
        self.process.kill()
        self.process.join()


def _start(fold: int | None, train_one: TrainOne, device: str, logs: Path) -> _Child:
    """The fold's process, begun. Spawned: CUDA and threads do not survive a fork."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    log = logs / fold_name(fold)
    log.touch()
    process = context.Process(target=_child, args=(fold, train_one, device, str(log), sending), name=fold_name(fold))
    process.start()
    sending.close()  # so that the pipe ends when the process does
    return _Child(fold, device, process, receiving, log)


def _child(fold: int | None, train_one: TrainOne, device: str, log: str, answer: Connection) -> None:
    """Train the fold in this process and send (True, result, "") or (False, error, traceback)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to answer
    threading.Thread(target=end_with_parent, daemon=True).start()
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout.reconfigure(line_buffering=True)
    try:
        if device == "cpu":
            torch.set_num_threads(1)  # small networks gain more from a second process than from a second thread
        else:
            torch.cuda.set_device(device)
        sent = pickle.dumps((True, train_one(fold, device), ""))
    except BaseException as error:
        sent = _error(error)
    sys.stdout.flush()
    answer.send_bytes(sent)


def _error(error: BaseException) -> bytes:
    """The error and its traceback as a pickle; an error that cannot travel becomes a RuntimeError with its text."""
    trace = traceback.format_exc()
    try:
        sent = pickle.dumps((False, error, trace))
        pickle.loads(sent)
    except Exception:
        sent = pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}"), trace))
    return sent
