"""Run work on the workers of a Dask cluster, which see the same files and run the same lib. Dask is optional."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lib.core import fingerprint
from lib.core.errors import BadInput, shorten

_TIMEOUT_S = 10


@contextmanager
def on_cluster(
    scheduler: str, work: Callable, parts: Sequence, shared: Path, needed: Sequence[Path]
) -> Iterator[Iterator]:
    """Yield results of `work` for the parts as they come; workers must see the folder `shared` and `needed` files."""
    from dask.distributed import Client

    try:
        client = Client(scheduler, timeout=_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"no Dask scheduler can be reached at {scheduler!r}",
            expected="a Dask scheduler such as tcp://127.0.0.1:8786",
            got=error,
            do="start the scheduler, or set no scheduler: the cores of this machine then do the work",
        ) from error
    with client:
        _check_workers(client, shared, needed)
        futures = client.map(work, parts, pure=False)
        try:
            yield _iterate_results(futures)
        finally:
            client.cancel(futures)


def _iterate_results(futures: Sequence) -> Iterator:
    """Results as they come; Dask gives the part of a worker that died to another, and after four deaths no more."""
    from dask.distributed import KilledWorker, as_completed

    try:
        for future in as_completed(futures):
            yield future.result()
    except KilledWorker as error:
        raise BadInput(
            "the same part of the work killed several workers",
            expected="a result for each part",
            got=error,
            do="read the workers' logs and give each worker more memory: most often memory was short",
        ) from error


def _check_workers(client, shared: Path, needed: Sequence[Path]) -> None:
    """Refuse workers that see other files than this process does, or run another lib."""
    try:
        client.wait_for_workers(1, timeout=_TIMEOUT_S)
    except TimeoutError as error:
        raise BadInput(
            "the cluster has no workers",
            expected="at least one",
            got=f"none within {_TIMEOUT_S} s",
            do="start `dask worker` on each machine, in a checkout of this project",
        ) from error
    marker = shared / f"{uuid.uuid4().hex}.part"  # a new name: a folder of the same name elsewhere cannot have it
    marker.touch()
    try:
        problems = client.run(_worker_problem, [marker, *needed], fingerprint.of_lib())
    except Exception as error:  # whatever a worker could not import or unpickle
        raise BadInput(
            "the cluster's workers cannot run this project",
            expected="workers started in this checkout",
            got=f"{type(error).__name__}: {error}",
            do="start each with PYTHONPATH set to the checkout",
        ) from error
    finally:
        marker.unlink()
    if problems := {worker: problem for worker, problem in problems.items() if problem}:
        raise BadInput(
            "the cluster's workers cannot do this work",
            expected="workers that see the same folders and run the same lib",
            got=shorten(f"{worker}: {problem}" for worker, problem in problems.items()),
            do="put recordings, embedder and cache on a folder that all machines share, and one checkout beside them",
        )


def _worker_problem(needed: Sequence[Path], lib: str) -> str:
    """The reason why this worker cannot do the work, '' if it can."""
    absent = [str(path) for path in needed if not path.is_file()]
    if absent:
        return f"does not see {', '.join(absent)}"
    return "" if fingerprint.of_lib() == lib else "runs another version of lib"
