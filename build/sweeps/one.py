"""The process of one run: execute the notebook, score it, write a record. Started by the sweep, not by hand.

python -m build.sweeps.one <request.json> <cores, comma separated>
"""

import math
import os
import select
import sys
from pathlib import Path
from threading import Thread

from build.cli.processes import end_tree
from build.notebooks.pages import write_page
from build.notebooks.run_child import run_notebook
from build.sweeps.record import MEMBERS, RunRecord, counting_line, read_record, write_record
from build.sweeps.runs import STOP, Request, output_of
from lib.competition.prepared import load_prepared
from lib.competition.scores import load_scores
from lib.core.errors import BadInput
from lib.core.folder_lock import exclusive_folder
from lib.core.paths import find_artifact
from lib.core.records import from_json, read_json, to_json
from lib.judge.ledger import LedgerLine, read_ledger
from lib.judge.subgroups import fold_spread

_POLL_S = 0.3
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def main(request: str, cores: str) -> int:
    """Execute the run and write its record; 0 also when the notebook failed, for that is a result."""
    folder = Path(request).parent
    Thread(target=_end_on_stop_file, args=(folder / STOP,), daemon=True).start()
    _pin_to_cores([int(core) for core in cores.split(",")])
    with exclusive_folder(folder):  # an earlier process of this run may still be ending
        wanted = from_json(Request, read_json(Path(request)), request)
        known = read_record(Path(wanted.sweep), wanted.run.id)
        if known is None or known.status == "failed":
            write_record(Path(wanted.sweep), _execute(wanted, folder))
    return 0


def _execute(request: Request, folder: Path) -> RunRecord:
    """Execute the notebook, and return the run's record."""
    ledger = folder / "runs" / "ledger.jsonl"
    ledger.unlink(missing_ok=True)  # lines of an attempt that did not end well
    result = run_notebook(Path(request.notebook), request.values, folder / "notebook.ipynb")
    write_page(result)
    try:
        lines = read_ledger(ledger)
        line = counting_line(lines, request.metric) if result.ok else None
        member, per_fold = _member(request, line)
        error = "" if result.ok else result.failure
    except BadInput as wrong:
        lines, line, member, per_fold, error = [], None, "", {}, str(wrong)
    if error:
        print(error, file=sys.stderr)  # where whoever looks for the cause looks first
    return RunRecord(
        **to_json(request.run),
        status="failed" if error else "done",
        score=line.score if line else None,
        interval=list(line.interval) if line else None,
        per_fold=per_fold,
        seed=request.values.get("seed", line.seed if line else None),
        seconds=result.duration_s,
        started=result.started,
        error=error,
        notebook=f"runs/{request.run.id}/notebook.ipynb",
        member=member,
        ledger=[to_json(each) for each in lines],
    )


def _member(request: Request, line: LedgerLine | None) -> tuple[str, dict[str, float]]:
    """The folder of the member that the line is about, and its scores by fold; nothing where it is no member's."""
    output = output_of(Path(request.sweep), request.run.id, Path(request.notebook))
    for folder in [output / kind / tag for tag in (line.tags if line else ()) for kind in MEMBERS]:
        if (folder / "oof.parquet").is_file():
            prepared = load_prepared(find_artifact("prepared", request.values["inputs_dir"]))
            scores = load_scores(folder / "oof.parquet")
            by_fold = fold_spread(prepared.labels.restrict_to(scores), scores).scores
            held = {str(fold): score for fold, score in by_fold.items() if math.isfinite(score)}
            return str(folder.relative_to(request.sweep)), held
    return "", {}


def _pin_to_cores(cores: list[int]) -> None:
    """Pin this process, and all it will start, to these cores and to as many threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    os.environ.update(dict.fromkeys(_THREADS, str(len(cores))))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the Makefile: its threads wait for each other


def _end_on_stop_file(stop: Path) -> None:
    """Wait for the stop file, or for the end of the process that holds our input, and end all that was started."""
    while not stop.exists():
        if select.select([sys.stdin], [], [], _POLL_S)[0] and not os.read(sys.stdin.fileno(), 1):
            break
    end_tree(os.getpid())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
