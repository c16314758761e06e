"""Export the ledger and the sweeps to MLflow's store below RUNS, and open its server.

python -m build.tracking.mlflow_export            export what is new, then serve on this machine alone, until Ctrl-C
python -m build.tracking.mlflow_export --dry      only export

Nothing here reads MLflow: the ledger and the records stay what counts. An experiment is a notebook: its runs, and a run
a sweep with those of the sweep below it. What was exported before stays; what has changed since, such as a failed run
made again, is replaced.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from build.cli.exit_codes import Parser, end, tool
from build.project import ROOT
from build.tracking.mlflow_runs import TrackedRun, iterate_runs
from build.tracking.mlflow_server import QUIET, serve
from lib.core.errors import BadInput

_PAGE = 1000  # runs requested at once
_BATCH = 100  # parameters that MLflow takes at once
_ID, _CONTENT, _PARENT = "pantanal.id", "pantanal.content", "mlflow.parentRunId"


def export(runs: Path, store: str) -> Counter[str]:
    """Put the ledger and the sweeps of RUNS into the store, and return how many runs are new, changed and there."""
    _refuse_without_mlflow()
    from mlflow.tracking import MlflowClient  # here, for it takes seconds, and only sweeps' requirements bring it

    client = MlflowClient(tracking_uri=store)
    counted: Counter[str] = Counter()
    known: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {}
    for run in iterate_runs(runs):
        if run.experiment not in known:
            experiment = _experiment(client, run.experiment, runs)
            known[run.experiment] = experiment, dict(_find_exported(client, experiment))
        experiment, there = known[run.experiment]
        number, content = there.get(run.id, ("", ""))
        if content == run.content:
            counted["there"] += 1
            continue
        if number:
            client.delete_run(number)
        there[run.id] = _log(client, experiment, run, there.get(run.parent, ("", ""))[0]), run.content
        counted["changed" if number else "new"] += 1
    return counted


def store_address(runs: Path) -> str:
    """The address of the database below RUNS."""
    return f"sqlite:///{(runs / 'mlflow' / 'mlflow.db').resolve()}"


def _refuse_without_mlflow() -> None:
    """Refuse where MLflow cannot be imported; disable its telemetry where it can."""
    os.environ.update(QUIET)
    if find_spec("mlflow") is None:
        raise BadInput(
            "MLflow is not installed here",
            expected="the packages of requirements-mlflow.txt",
            got=sys.executable,
            do="run make mlflow, or pip install -r requirements-mlflow.txt",
        )


def _experiment(client, name: str, runs: Path) -> str:
    """The id of the experiment of that name, made if need be; one that was deleted by hand is an error."""
    found = client.get_experiment_by_name(name)
    if found is None:
        return client.create_experiment(name, artifact_location=(runs / "mlflow" / "artifacts").resolve().as_uri())
    if found.lifecycle_stage != "active":
        raise BadInput(
            f"the experiment {name!r} was deleted in MLflow",
            expected="one that is active",
            got="deleted",
            do=f"restore it in MLflow's pages, or remove {runs / 'mlflow'} and export anew",
        )
    return found.experiment_id


def _find_exported(client, experiment: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each run of an earlier export: its id here, and its MLflow id and content."""
    token = None
    while True:
        page = client.search_runs([experiment], max_results=_PAGE, page_token=token)
        for run in page:
            if _ID in run.data.tags:
                yield run.data.tags[_ID], (run.info.run_id, run.data.tags[_CONTENT])
        token = page.token
        if not token:
            return


def _log(client, experiment: str, run: TrackedRun, parent: str) -> str:
    """Write one run and return its number; its content last, so that one torn by an interrupt is written anew."""
    from mlflow.entities import Metric, Param

    tags = {_ID: run.id, _CONTENT: "", **run.tags} | ({_PARENT: parent} if parent else {})
    number = client.create_run(experiment, start_time=run.started_ms, tags=tags, run_name=run.name).info.run_id
    metrics = [Metric(name, value, run.ended_ms, 0) for name, value in run.metrics.items()]
    metrics += [
        Metric(name, value, run.ended_ms, epoch) for name, curve in run.curves.items() for epoch, value in curve
    ]
    parameters = [Param(name, value) for name, value in run.parameters.items()]
    for first in range(0, max(len(metrics), len(parameters)), _BATCH):
        client.log_batch(number, metrics[first : first + _BATCH], parameters[first : first + _BATCH])
    client.set_terminated(number, run.status, end_time=run.ended_ms)
    client.set_tag(number, _CONTENT, run.content)
    return number


@tool
def main(arguments: list[str] | None = None) -> int:
    """Export, and serve unless --dry is given; 0 when all went well."""
    parser = Parser(__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/mini", help="whose ledger and sweeps")
    parser.add_argument("--port", type=int, default=5000, help="of MLflow's pages")
    parser.add_argument("--dry", action="store_true", help="only export")
    options = parser.parse_args(arguments)
    store = store_address(options.runs)
    (options.runs / "mlflow").mkdir(parents=True, exist_ok=True)
    counted = export(options.runs, store)
    print(", ".join(f"{counted[state]} {state}" for state in ("new", "changed", "there")) + f": {store}", flush=True)
    return 0 if options.dry else serve(store, options.port)


if __name__ == "__main__":
    end(main)
