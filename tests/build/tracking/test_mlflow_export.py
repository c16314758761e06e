"""The ledger and the sweeps arrive in MLflow once each, as they are, and as they have become; its server shows them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from urllib.request import Request, urlopen

import psutil
import pytest

from build.project import ROOT
from build.tracking import mlflow_export as command
from build.tracking.mlflow_runs import iterate_runs
from build.tracking.mlflow_server import serve
from lib.core.errors import BadInput
from lib.core.paths import ledger_path
from lib.core.records import read_json, write_json, write_text
from lib.judge.ledger import LedgerLine, append_ledger_line
from tests.support.tinysweep import make_record, make_sweep

HISTORY = [
    {"epoch": n, "learning_rate": 0.1, "loss": 1 / n, "scores": {"soundscapes": 0.6, "clips": None}} for n in (1, 2)
]
LINE = LedgerLine("does it help?", "c0ffee", "f", "d", 1, 0.7, (0.6, 0.8), 30, 2.0, ("alone", "net"), "merge")
SWEPT = LedgerLine("what helps?", "c", "f", "d", 1, 0.8, (0.7, 0.9), 30, 2.0, ("sweep", "tiny", "000000000002"), "park")


@pytest.fixture
def runs(tmp_path):
    """Runs with a member, a ledger of two equal lines on it and one of a sweep; a sweep, one run done, one failed."""
    runs = tmp_path / "runs" / "mini"
    for line in (LINE, LINE, SWEPT):
        append_ledger_line(ledger_path(runs), line)
    output = runs / "02_fold_training"
    write_json(output / "members/net/member.json", {"config": {"loop": {"epochs": 2}}, "config_fingerprint": "c0ffee"})
    write_text(output / "training/net-1234/fold0/history.jsonl", "\n".join(map(json.dumps, HISTORY)))
    folder = make_sweep(runs)
    make_record(folder, 1, {"loss": "bce", "rate": 0.1}, status="failed", error="boom")
    done = {"score": 0.8, "interval": [0.7, 0.9], "per_fold": {"0": 0.75}, "member": "runs/m"}
    make_record(folder, 2, {"loss": "focal", "seed": 3}, **done)
    write_json(folder / "results.json", [{"id": "000000000002", "verdict": "park"}])
    return runs


def test_a_notebook_is_an_experiment_with_its_runs_and_its_sweeps_each_once(runs):
    found = list(iterate_runs(runs))
    assert {each.experiment for each in found} == {"02_fold_training"}
    assert [each.name for each in found] == [
        "sweep tiny",
        "tiny 1: loss=bce, rate=0.1",
        "tiny 2: loss=focal, seed=3",
        "net, seed 1, c0ffee",
        "net, seed 1, c0ffee, again 2",
    ]
    assert len({each.id for each in found}) == 5
    assert [each.parent for each in found] == ["", "sweep/tiny", "sweep/tiny", "", ""]


def test_a_run_is_exported_with_all_its_facts(runs):
    _, failed, done, line, _ = iterate_runs(runs)
    assert (failed.status, failed.metrics, failed.tags["error"]) == ("FAILED", {"seconds": 21.0}, "boom")
    assert failed.tags["log"] == str(runs / "sweeps/tiny/runs/000000000001/run.log")
    assert failed.parameters == {"loss": "bce", "rate": "0.1"}
    assert done.metrics == {"score": 0.8, "low": 0.7, "high": 0.9, "seconds": 22.0, "fold_0": 0.75}
    assert done.ended_ms - done.started_ms == 22_000
    assert (done.tags["verdict"], done.tags["question"], done.tags["stage"]) == ("park", "what helps?", "only")
    assert done.tags["member"] == str(runs / "sweeps/tiny/runs/m")
    assert done.tags["page"].endswith("runs/000000000002/notebook.html")
    assert (line.metrics["low"], line.parameters["config"], line.tags["verdict"]) == (0.6, "c0ffee", "merge")


def test_a_run_has_its_plan_as_parameters_and_a_curve_a_fold_by_epoch(runs):
    line = next(each for each in iterate_runs(runs) if each.name.startswith("net"))
    assert line.parameters["loop.epochs"] == "2"
    curves = {"loss/fold0": [(1, 1.0), (2, 0.5)], "learning_rate/fold0": [(1, 0.1), (2, 0.1)]}
    assert line.curves == curves | {"soundscapes/fold0": [(1, 0.6), (2, 0.6)]}


def test_a_line_whose_member_has_been_made_anew_has_another_ones_plan_never(runs):
    append_ledger_line(ledger_path(runs), replace(LINE, config="older1"))
    append_ledger_line(ledger_path(runs), replace(LINE, tags=("alone", "gone")))
    *_, older, gone = iterate_runs(runs)
    assert (older.experiment, older.name, older.curves) == ("02_fold_training", "net, seed 1, older1", {})
    assert "loop.epochs" not in older.parameters
    assert (gone.experiment, gone.name) == ("other lines of the ledger", "alone gone, seed 1, c0ffee")


def test_without_mlflow_the_error_names_how_to_install_it(runs, monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert command.main(["--runs", str(runs), "--dry"]) == 2
    assert "requirements-mlflow.txt" in capsys.readouterr().err


@pytest.mark.slow
def test_exported_again_nothing_doubles_and_what_changed_is_replaced(runs, capsys):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    store = command.store_address(runs)
    assert command.main(["--runs", str(runs), "--dry"]) == 0
    assert capsys.readouterr().out.startswith("5 new, 0 changed, 0 there")
    assert command.export(runs, store) == {"there": 5}
    make_record(runs / "sweeps/tiny", 1, {"loss": "bce", "rate": 0.1}, score=0.6, interval=[0.5, 0.7])
    sweep = read_json(runs / "sweeps/tiny/sweep.json")
    write_json(runs / "sweeps/tiny/sweep.json", sweep | {"runs": sorted(set(sweep["runs"]))})
    append_ledger_line(ledger_path(runs), LINE)
    assert command.export(runs, store) == {"there": 4, "changed": 1, "new": 1}
    client = MlflowClient(tracking_uri=store)
    found = client.search_runs([client.get_experiment_by_name("02_fold_training").experiment_id])
    by_name = {run.info.run_name: run for run in found}
    assert len(found) == len(by_name) == 6
    whole, first = by_name["sweep tiny"], by_name["tiny 1: loss=bce, rate=0.1"]
    assert (first.data.metrics["score"], first.info.status) == (0.6, "FINISHED")
    assert first.data.tags["mlflow.parentRunId"] == whole.info.run_id
    net = by_name["net, seed 1, c0ffee"]
    assert net.data.params["loop.epochs"] == "2"
    curve = client.get_metric_history(net.info.run_id, "loss/fold0")
    assert [(point.step, point.value) for point in curve] == [(1, 1.0), (2, 0.5)]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_mlflows_own_server_shows_the_runs_and_ends_with_all_its_processes(runs, number, code):
    pytest.importorskip("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = [sys.executable, "-m", "build.tracking.mlflow_export", "--runs", str(runs), "--port", str(port)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as served:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/health", served)
            named = _request(f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=02_fold_training")
            body = {"experiment_ids": [named["experiment"]["experiment_id"]]}
            assert len(_request(f"{address}/api/2.0/mlflow/runs/search", body)["runs"]) == 5
            with urlopen(address, timeout=60) as page:
                assert b"MLflow" in page.read()
            processes = psutil.Process(served.pid).children(recursive=True)
            assert len(processes) > 1
            served.send_signal(number)
            assert served.wait(60) == code
            _, left = psutil.wait_procs(processes, timeout=10)
            assert not left
        finally:
            served.kill()


STAND_IN = """import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("serving", flush=True)
time.sleep(600)
"""


def test_an_end_of_the_command_ends_the_server_and_what_that_started(tmp_path):
    """A stand-in for the server, which starts a process as MLflow's does."""
    (tmp_path / "mlflow.py").write_text(STAND_IN)
    script = "import sys; from build.cli.exit_codes import end; from build.tracking.mlflow_server import serve\n"
    script += "end(lambda: serve('none', int(sys.argv[1])))"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    served = subprocess.Popen([sys.executable, "-c", script, str(port)], stdout=subprocess.PIPE, env=environment)
    with served:
        while b"serving" not in served.stdout.readline():
            assert served.poll() is None
        processes = psutil.Process(served.pid).children(recursive=True)
        served.terminate()
        assert served.wait(60) == 143
        assert len(processes) == 2
        assert not psutil.wait_procs(processes, timeout=10)[1]


def test_a_port_that_is_taken_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BadInput, match="the port is taken"):
        serve("none", taken.getsockname()[1])


def _wait_for(address, served):
    """Wait until the server responds; it takes seconds to come up, and many on a busy machine."""
    last = time.monotonic() + 240
    while True:
        try:
            with urlopen(address, timeout=10):
                return
        except OSError:
            assert served.poll() is None, served.stdout.read().decode()
            assert time.monotonic() < last
            time.sleep(0.3)


def _request(address, body=None):
    """The server's JSON response."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(address, data, {"Content-Type": "application/json"}), timeout=60) as response:
        return json.load(response)
