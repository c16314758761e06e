"""S2's heads find what a window holds and no more; a fifth of each batch is soundscapes; the mix finds its block."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.learn.head.loop import HeadLoopSettings
from lib.learn.head.sequence import SequenceHeadSettings, batch_sizes, batches, fit_scalar_mix, fit_sequence_head
from lib.models.head.sequence import SequenceNetwork
from tests.support.plantedsignals import CALL, ECHO, FLAT, auc_of, planted_data, soundscapes

SETTINGS = SequenceHeadSettings(
    inputs=("block:noise", "block:signal"),
    batch=64,
    network=SequenceNetwork(width=16),
    loop=HeadLoopSettings(epochs=6, learning_rate=5e-3, average_learning_rate=2e-3, patience=6),
)
SHORT = replace(SETTINGS, loop=HeadLoopSettings(epochs=1))
OTHERS = soundscapes(40, seed=9)


@pytest.fixture(scope="module")
def mixed():
    return fit_scalar_mix(planted_data(), SETTINGS, seed=0)


def test_attention_finds_what_a_window_holds_and_cannot_find_what_only_its_neighbour_predicts():
    fitted = fit_sequence_head(planted_data(), SETTINGS, seed=0)
    assert auc_of(fitted, OTHERS, CALL) > 0.9
    assert auc_of(fitted, OTHERS, FLAT) > 0.9
    assert abs(auc_of(fitted, OTHERS, ECHO) - 0.5) < 0.1


def test_the_mix_prefers_the_block_with_the_signal(mixed):
    shares, fitted = mixed
    assert list(shares) == ["block:noise", "block:signal"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["block:signal"] > 0.6
    assert auc_of(fitted, OTHERS, CALL) > 0.8


def test_clips_alone_are_enough_and_so_are_soundscapes_alone():
    data = planted_data(24, clips=400)
    longer = replace(SETTINGS, loop=replace(SETTINGS.loop, epochs=15))
    nothing, all_clips = np.zeros(24, dtype=bool), np.ones(400, dtype=bool)
    for part in ((nothing, all_clips), (~nothing, ~all_clips)):
        assert auc_of(fit_sequence_head(data.subset(*part), longer, seed=0), OTHERS, CALL) > 0.65


def test_the_same_seed_gives_the_same_head_and_another_seed_another():
    heads = [fit_sequence_head(planted_data(6), SHORT, seed=seed).logits(OTHERS) for seed in (3, 3, 4)]
    assert np.array_equal(heads[0], heads[1])
    assert not np.allclose(heads[0], heads[2])


def test_cells_of_weight_zero_and_unlabelled_windows_change_nothing():
    data = planted_data(6)
    silent = replace(data.clips, cells=np.zeros_like(data.clips.cells))
    truth = data.sequences.truth.copy()
    truth[~data.sequences.known] = True
    plain = replace(data, clips=silent)
    changed = replace(plain, clips=replace(silent, truth=~silent.truth), sequences=replace(data.sequences, truth=truth))
    heads = [fit_sequence_head(of, SHORT, seed=0).logits(OTHERS) for of in (plain, changed)]
    assert np.array_equal(*heads)


def test_a_fifth_of_a_batch_is_soundscapes_and_a_missing_kind_takes_no_place():
    assert batch_sizes(700, 4000, SequenceHeadSettings()) == (51, 205)
    assert batch_sizes(0, 4000, SequenceHeadSettings()) == (0, 256)
    assert batch_sizes(700, 0, SequenceHeadSettings()) == (256, 0)


def test_no_row_repeats_before_all_of_its_kind_were_drawn():
    drawn = list(batches((4, 30), (2, 5), 6, torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in drawn] == [7] * 6
    soundscapes_first = torch.cat([batch[:2] for batch in drawn]).view(3, 4).sort(dim=1).values
    assert (soundscapes_first == torch.arange(4)).all()
    assert sorted(torch.cat([batch[2:] for batch in drawn]).tolist()) == list(range(4, 34))
