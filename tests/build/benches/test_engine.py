"""The engine's bench compares like with like: both give the same scores, the floor is the same models' work."""

import time

import numpy as np
import pytest

from build.benches import engine
from build.benches.data import NETWORKS, Sizes, make_engine_data
from build.benches.engine import (
    Floor,
    differences,
    measure_seconds,
    model_inputs,
    score_files,
    share_in_sessions,
    timed_sessions,
)
from build.benches.public_baseline import PublicBaseline
from lib.models.runtime.onnx import OnnxFile
from lib.submit.engine import open_members

pytestmark = pytest.mark.slow  # ten models are made first; the engine's own tests are elsewhere


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two soundscapes and the smallest models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("build.benches.models.FOLDS", 2)
        return make_engine_data(tmp_path_factory.mktemp("world"), 2, np.random.default_rng(0), Sizes("plain", 0.1))


@pytest.fixture(scope="module")
def opened(world):
    return open_members(world.recipe, world.members, world.classes)


@pytest.fixture
def plain(world, opened):
    return PublicBaseline(world, opened.members["prior"])


def test_the_engine_scores_as_the_public_baseline(world, opened, plain):
    table = differences(world, opened, plain, world.files)
    assert set(table.index) == {NETWORKS, "linear", "proto_ssm", "prior", "blend"}
    assert (table.largest[[NETWORKS, "linear", "proto_ssm", "prior"]] < 1e-4).all()
    assert (table["lowest rank agreement"] > 0.99).all()


def test_a_difference_would_be_seen(world, opened, plain, monkeypatch):
    spectrogram = PublicBaseline._spectrogram
    monkeypatch.setattr(PublicBaseline, "_spectrogram", lambda self, window: spectrogram(self, window[::-1].copy()))
    table = differences(world, opened, plain, world.files)
    assert table.largest[NETWORKS] > 1e-3
    assert table["lowest rank agreement"][NETWORKS] < 0.9
    assert table["lowest rank agreement"]["linear"] > 0.99


def test_models_outputs_differ_between_windows_classes_and_folds(world, opened):
    scored = score_files(world, opened, world.files)
    for name in (NETWORKS, *world.heads):
        assert (np.ptp(scored.member_scores[name].values, axis=0) > 1e-3).all()
    folds = [path.read_bytes() for path in world.folds(NETWORKS)]
    assert len(set(folds)) == len(folds) == 2


@pytest.mark.parametrize("all_on_one", [False, True])
def test_the_floor_runs_every_model_on_every_file(world, monkeypatch, all_on_one):
    floor = Floor(world, {file: model_inputs(world, file) for file in world.files}, all_on_one=all_on_one)
    runs = []
    monkeypatch.setattr(engine, "run_model", lambda model, inputs: runs.append((id(model), inputs["hour"][0])))
    floor.run(world.files)
    models = len(world.folds(NETWORKS)) * (1 + len(world.heads)) + 1
    assert len(runs) == len(set(runs)) == models * len(world.files)


def test_the_engine_runs_models_as_often_as_the_floor(world, opened):
    with timed_sessions() as seconds:
        score_files(world, opened, world.files)
    assert len(seconds) == (len(world.folds(NETWORKS)) * (1 + len(world.heads)) + 1) * len(world.files)
    assert OnnxFile.run_outputs.__name__ == "run_outputs"


def test_the_share_in_sessions_is_of_all_that_a_call_takes(world, monkeypatch):
    now = iter([0.0, 2.0, 5.0, 10.0])
    monkeypatch.setattr(time, "thread_time", lambda: next(now))
    monkeypatch.setattr(time, "process_time", lambda: next(now))
    session = OnnxFile(world.folds("linear")[0])
    values = {"embedding": np.zeros((1, 12, 1536), np.float32)}
    cpu, wall = share_in_sessions(lambda: session.run_outputs(["logit"], **values))
    assert cpu == (5.0 - 2.0) / 10.0
    assert 0 < wall < 1


def test_candidates_take_turns_and_the_first_call_is_not_counted():
    log, now = [], {"s": 0.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "process_time", lambda: now["s"])
        patch.setattr(time, "perf_counter", lambda: 2 * now["s"])

        def candidate(name, seconds):
            def call(share):
                log.append((name, tuple(share)))
                now["s"] += seconds * len(share) if len(log) > 2 else 100.0

            return call

        table = measure_seconds({"a": candidate("a", 1.0), "b": candidate("b", 3.0)}, [0, 1, 2, 3], rounds=2)
    assert log == [("a", (0,)), ("b", (0,)), ("a", (0, 2)), ("b", (0, 2)), ("a", (1, 3)), ("b", (1, 3))]
    assert table.to_numpy().tolist() == [[1.0, 2.0], [3.0, 6.0]]
