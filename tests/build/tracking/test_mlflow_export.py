"""The ledger and the sweeps arrive in MLflow once each, as they are, and as they have become; its server shows them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.request import Request, urlopen

import pytest

from build.tracking import mlflow_export as command
from build.tracking.mlflow_runs import iterate_runs
from lib.core.paths import ledger_path
from lib.core.records import read_json, write_json
from lib.judge.ledger import LedgerLine, append_ledger_line
from tests.support.tinysweep import make_record, make_sweep

LINE = LedgerLine("does it help?", "c0ffee", "f", "d", 1, 0.7, (0.6, 0.8), 30, 2.0, ("alone", "net"), "merge")
SWEPT = LedgerLine("what helps?", "c", "f", "d", 1, 0.8, (0.7, 0.9), 30, 2.0, ("sweep", "tiny", "000000000002"), "park")


@pytest.fixture
def runs(tmp_path):
    """Runs with a ledger of two equal lines and one of a sweep, and with the sweep: one run done, one failed."""
    runs = tmp_path / "runs" / "mini"
    for line in (LINE, LINE, SWEPT):
        append_ledger_line(ledger_path(runs), line)
    folder = make_sweep(runs)
    make_record(folder, 1, {"loss": "bce", "rate": 0.1}, status="failed", error="boom")
    make_record(folder, 2, {"loss": "focal"}, score=0.8, interval=[0.7, 0.9], per_fold={"0": 0.75}, member="runs/m")
    write_json(folder / "results.json", [{"id": "000000000002", "verdict": "park"}])
    return runs


def test_each_run_is_exported_once_and_a_sweeps_ledger_line_not_again(runs):
    found = list(iterate_runs(runs))
    assert [each.experiment for each in found] == ["sweep tiny"] * 2 + ["does it help?"] * 2
    assert len({each.id for each in found}) == 4


def test_a_run_is_exported_with_all_its_facts(runs):
    failed, done, line, _ = iterate_runs(runs)
    assert (failed.status, failed.metrics, failed.tags["error"]) == ("FAILED", {"seconds": 21.0}, "boom")
    assert failed.parameters == {"loss": "bce", "rate": "0.1"}
    assert done.metrics == {"score": 0.8, "low": 0.7, "high": 0.9, "seconds": 22.0, "fold_0": 0.75}
    assert done.ended_ms - done.started_ms == 22_000
    assert (done.tags["verdict"], done.tags["question"], done.tags["stage"]) == ("park", "what helps?", "only")
    assert done.tags["member"] == str(runs / "sweeps/tiny/runs/m")
    assert done.tags["page"].endswith("runs/000000000002/notebook.html")
    assert (line.metrics["low"], line.parameters["config"], line.tags["verdict"]) == (0.6, "c0ffee", "merge")


def test_without_mlflow_the_error_names_how_to_install_it(runs, monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert command.main(["--runs", str(runs), "--dry"]) == 2
    assert "requirements-sweeps.txt" in capsys.readouterr().err


@pytest.mark.slow
def test_exported_again_nothing_doubles_and_what_changed_is_replaced(runs, capsys):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    store = command.store_address(runs)
    assert command.main(["--runs", str(runs), "--dry"]) == 0
    assert capsys.readouterr().out.startswith("4 new, 0 changed, 0 there")
    assert command.export(runs, store) == {"there": 4}
    make_record(runs / "sweeps/tiny", 1, {"loss": "bce", "rate": 0.1}, score=0.6, interval=[0.5, 0.7])
    sweep = read_json(runs / "sweeps/tiny/sweep.json")
    write_json(runs / "sweeps/tiny/sweep.json", sweep | {"runs": sorted(set(sweep["runs"]))})
    append_ledger_line(ledger_path(runs), LINE)
    assert command.export(runs, store) == {"there": 3, "changed": 1, "new": 1}
    client = MlflowClient(tracking_uri=store)
    tiny = client.search_runs([client.get_experiment_by_name("sweep tiny").experiment_id])
    by_name = {run.info.run_name: run for run in tiny}
    assert len(tiny) == len(by_name) == 2
    assert by_name["1 only"].data.metrics["score"] == 0.6
    assert by_name["1 only"].info.status == "FINISHED"
    assert by_name["2 only"].data.params == {"loss": "focal"}
    assert by_name["2 only"].info.end_time - by_name["2 only"].info.start_time == 22_000
    lines = client.search_runs([client.get_experiment_by_name("does it help?").experiment_id])
    assert [run.data.metrics["score"] for run in lines] == [0.7] * 3


@pytest.mark.slow
def test_mlflows_own_server_shows_the_runs(runs):
    pytest.importorskip("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = [sys.executable, "-m", "build.tracking.mlflow_export", "--runs", str(runs), "--port", str(port)]
    served = subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/health", served)
        named = _request(f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=sweep%20tiny")
        body = {"experiment_ids": [named["experiment"]["experiment_id"]]}
        found = _request(f"{address}/api/2.0/mlflow/runs/search", body)["runs"]
        assert sorted(run["info"]["run_name"] for run in found) == ["1 only", "2 only"]
        scores = [each["value"] for run in found for each in run["data"].get("metrics", []) if each["key"] == "score"]
        assert scores == [0.8]
        with urlopen(address, timeout=60) as page:
            assert b"MLflow" in page.read()
    finally:
        _end(served)


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


def _end(served):
    """End the server and its workers: the session that was started for them."""
    os.killpg(served.pid, signal.SIGTERM)
    try:
        served.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(served.pid, signal.SIGKILL)
        served.wait()
    served.stdout.close()
