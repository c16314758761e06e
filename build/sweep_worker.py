"""What a worker of a cluster does with the run it is given: as at home, on its share of the worker's cores."""

from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from sweep_runs import begin, end, own_cores, shares

_making, _free = Lock(), SimpleQueue()
_made: list[int] = []  # how many shares there are, once they are cut


def run_here(request: str) -> str:
    """Make the run, which leaves a record where all goes as it should, and return how its process ended."""
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
