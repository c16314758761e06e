"""Engines that execute runs: this machine, as many at once as its cores or GPUs allow; or a Dask cluster.

Scheduler and workers of a cluster are Dask's own (`dask scheduler`, `dask worker`), started with PYTHONPATH set to the
checkout. All machines see the checkout and the folder of the sweep under the same paths: there a run leaves its
results, and there lies the file that stops it. A worker holds as many runs as it has threads, and gives each a share of
the cores it may use. Dask hands the run of a worker that was lost to another; a notebook that failed is a result, and
is not repeated.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING

from build.sweeps.runs import STOP, available_cores, end_process, split_cores, start_process
from lib.core.dask_cluster import on_cluster
from lib.core.errors import BadInput

if TYPE_CHECKING:
    from dask.distributed import Future

_CLOSE_S, _POLL_S = 15, 0.1
_share_lock = Lock()
_free_shares: SimpleQueue[list[int]] = SimpleQueue()  # of a worker: its shares of cores that no run has
_share_counts: list[int] = []  # the number of shares, once they are cut


class Local:
    """Runs as processes of this machine."""

    def __init__(self, wanted: int, cores: int = 1, gpus: int = 0):
        """Make slots for up to `wanted` runs at once, each with `cores` at least, and with so many GPUs."""
        ours, there = available_cores(), _gpus() if gpus else []
        if gpus > len(there):
            raise BadInput(
                "this machine has too few GPUs",
                expected=f"{gpus} a run",
                got=len(there),
                do="set fewer in resources, or set ENGINE to a cluster that has them",
            )
        at_once = max(1, min(wanted, len(ours) // cores))
        at_once = min(at_once, len(there) // gpus) if gpus else at_once
        self._free = [(share, there[n * gpus : (n + 1) * gpus]) for n, share in enumerate(split_cores(ours, at_once))]
        self._running: dict[str, tuple[subprocess.Popen, tuple]] = {}
        self.slots = at_once

    def __str__(self) -> str:
        return f"{self.slots} at once on {len(available_cores())} cores of this machine"

    def start(self, request: Path) -> None:
        """Start the process of the run that the request describes."""
        cores, gpus = room = self._free.pop(0)
        environment = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}
        self._running[request.parent.name] = (start_process(request, cores, environment), room)

    def poll(self) -> dict[str, str]:
        """The runs that have ended since the last call, each with how its process ended."""
        found = {}
        for identity, (process, room) in list(self._running.items()):
            if process.poll() is not None:
                found[identity] = f"its process ended with code {process.returncode}"
                self._release(identity, process, room)
        return found

    def close(self) -> None:
        """Stop all runs."""
        for identity, (process, room) in list(self._running.items()):
            self._release(identity, process, room)

    def _release(self, identity: str, process: subprocess.Popen, room: tuple) -> None:
        """End what is left of the run, and free its slot."""
        end_process(process)
        del self._running[identity]
        self._free.append(room)


class Cluster:
    """Runs as tasks of a Dask cluster."""

    def __init__(self, scheduler: str, shared: Path, needed: Sequence[Path], resources: dict[str, float]):
        """Connect; workers that do not see `shared` and the files needed, or run another lib, are an error."""
        if find_spec("distributed") is None:
            raise BadInput(
                "a cluster needs a package that is not here",
                expected="dask[distributed]",
                got="none",
                do="pip install -r requirements-dev.txt",
            )
        from dask.distributed import Client

        with on_cluster(scheduler, run_here, [], shared, needed):
            pass  # only its checks are needed
        self._scheduler, self._resources = scheduler, resources
        self._running: dict[Path, Future] = {}
        self._client = Client(scheduler, set_as_default=False)

    def __str__(self) -> str:
        return f"{self.slots} at once on the {len(self._client.nthreads())} workers of {self._scheduler}"

    @property
    def slots(self) -> int:
        """The number of runs that the present workers can hold at once; 1 where all are lost, which waits for one."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return max(1, sum(self._slots_of(worker["nthreads"], worker["resources"]) for worker in workers))

    def start(self, request: Path) -> None:
        """Submit the run to the cluster."""
        self._running[request.parent] = self._client.submit(
            run_here, str(request), pure=False, resources=self._resources
        )

    def poll(self) -> dict[str, str]:
        """The runs that have ended since the last call, each with how its process ended."""
        if self._client.status != "running":
            raise BadInput(
                "the cluster is gone",
                expected="a scheduler that stays",
                got=self._client.status,
                do="start it again; the same command then resumes the sweep",
            )
        done = [folder for folder, future in self._running.items() if future.done()]
        return {folder.name: _outcome(self._running.pop(folder)) for folder in done}

    def close(self) -> None:
        """Stop all runs, and disconnect."""
        for folder in self._running:
            (folder / STOP).touch()
        futures, until = list(self._running.values()), time.monotonic() + _CLOSE_S
        while self._client.status == "running" and time.monotonic() < until:
            if all(future.done() for future in futures):
                break
            time.sleep(_POLL_S)
        self._client.cancel(futures)
        self._client.close()

    def _slots_of(self, threads: int, resources: dict[str, float]) -> int:
        """The number of runs that a worker can hold at once."""
        return min([threads, *(int(resources.get(name, 0) // need) for name, need in self._resources.items())])


def _gpus() -> list[str]:
    """The GPUs that this process may use, by number or name."""
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return visible.split(",")
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return []
    return [str(number) for number, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]


def _outcome(future: "Future") -> str:
    """The end of the run's process, as the worker returned it; or the error that the worker raised."""
    if future.status == "finished":
        return future.result()
    if future.status == "error":
        error = future.exception()
        return f"{type(error).__name__}: {error}"
    raise BadInput(
        "the cluster dropped a run",
        expected="a scheduler that stays",
        got=future.status,
        do="start it again; the same command then resumes the sweep",
    )


def run_here(request: str) -> str:
    """On a worker: execute the run, which leaves a record where all goes well, and return how its process ended."""
    share = _take_share()
    try:
        process = start_process(Path(request), share)
        try:
            process.wait()
        finally:
            end_process(process)
    finally:
        _free_shares.put(share)
    return f"its process ended with code {process.returncode}"


def _take_share() -> list[int]:
    """A share of the worker's cores that no other run of it has: there are as many shares as the worker has threads."""
    from dask.distributed import get_worker

    with _share_lock:
        if not _share_counts:
            ours, threads = available_cores(), get_worker().state.nthreads
            _share_counts.append(threads)
            for share in split_cores(ours, threads) if threads <= len(ours) else [ours] * threads:
                _free_shares.put(share)
    return _free_shares.get()
