"""Batches hold audio and targets of their rows, nothing held out, and are the same whenever they are made."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.competition.row_ids import SAMPLE_RATE
from lib.core.errors import BadInput
from lib.learn.cache.audio import CacheSettings, fill_cache
from lib.learn.network.dataset import CropTable, fold_examples
from lib.learn.network.loader import BatchLoader, Prefetcher
from lib.learn.network.settings import SamplerSettings, TargetSettings
from lib.learn.soft_labels.settings import PseudoSettings
from lib.sound.crops import CropSettings
from tests.support.tinyexamples import FREE, LABELLED, STEMS, tiny_prepared, write_sounds

SECOND = CropSettings(seconds=5, kind="random")
HALF = SamplerSettings(batch_size=4, soundscape_share=0.5)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The competition folder, the level of each of its recordings, and a cache of all that can be decoded."""
    folder = tmp_path_factory.mktemp("world")
    levels = write_sounds(folder)
    examples = fold_examples(tiny_prepared(), STEMS, None, TargetSettings(), 5)
    return levels, fill_cache(folder, examples.items, folder / "cache", CacheSettings())


def loader(world, fold, crop=SECOND, sampler=HALF, seed=0, **options):
    examples = fold_examples(tiny_prepared(), STEMS, fold, TargetSettings(), crop.seconds)
    return BatchLoader(examples, world[1], crop, sampler, seed, **options)


def items_of(world, audio):
    """The items of rows of audio, each known by its level."""
    items = {level: item for item, level in world[0].items()}
    return [items[round(float(row.mean()) * 32767 / 100)] for row in audio]


def same(one, other):
    tensors = ("audio", "targets", "weights", "soundscape", "background")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in tensors)


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_nothing_that_a_fold_holds_out_is_in_any_of_two_hundred_batches(world, fold):
    batches = loader(world, fold, with_background=True)
    held = {
        item for kind in ("clip", "soundscape") for item, of in tiny_prepared().folds.of(kind).items() if of == fold
    }
    seen = set()
    for number in range(200):
        batch = batches.batch(number)
        seen |= set(items_of(world, batch.audio[:, ::16000])) | set(items_of(world, batch.background[:, ::16000]))
    examples = fold_examples(tiny_prepared(), STEMS, fold, TargetSettings(), 5)
    assert seen == set(examples.items)
    assert not seen & held


def test_a_row_has_the_targets_and_weights_of_its_item(world):
    prepared, batches = tiny_prepared(), loader(world, None)
    secondary = 0
    for number in range(20):
        batch = batches.batch(number)
        assert batch.soundscape.tolist() == [False, False, True, True]
        assert {batch.audio.dtype, batch.targets.dtype, batch.weights.dtype} == {torch.float32}
        for item, targets, weights in zip(items_of(world, batch.audio), batch.targets, batch.weights, strict=True):
            if "/" in item:
                expected = [float(item.startswith("ant")), float(item.startswith("bee") or item == "ant/0.ogg"), 0.0]
                assert targets.tolist() == expected
                assert weights.tolist() == ([1, 0, 1] if item == "ant/0.ogg" else [1, 1, 1])
                secondary += item == "ant/0.ogg"
            else:
                assert targets.tolist() in ([[0, 0, 1], [0, 0, 0]] if item == LABELLED[2] else [[1, 0, 0], [0, 0, 0]])
    assert secondary
    assert len(prepared.clips) == 12


def test_soundscape_crops_lie_on_their_windows_with_context_reflected_at_the_files_ends(world):
    batches, ramp = loader(world, None, context_samples=3), np.arange(60 * SAMPLE_RATE) // 60
    batches._cache = type("Ramp", (), {"samples": lambda self, item: ramp.astype(np.int16)})()
    source = CropTable(("a", "a", "a"), np.zeros((3, 1)), np.zeros((3, 1)), np.array([0, 20, 55]))
    padded = np.pad(ramp, 3, mode="reflect")
    for row, sound in enumerate(batches.crops(source, np.arange(3), np.random.default_rng(0))):
        start = int(source.starts_s[row]) * SAMPLE_RATE
        np.testing.assert_array_equal(np.rint(sound.numpy() * 32767), padded[start : start + 5 * SAMPLE_RATE + 6])


@pytest.mark.parametrize("kind", ["random", "centre", "energy"])
@pytest.mark.parametrize("seconds", [5, 10, 20])
def test_every_kind_and_length_of_crop_has_its_length_and_its_context(world, kind, seconds):
    batch = loader(world, 0, crop=CropSettings(seconds, kind), context_samples=512, with_background=True).batch(0)
    assert batch.audio.shape == batch.background.shape == (4, seconds * SAMPLE_RATE + 1024)
    assert len(items_of(world, batch.audio)) == 4


def test_the_same_batch_comes_after_a_restart_at_any_number(world):
    first = [batch for _, batch in Prefetcher(loader(world, 0, with_background=True), 0, 9, threads=2)]
    for number, batch in Prefetcher(loader(world, 0, with_background=True), 5, 9, threads=1, ahead=1):
        assert same(batch, first[number])
    assert not same(first[0], loader(world, 0, seed=1, with_background=True).batch(0))
    assert not same(first[0], first[1])


def test_prefetched_batches_come_in_order_however_long_each_takes():
    class Slow:
        def batch(self, number):
            time.sleep(0.02 * (number % 3 == 0))
            return number

    assert [pair for pair in Prefetcher(Slow(), 3, 12, threads=4)] == [(n, n) for n in range(3, 12)]


def test_waiting_is_measured_as_the_share_of_time_the_consumer_stood_still():
    class Gated:
        def __init__(self, seconds):
            self.seconds = seconds

        def batch(self, number):
            time.sleep(self.seconds)

    starving, sated = Prefetcher(Gated(0.03), 0, 5, threads=1), Prefetcher(Gated(0.0), 0, 5, threads=1)
    assert starving.waiting_share == 0
    for _ in starving:
        pass
    for _ in sated:
        time.sleep(0.03)
    assert starving.waiting_share > 0.8
    assert sated.waiting_share < 0.3


def test_what_fails_in_a_thread_fails_in_the_loop():
    class Failing:
        def batch(self, number):
            raise BadInput("a batch", expected="sound", got="none", do="look")

    with pytest.raises(BadInput, match="a batch"):
        list(Prefetcher(Failing(), 0, 5))


def test_nothing_more_is_made_once_the_loop_is_left():
    made = []

    class Counted:
        def batch(self, number):
            made.append(number)
            time.sleep(0.01)

    for _ in Prefetcher(Counted(), 0, 500, threads=1, ahead=30):
        break
    after = len(made)
    time.sleep(0.1)
    assert len(made) == after < 10


def test_without_unlabelled_soundscapes_there_is_no_background(world):
    examples = fold_examples(tiny_prepared(), [], 0, TargetSettings(), 5)
    assert BatchLoader(examples, world[1], SECOND, HALF, 0, with_background=True).batch(0).background is None
    assert loader(world, 0).batch(0).background is None
    assert FREE in fold_examples(tiny_prepared(), STEMS, 0, TargetSettings(), 5).backgrounds


def test_pseudo_labelled_crops_come_last_with_their_own_targets_weights_and_mark(world):
    targets, weights = np.array([[0.75, 0, 0], [0, 0.5, 0]], np.float32), np.full((2, 3), 0.25, np.float32)
    source = CropTable((FREE, STEMS[3]), targets, weights, np.array([10, 55]), targets > 0)
    examples = replace(fold_examples(tiny_prepared(), STEMS, None, TargetSettings(), 5), pseudo=source)
    settings = {"context_samples": 3, "with_background": True, "pseudo": PseudoSettings(pseudo_ratio=1.0)}
    batches = BatchLoader(examples, world[1], SECOND, HALF, 0, **settings)
    for number in range(4):
        batch = batches.batch(number)
        assert batch.pseudo.tolist() == [False, False, False, True]
        assert batch.soundscape.tolist() == [False, False, True, True]
        assert len(batch.background) == len(batch.audio) == 4
        row = source.items.index(items_of(world, batch.audio)[-1])
        assert batch.targets[-1].tolist() == source.targets[row].tolist()
        assert batch.weights[-1].tolist() == [0.25] * 3
        assert set(batch.weights[:-1].unique().tolist()) <= {0, 1}
    assert loader(world, None).batch(0).pseudo is None
    substituted = BatchLoader(examples, world[1], SECOND, HALF, 0, pseudo=PseudoSettings(0.5, pseudo_mode="substitute"))
    counts = {int(substituted.batch(number).pseudo.sum()) for number in range(20)}
    assert counts == {0, 1, 2}
