"""Work on a Dask cluster: the same bytes as locally, no loss when a worker dies, and early refusals."""

import os
import signal
import threading
import time

import pytest

from lib.core.dask_cluster import on_cluster
from lib.core.errors import BadInput
from lib.learn.cache.embeddings import fill_embeddings
from tests.lib.learn.cache.test_embeddings import CLIPS, contents, files, write
from tests.support.tinyembedder import CLASSES, pack_tiny

dask = pytest.importorskip("dask", reason="Dask is optional: requirements-dev.txt")
distributed = pytest.importorskip("dask.distributed", reason="Dask is optional: requirements-dev.txt")
ALONE = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}


@pytest.fixture(scope="module")
def started():
    """Two worker processes on loopback; who looks for what a dead one held waits a second for it, not thirty."""
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, silence_logs=50, **ALONE) as cluster,
    ):
        yield cluster


@pytest.fixture
def cluster(started):
    """The same when both are there, whatever the test before did to them."""
    with distributed.Client(started, set_as_default=False) as client:
        client.wait_for_workers(2)
    return started


@pytest.fixture
def items(tmp_path):
    """Forty clips of a second."""
    return {item: write(tmp_path / "sounds" / item, 1, number) for number, item in enumerate(CLIPS)}


def test_a_cluster_makes_the_same_bytes_though_one_of_its_workers_is_killed_in_the_middle(
    cluster, items, tmp_path, monkeypatch
):
    embedder, folder = pack_tiny(tmp_path / "tiny"), tmp_path / "by_cluster"
    with distributed.Client(cluster, set_as_default=False) as client:
        pids = client.run(os.getpid)
    killed = []

    def kill_one():
        while not files(folder):
            time.sleep(0.001)
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        killed.append(len(files(folder)))

    murder = threading.Thread(target=kill_one)
    murder.start()
    cache = fill_embeddings(items, embedder, CLASSES, folder, clip_windows=1, scheduler=cluster.scheduler_address)
    murder.join()
    assert killed[0] < len(items)
    assert not cache.failed
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    fill_embeddings(items, embedder, CLASSES, tmp_path / "here", clip_windows=1)
    assert contents(folder) == contents(tmp_path / "here")
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["lock"]


def test_work_that_kills_workers_is_an_error_and_not_retried_for_ever(cluster, tmp_path):
    with (
        pytest.raises(BadInput, match="killed several workers"),
        on_cluster(cluster.scheduler_address, os._exit, [1], tmp_path, []) as results,
    ):
        list(results)


def test_files_that_workers_do_not_see_are_named_before_any_work(cluster, tmp_path):
    absent = tmp_path / "elsewhere"
    with (
        pytest.raises(BadInput, match=f"does not see {absent}"),
        on_cluster(cluster.scheduler_address, str, [1], tmp_path, [absent]),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_workers_of_another_version_are_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.core.dask_cluster.fingerprint.of_lib", lambda: "ours")
    with (
        pytest.raises(BadInput, match="another version of lib"),
        on_cluster(cluster.scheduler_address, str, [1], tmp_path, []),
    ):
        pass


def test_an_unreachable_scheduler_or_one_without_workers_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.core.dask_cluster._TIMEOUT_S", 1)
    with pytest.raises(BadInput, match="no Dask scheduler"), on_cluster("tcp://127.0.0.1:9", str, [1], tmp_path, []):
        pass
    with distributed.LocalCluster(n_workers=0, **ALONE) as empty:
        address = empty.scheduler_address
        with pytest.raises(BadInput, match="no workers"), on_cluster(address, str, [1], tmp_path, []):
            pass
