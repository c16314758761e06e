"""Runs on a Dask cluster, one task each; scheduler and workers are Dask's own (`dask scheduler`, `dask worker`).

All machines see the checkout and the folder of the sweep under the same paths: there a run leaves its results, and
there it is told to stop. A worker holds as many runs as it has threads, and gives each a share of the cores it may
use. Dask hands the run of a worker that was lost to another; a notebook that failed is a result, and is not repeated.
"""

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from sweep_runs import STOP

from lib.competition.errors import BadInput
from lib.learn.cluster import on_cluster

_LETS_GO_S, _LOOK_EVERY_S = 15, 0.1


class Cluster:
    """The workers of a cluster."""

    def __init__(self, scheduler: str, shared: Path, needed: Sequence[Path], resources: dict[str, float]):
        """Connect; workers that do not see `shared` and the files needed, or run another lib, are an error."""
        if find_spec("distributed") is None:
            raise BadInput("a cluster needs a package that is not here", expected="dask[distributed]", got="none",
                           do="pip install -r requirements-sweeps.txt")  # fmt: skip
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
            raise BadInput("the cluster is gone", expected="a scheduler that stays", got=self._client.status,
                           do="start it again; the same command then goes on")  # fmt: skip
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


def _task() -> Callable[[str], str]:
    """What a worker does with a run; defined inside, so that it travels whole: workers find lib, but not build."""

    def there(request: str) -> str:
        import sys
        from pathlib import Path

        import lib

        build = str(Path(lib.__path__[0]).resolve().parent / "build")
        if build not in sys.path:
            sys.path.insert(0, build)
        from sweep_worker import run_here

        return run_here(request)

    return there


def _how_it_ended(future) -> str:
    """What the worker said of the run, or why it could not."""
    if future.status == "finished":
        return future.result()
    if future.status == "error":
        error = future.exception()
        return f"{type(error).__name__}: {error}"
    raise BadInput("the cluster dropped a run", expected="a scheduler that stays", got=future.status,
                   do="start it again; the same command then goes on")  # fmt: skip
