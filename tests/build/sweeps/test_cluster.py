"""Runs on a Dask cluster: slots, what ends them, and what cannot work is refused first."""

import os
import re
import time

import psutil
import pytest

from build.sweeps.config import read_sweep
from build.sweeps.engines import Cluster
from build.sweeps.record import read_record
from build.sweeps.runs import place_of, write_request
from lib.core.errors import BadInput
from tests.build.test_sweep import GRID, Place

distributed = pytest.importorskip("dask.distributed", reason="Dask is optional: requirements-dev.txt")


@pytest.fixture(scope="module")
def address():
    """A scheduler with a worker of four threads and two GPUs, in this process."""
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=4,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        resources={"GPU": 2},
        silence_logs=50,
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def requests(tmp_path):
    """A place, and a function that requests a run of the toy there."""
    place = Place(tmp_path)
    place.file.write_text(GRID)
    sweep = read_sweep(place.file, place.sources)
    where = place_of(sweep, place.runs, place.folder)
    where.folder.mkdir(parents=True)
    return where, lambda **parameters: write_request(sweep, where, where.run(1, "only", parameters))


def poll_until_ended(engine):
    """The runs that have ended, once one has."""
    while not (found := engine.poll()):
        time.sleep(0.05)
    return found


def runners():
    """The processes of runs that this process's worker has begun."""
    children = psutil.Process().children()
    return [
        child
        for child in children
        if child.status() != psutil.STATUS_ZOMBIE and "build.sweeps.one" in str(child.cmdline())
    ]


def test_there_is_room_for_as_many_runs_as_workers_have_threads_or_what_a_run_takes(address, tmp_path):
    for resources, places in (({}, 4), ({"GPU": 1}, 2), ({"GPU": 2}, 1)):
        engine = Cluster(address, tmp_path, [], resources)
        assert engine.slots == places
        engine.close()


def test_a_run_leaves_its_record_on_the_shared_disk_and_one_that_is_let_go_ends(address, requests):
    where, request = requests
    engine = Cluster(address, where.folder, [], {})
    toy = request(gain=0.1)
    engine.start(toy)
    assert poll_until_ended(engine) == {toy.parent.name: "its process ended with code 0"}
    record = read_record(where.folder, toy.parent.name)
    assert (record.status, record.score, len(record.ledger)) == ("done", pytest.approx(0.7), 2)
    assert (toy.parent / "notebook.html").is_file()
    assert re.search(r"cores (\d+) threads \1\b", (toy.parent / "notebook.ipynb").read_text())
    engine.start(request(gain=0.2))
    while not runners():
        time.sleep(0.05)
    engine.close()
    patience = time.monotonic() + 120  # it sees that it is to end once its interpreter is up
    while runners() and time.monotonic() < patience:
        time.sleep(0.05)
    assert not runners()


def test_a_run_that_no_worker_survives_is_reported_with_its_reason(address, requests, monkeypatch):
    where, request = requests
    engine = Cluster(address, where.folder, [], {})
    monkeypatch.setattr("build.sweeps.engines.run_here", lambda request: os.fspath(None))
    toy = request()
    engine.start(toy)
    assert "TypeError" in poll_until_ended(engine)[toy.parent.name]
    engine.close()


def test_a_cluster_that_does_not_answer_or_does_not_see_the_files_is_refused(address, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.core.dask_cluster._TIMEOUT_S", 1)
    with pytest.raises(BadInput, match="no Dask scheduler"):
        Cluster("tcp://127.0.0.1:9", tmp_path, [], {})
    with pytest.raises(BadInput, match="does not see"):
        Cluster(address, tmp_path, [tmp_path / "elsewhere"], {})
