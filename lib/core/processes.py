"""Work shared by fresh processes of this machine, a core each, that end when they are no longer wanted."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread

from lib.core.errors import BadInput


@contextmanager
def in_processes(work: Callable, parts: Sequence) -> Iterator[Iterator]:
    """What `work` returns for each part, as it comes; with the block, or with this process, the work ends at once.

    It may be killed at any moment, so it must leave nothing half. A ProcessPoolExecutor will not do: in Python 3.11 it
    may overlook the death of the process that it started last.
    """
    if len(parts) == 1:
        yield map(work, parts)  # less than it takes to start a process
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    context = multiprocessing.get_context("spawn")  # sessions and threads do not survive a fork
    processes, pipes = [], []
    try:
        for _ in range(min(cores, len(parts))):
            here, there = context.Pipe()
            processes.append(context.Process(target=_serve, args=(work, there)))
            pipes.append(here)
            processes[-1].start()
            there.close()  # so that the pipe ends when the process does
        yield _as_they_come(pipes, parts)
    finally:
        _end(processes, pipes)


def _as_they_come(pipes: list[Connection], parts: Sequence) -> Iterator:
    """What the processes return, each given the next part when it has answered; the first error is raised."""
    left = list(reversed(parts))
    busy = set(pipes)
    try:
        for pipe in pipes:
            pipe.send(left.pop())
        while busy:
            for pipe in wait(list(busy)):
                answer, error = pipe.recv()
                if error:
                    raise error
                if left:
                    pipe.send(left.pop())
                else:
                    busy.remove(pipe)
                yield answer
    except (EOFError, ConnectionError) as end:
        raise BadInput(
            "a process died at its work",
            expected="an answer from each",
            got="none; if no error of it stands above, it was killed, most often for want of memory",
            do="run again, it goes on from what is there; on fewer cores if memory was short",
        ) from end


def _end(processes: list[BaseProcess], pipes: list[Connection]) -> None:
    """End the processes in the middle of what they do."""
    for process in processes:
        process.kill()
        process.join()
    for pipe in pipes:
        pipe.close()


def _serve(work: Callable, pipe: Connection) -> None:
    """Answer every part with what `work` returns and the error it raised; an interrupt is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=end_with_parent, daemon=True).start()
    while True:
        part = pipe.recv()
        try:
            pipe.send((work(part), None))
        except BadInput as error:
            pipe.send((None, error))
        except Exception:  # not every exception can travel, its text can
            pipe.send((None, RuntimeError(f"in a process of its own:\n{traceback.format_exc()}")))


def end_with_parent() -> None:
    """Wait for the parent's end, however it comes, and end this process with it."""
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
