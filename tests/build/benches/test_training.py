"""The two loops of the training bench see the same spectrograms of the same examples, and are timed alike."""

import numpy as np
import pytest
import torch

from build.benches import training
from build.benches.training import PlainDataset, make_training_data, our_loop, plain_loop, time_batches
from lib.competition.row_ids import SAMPLE_RATE, WINDOW_S, WINDOW_SAMPLES
from lib.learn.cache.audio import as_float
from lib.learn.network.config import override
from lib.learn.network.presets import PRESETS
from lib.models.network.network import build_network
from lib.sound.mel.gpu import MelSpectrogram

TINY = override(PRESETS["small_sed"], width=4, hidden=8, batch_size=4)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Three clips, a labelled soundscape and an unlabelled one."""
    with pytest.MonkeyPatch.context() as patch:
        for name, count in (("_CLIPS", 3), ("_CLIP_S", 6), ("_LABELLED", 1), ("_UNLABELLED", 1)):
            patch.setattr(training, name, count)
        return make_training_data(tmp_path_factory.mktemp("world"), np.random.default_rng(0))


def test_the_plain_dataset_has_the_spectrograms_of_our_front_end(world):
    plan, row = PRESETS["s3"], 7
    spectrogram, targets, weights = PlainDataset(world, plan)[True, row]
    start = row * WINDOW_S * SAMPLE_RATE
    audio = as_float(world.cache.samples("soundscape0")[start : start + WINDOW_SAMPLES])
    expected = MelSpectrogram(plan.front_end)(torch.from_numpy(audio)[None])
    torch.testing.assert_close(spectrogram, expected, rtol=0, atol=0.02)  # the cache keeps 16 bits
    np.testing.assert_array_equal(targets, world.examples.soundscapes.targets[row])
    assert (weights == 1).all()


@pytest.mark.parametrize("loop", [our_loop, plain_loop])
def test_a_round_trains_and_times_when_each_batch_was_requested_and_came(world, loop):
    torch.manual_seed(0)
    network = build_network(TINY.network, 234)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    times = loop(world, TINY, network, "cpu", 3)
    flat = [moment for pair in times for moment in pair]
    assert len(times) == 3
    assert flat == sorted(flat)
    assert not any(map(torch.equal, before, network.parameters()))


def test_a_timed_stream_ends_after_its_steps_and_is_closed():
    closed = []

    def numbers():
        try:
            yield from range(100)
        finally:
            closed.append(True)

    times = []
    assert list(time_batches(numbers(), times, 5)) == [0, 1, 2, 3, 4]
    assert len(times) == 5
    assert closed
