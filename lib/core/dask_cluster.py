"""Work shared by the workers of a Dask cluster, which see the same files and run the same lib. Dask is optional."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lib.core import fingerprint
from lib.core.errors import BadInput, shortened

_ANSWERS_S = 10


@contextmanager
def on_cluster(
    scheduler: str, work: Callable, parts: Sequence, shared: Path, needed: Sequence[Path]
) -> Iterator[Iterator]:
    """What `work` returns for each part, as it comes; workers must see the folder `shared` and the files `needed`."""
    from dask.distributed import Client

    try:
        client = Client(scheduler, timeout=_ANSWERS_S)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"no cluster answers at {scheduler!r}",
            expected="a Dask scheduler such as tcp://127.0.0.1:8786",
            got=error,
            do="start it, or name none: the cores of this machine then do the work",
        ) from error
    with client:
        _check_workers(client, shared, needed)
        futures = client.map(work, parts, pure=False)
        try:
            yield _as_they_come(futures)
        finally:
            client.cancel(futures)


def _as_they_come(futures: Sequence) -> Iterator:
    """What the workers return; Dask gives the part of a worker that died to another, and after four deaths no more."""
    from dask.distributed import KilledWorker, as_completed

    try:
        for future in as_completed(futures):
            yield future.result()
    except KilledWorker as error:
        raise BadInput(
            "the same work ended several workers",
            expected="an answer",
            got=error,
            do="see the workers' logs: most often memory was short",
        ) from error


def _check_workers(client, shared: Path, needed: Sequence[Path]) -> None:
    """Refuse workers that see other files than we do, or run another lib."""
    try:
        client.wait_for_workers(1, timeout=_ANSWERS_S)
    except TimeoutError as error:
        raise BadInput(
            "the cluster has no workers",
            expected="at least one",
            got=f"none within {_ANSWERS_S} s",
            do="start `dask worker` on each machine, in a checkout of this project",
        ) from error
    marker = shared / f"{uuid.uuid4().hex}.part"  # a new name: a folder of the same name elsewhere cannot have it
    marker.touch()
    try:
        wrong = client.run(_what_is_wrong, [marker, *needed], fingerprint.of_lib())
    except Exception as error:  # whatever a worker could not import or unpickle
        raise BadInput(
            "the cluster's workers cannot run this project",
            expected="workers started in this checkout",
            got=f"{type(error).__name__}: {error}",
            do="start each with PYTHONPATH set to the checkout",
        ) from error
    finally:
        marker.unlink()
    if wrong := {worker: what for worker, what in wrong.items() if what}:
        raise BadInput(
            "the cluster cannot do this work",
            expected="workers that see the same folders and run the same lib",
            got=shortened(f"{worker}: {what}" for worker, what in wrong.items()),
            do="put recordings, embedder and cache on a folder that all machines share, and one checkout beside them",
        )


def _what_is_wrong(needed: Sequence[Path], lib: str) -> str:
    """What a worker lacks, '' if nothing."""
    absent = [str(path) for path in needed if not path.is_file()]
    if absent:
        return f"does not see {', '.join(absent)}"
    return "" if fingerprint.of_lib() == lib else "runs another version of lib"
