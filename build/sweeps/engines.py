"""Where runs are made: on this machine, as many at once as its cores or GPUs allow; or on a Dask cluster.

Scheduler and workers of a cluster are Dask's own (`dask scheduler`, `dask worker`). All machines see the checkout and
the folder of the sweep under the same paths: there a run leaves its results, and there it is told to stop. A worker
holds as many runs as it has threads, and gives each a share of the cores it may use. Dask hands the run of a worker
that was lost to another; a notebook that failed is a result, and is not repeated.
"""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from build.sweeps.runs import STOP, begin, end, own_cores, shares
from lib.core.dask_cluster import on_cluster
from lib.core.errors import BadInput

_LETS_GO_S, _LOOK_EVERY_S = 15, 0.1
_making, _free = Lock(), SimpleQueue()  # of a worker: its shares of cores that no run has
_made: list[int] = []  # how many shares there are, once they are cut


class Local:
    """Processes of this machine."""

    def __init__(self, wanted: int, cores: int = 1, gpus: int = 0):
        """Room for up to `wanted` runs at once, each with `cores` at least, and with so many GPUs."""
        ours, there = own_cores(), _gpus() if gpus else []
        if gpus > len(there):
            raise BadInput(
                "this machine has too few GPUs",
                expected=f"{gpus} a run",
                got=len(there),
                do="ask for fewer in resources, or give ENGINE a cluster that has them",
            )
        at_once = max(1, min(wanted, len(ours) // cores))
        at_once = min(at_once, len(there) // gpus) if gpus else at_once
        self._free = [(share, there[n * gpus : (n + 1) * gpus]) for n, share in enumerate(shares(ours, at_once))]
        self._running: dict[str, tuple[subprocess.Popen, tuple]] = {}
        self.places = at_once

    def __str__(self) -> str:
        return f"{self.places} at once on {len(own_cores())} cores of this machine"

    def start(self, request: Path) -> None:
        """Begin the run that the request describes."""
        cores, gpus = room = self._free.pop(0)
        environment = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}
        self._running[request.parent.name] = (begin(request, cores, environment), room)

    def ended(self) -> dict[str, str]:
        """The runs that have ended since this was asked, each with what ended it where it left no record."""
        found = {}
        for identity, (process, room) in list(self._running.items()):
            if process.poll() is not None:
                found[identity] = f"its process ended with code {process.returncode}"
                self._forget(identity, process, room)
        return found

    def close(self) -> None:
        """End all runs."""
        for identity, (process, room) in list(self._running.items()):
            self._forget(identity, process, room)

    def _forget(self, identity: str, process: subprocess.Popen, room: tuple) -> None:
        """Make sure that nothing of the run is left, and free its room."""
        end(process)
        del self._running[identity]
        self._free.append(room)


class Cluster:
    """The workers of a cluster."""

    def __init__(self, scheduler: str, shared: Path, needed: Sequence[Path], resources: dict[str, float]):
        """Connect; workers that do not see `shared` and the files needed, or run another lib, are an error."""
        if find_spec("distributed") is None:
            raise BadInput(
                "a cluster needs a package that is not here",
                expected="dask[distributed]",
                got="none",
                do="pip install -r requirements-sweeps.txt",
            )
        from dask.distributed import Client

        with on_cluster(scheduler, _task(), [], shared, needed):
            pass  # its checks are all that is wanted of it
        self._scheduler, self._resources, self._running = scheduler, resources, {}
        self._client = Client(scheduler, set_as_default=False)

    def __str__(self) -> str:
        return f"{self.places} at once on the {len(self._client.nthreads())} workers of {self._scheduler}"

    @property
    def places(self) -> int:
        """How many runs the workers that are there now can make at once; 1 where all are lost, which waits for one."""
        held = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return max(1, sum(self._room(worker["nthreads"], worker["resources"]) for worker in held))

    def start(self, request: Path) -> None:
        """Hand the run to the cluster."""
        self._running[request.parent] = self._client.submit(
            _task(), str(request), pure=False, resources=self._resources
        )

    def ended(self) -> dict[str, str]:
        """The runs that have ended since this was asked, each with what ended it where it left no record."""
        if self._client.status != "running":
            raise BadInput(
                "the cluster is gone",
                expected="a scheduler that stays",
                got=self._client.status,
                do="start it again; the same command then goes on",
            )
        done = [folder for folder, future in self._running.items() if future.done()]
        return {folder.name: _how_it_ended(self._running.pop(folder)) for folder in done}

    def close(self) -> None:
        """End all runs, and let go of the cluster."""
        for folder in self._running:
            (folder / STOP).touch()
        futures, until = list(self._running.values()), time.monotonic() + _LETS_GO_S
        while self._client.status == "running" and time.monotonic() < until:
            if all(future.done() for future in futures):
                break
            time.sleep(_LOOK_EVERY_S)
        self._client.cancel(futures)
        self._client.close()

    def _room(self, threads: int, resources: dict[str, float]) -> int:
        """How many runs a worker can make at once."""
        return min([threads, *(int(resources.get(name, 0) // need) for name, need in self._resources.items())])


def _gpus() -> list[str]:
    """The GPUs that this process may use, by number or name."""
    if said := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return said.split(",")
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return []
    return [str(number) for number, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]


def _task() -> Callable[[str], str]:
    """What a worker does with a run; defined inside, so that it travels whole: workers find lib, but not build."""

    def there(request: str) -> str:
        from build.sweeps.engines import run_here

        return run_here(request)

    return there


def _how_it_ended(future) -> str:
    """What the worker said of the run, or why it could not."""
    if future.status == "finished":
        return future.result()
    if future.status == "error":
        error = future.exception()
        return f"{type(error).__name__}: {error}"
    raise BadInput(
        "the cluster dropped a run",
        expected="a scheduler that stays",
        got=future.status,
        do="start it again; the same command then goes on",
    )


def run_here(request: str) -> str:
    """On a worker: make the run, which leaves a record where all goes well, and return how its process ended."""
    share = _take()
    try:
        process = begin(Path(request), share)
        try:
            process.wait()
        finally:
            end(process)
    finally:
        _free.put(share)
    return f"its process ended with code {process.returncode}"


def _take() -> list[int]:
    """A share of the worker's cores that no other run of it has: there are as many shares as the worker has threads."""
    from dask.distributed import get_worker

    with _making:
        if not _made:
            ours, threads = own_cores(), get_worker().state.nthreads
            _made.append(threads)
            for share in shares(ours, threads) if threads <= len(ours) else [ours] * threads:
                _free.put(share)
    return _free.get()
