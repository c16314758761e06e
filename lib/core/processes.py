"""Run work in fresh processes of this machine, one a core, that end when their results are no longer needed."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

from lib.core.errors import BadInput


def process_server(work: Callable) -> ForkServerContext:
    """The context of processes that begin with the module of `work` imported, and with nothing else of this process.

    They are forked from a server that holds no session, no thread and no CUDA, for these do not survive a fork.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([getattr(work, "func", work).__module__])  # functools.partial has it inside
    return context


@contextmanager
def in_processes(work: Callable, parts: Sequence) -> Iterator[Iterator]:
    """Yield the results of `work` for the parts as they come; when the block or this process ends, the work is killed.

    It may be killed at any moment, so it must leave nothing half. A ProcessPoolExecutor will not do: in Python 3.11 it
    may overlook the death of the process that it started last.
    """
    if len(parts) == 1:
        yield map(work, parts)  # less than it takes to start a process
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    context = process_server(work)
    processes: list[BaseProcess] = []
    pipes: list[Connection] = []
    try:
        for _ in range(min(cores, len(parts))):
            ours, theirs = context.Pipe()
            processes.append(context.Process(target=_serve, args=(work, theirs)))
            pipes.append(ours)
            processes[-1].start()
            theirs.close()  # so that the pipe ends when the process does
        yield _iterate_results(pipes, parts)
    finally:
        _end(processes, pipes)


def _iterate_results(pipes: list[Connection], parts: Sequence) -> Iterator:
    """Results as they come; a process gets the next part when it has returned one, and the first error is raised."""
    left = list(reversed(parts))
    busy = set(pipes)
    try:
        for pipe in pipes:
            pipe.send(left.pop())
        while busy:
            ready: list[Any] = wait(list(busy))
            for pipe in ready:
                result, error = pipe.recv()
                if error:
                    raise error
                if left:
                    pipe.send(left.pop())
                else:
                    busy.remove(pipe)
                yield result
    except (EOFError, ConnectionError) as end:
        raise BadInput(
            "a worker process died",
            expected="a result from each process",
            got="none; if no error of it stands above, it was killed, most often for lack of memory",
            do="run again: it continues from what is finished; use fewer cores if memory was short",
        ) from end


def _end(processes: list[BaseProcess], pipes: list[Connection]) -> None:
    """Kill the processes, whatever they are doing, and close their pipes."""
    for process in processes:
        process.kill()
        process.join()
    for pipe in pipes:
        pipe.close()


def _serve(work: Callable, pipe: Connection) -> None:
    """Send the result of `work`, or the error it raised, for every part received; interrupts are left to the parent."""
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
    parent = multiprocessing.parent_process()
    assert parent is not None, "only a child process can end with its parent"
    wait([parent.sentinel])
    os._exit(1)
