"""The loop trains, finishes the same however often it is killed, and ends with the weights that are set."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from build.project import ROOT
from lib.core.errors import BadInput
from lib.learn.network.settings import TrainingSettings
from tests.support.toytraining import SETTINGS, toy_batch, toy_batches, toy_loss, toy_network, toy_train


def final(network) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in network.state_dict().items()}


def killed_at(folder, batch: int) -> None:
    """Train in another process and kill it when it stands before that batch."""
    paths = [str(ROOT)]
    call = f"train_until_stuck({str(folder)!r}, {batch})"
    code = f"import sys; sys.path[:0] = {paths!r}; from tests.support.toytraining import train_until_stuck; {call}"
    child = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 90
    while not (folder / "stuck").exists():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    (folder / "stuck").unlink()


def test_killed_in_the_middle_of_an_epoch_it_ends_with_the_same_bytes(tmp_path):
    uninterrupted, resumed, starts = toy_network(), toy_network(), []
    expected = toy_train(tmp_path / "whole", uninterrupted)
    folder = tmp_path / "killed"
    folder.mkdir()
    killed_at(folder, 10)  # of an epoch that begins at 8

    def batches(start):
        starts.append(start)
        return toy_batches(start)

    found = toy_train(folder, resumed, batches=batches)
    assert starts == [8]
    assert final(resumed) == final(uninterrupted)
    assert found.history == expected.history
    assert (folder / "history.jsonl").read_bytes() == (tmp_path / "whole" / "history.jsonl").read_bytes()


@pytest.mark.parametrize(
    "changed",
    [{}, {"average": "swa"}, {"precision": "float16"}, {"patience": 9}, {"layer_decay": 0.5}],
    ids=str,
)
def test_interrupted_between_any_two_steps_it_ends_with_the_same_bytes(tmp_path, changed):
    settings = replace(SETTINGS, **changed)
    uninterrupted, resumed = toy_network(), toy_network()
    expected = toy_train(tmp_path / "whole", uninterrupted, settings)

    def one_batch(start):
        yield toy_batch(start)
        raise InterruptedError

    for _step in range(settings.steps - 1):
        resumed = toy_network()
        with pytest.raises(InterruptedError):
            toy_train(tmp_path / "bits", resumed, settings, batches=one_batch, checkpoint_s=0)
    resumed = toy_network()
    assert toy_train(tmp_path / "bits", resumed, settings, batches=one_batch).history == expected.history
    assert final(resumed) == final(uninterrupted)


def test_another_seed_ends_elsewhere_and_the_same_does_not(tmp_path):
    networks = [toy_network() for _run in range(3)]
    for number, (network, seed) in enumerate(zip(networks, (5, 5, 6), strict=True)):
        toy_train(tmp_path / str(number), network, seed=seed)
    first, second, other = map(final, networks)
    assert first == second != other


def test_it_learns_and_prints_each_epoch(tmp_path, capsys):
    trained = toy_train(tmp_path / "fold0", toy_network(), replace(SETTINGS, epochs=5, steps_per_epoch=30))
    rows = [json.loads(line) for line in (tmp_path / "fold0" / "history.jsonl").read_text().splitlines()]
    assert rows == trained.history
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 30), (2, 60), (3, 90), (4, 120), (5, 150)]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert rows[-1]["learning_rate"] < rows[1]["learning_rate"] <= 0.01
    assert rows[-1]["scores"]["right"] > 0.75
    assert set(trained.pace[0]) == {"seconds", "clips_per_s", "waiting_share"}
    assert "fold0: epoch 5/5, loss " in capsys.readouterr().out


def test_a_finished_run_comes_back_without_a_step(tmp_path):
    trained_network, loaded = toy_network(), toy_network()
    trained = toy_train(tmp_path, trained_network)
    repeated = toy_train(tmp_path, loaded, batches=lambda start: pytest.fail("requested batches"))
    assert repeated == trained
    assert final(loaded) == final(trained_network)
    assert not loaded.training
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "history.jsonl"]


def test_other_settings_seed_or_data_do_not_take_up_its_checkpoint(tmp_path):
    toy_train(tmp_path, toy_network(), config="one")
    for options in ({"config": "two"}, {"config": "one", "seed": 9}):
        with pytest.raises(BadInput, match="another configuration"):
            toy_train(tmp_path, toy_network(), **options)
    with pytest.raises(BadInput, match="another configuration"):
        toy_train(tmp_path, toy_network(), replace(SETTINGS, learning_rate=0.5), config="one")


def scores_from(values: list[float], seen: list):
    left = iter(values)

    def score(network):
        seen.append(final(network))
        return {"lead": next(left), "other": 0.0}

    return score


@pytest.mark.parametrize("average", ["none", "ema"])
def test_patience_stops_after_the_best_and_takes_its_weights(tmp_path, average):
    seen, network = [], toy_network()
    settings = replace(SETTINGS, epochs=6, patience=2, average=average)
    trained = toy_train(tmp_path, network, settings, score=scores_from([0.5, 0.8, 0.8, 0.7, 0.9, 0.9], seen))
    assert [row["scores"]["lead"] for row in trained.history] == [0.5, 0.8, 0.8, 0.7]
    assert final(network) == seen[1] != seen[3]


def test_without_patience_the_last_epoch_counts_whatever_its_score(tmp_path):
    seen, network = [], toy_network()
    trained = toy_train(tmp_path, network, score=scores_from([0.9, float("nan"), 0.1], seen))
    assert [row["scores"]["lead"] for row in trained.history] == [0.9, None, 0.1]
    assert final(network) == seen[-1]


def test_patience_without_a_score_to_follow_is_refused(tmp_path):
    settings = replace(SETTINGS, patience=1)
    for score in (None, lambda network: {"lead": float("nan")}):
        with pytest.raises(BadInput, match="patience needs a score"):
            toy_train(tmp_path, toy_network(), settings, score=score)


def test_swa_is_the_mean_of_the_last_epochs_ends(tmp_path):
    ends, averaged = [], toy_network()
    plain = replace(SETTINGS, epochs=4, average="none")
    toy_train(tmp_path / "plain", toy_network(), plain, score=lambda n: ends.append(n[0].weight.clone()) or {})
    toy_train(tmp_path / "swa", averaged, replace(plain, average="swa", swa_from=0.5))
    assert len(ends) == 4
    assert torch.allclose(averaged[0].weight, (ends[2] + ends[3]) / 2, atol=1e-7)


def test_what_is_scored_is_the_average_in_evaluation_mode_and_it_is_what_remains(tmp_path):
    seen, modes, network = [], [], toy_network()
    score = scores_from([0.1, 0.2, 0.3], seen)
    toy_train(tmp_path, network, score=lambda n: modes.append(n.training) or score(n))
    plain = toy_network()
    toy_train(tmp_path / "plain", plain, replace(SETTINGS, average="none"))
    assert modes == [False] * 3
    assert final(network) == seen[-1] != final(plain)


def test_a_skipped_step_is_in_the_history_and_the_run_goes_on(tmp_path):
    def loss(network, batch, generator):
        bad = torch.equal(batch.audio, toy_batch(5).audio)
        return toy_loss(network, batch, generator) * (float("nan") if bad else 1.0)

    network = toy_network()
    trained = toy_train(tmp_path, network, step_loss=loss)
    assert [row["skipped"] for row in trained.history] == [0, 1, 1]
    assert all(bool(torch.isfinite(value).all()) for value in network.state_dict().values())


def test_the_threads_behind_the_batches_end_with_an_error_too(tmp_path):
    closed = []

    def batches(start):
        try:
            yield from toy_batches(start)
        finally:
            closed.append(start)

    kept = batches(0)  # so that nothing but the loop closes it
    with pytest.raises(ZeroDivisionError):
        toy_train(tmp_path, toy_network(), batches=lambda start: kept, step_loss=lambda *given: 1 / 0)
    assert closed == [0]


@pytest.mark.parametrize(
    "wrong", [{"schedule": "step"}, {"precision": "fp16"}, {"average": "mean"}, {"warmup_share": 1.0}], ids=str
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        TrainingSettings(**wrong)
