"""Batches are mixed and changed as set, with true labels, and the same for the same generator."""

from dataclasses import replace

import pytest
import torch

from lib.core.errors import BadInput
from lib.learn.network.dataset import Batch, batch_generator
from lib.learn.network.mixing import augment_batch, mix_pseudo_with_clips
from lib.sound.augment.settings import AugmentSettings

OFF = AugmentSettings(roll_p=0, background_p=0, noise_p=0, gain_p=0)


@pytest.fixture
def batch():
    """Six clips and two soundscapes; row r is the level r + 1, class r is in it, and class 8 is unknown in row 6."""
    weights = torch.ones(8, 9)
    weights[6, 8] = 0
    return Batch(
        audio=torch.arange(1.0, 9.0)[:, None].repeat(1, 100),
        targets=torch.eye(8, 9),
        weights=weights,
        soundscape=torch.arange(8) >= 6,
        background=torch.full((8, 100), 0.5),
    )


def test_nothing_happens_when_everything_is_off(batch):
    out = augment_batch(batch, batch_generator(0, 0, "cpu"), OFF)
    for name in ("audio", "targets", "weights", "soundscape"):
        assert torch.equal(getattr(out, name), getattr(batch, name))


@pytest.mark.parametrize(("field", "partners"), [("mixup_p", range(6)), ("soundscape_mixup_p", (6, 7))])
def test_clips_are_mixed_with_partners_of_the_kind_and_have_the_labels_of_both(batch, field, partners):
    partners_seen, shares = set(), []
    for number in range(20):
        out = augment_batch(batch, batch_generator(0, number, "cpu"), replace(OFF, **{field: 1.0}))
        assert torch.equal(out.audio[6:], batch.audio[6:])
        assert torch.equal(out.targets[6:], batch.targets[6:])
        assert out.soundscape.tolist() == batch.soundscape.tolist()
        for row in range(6):
            (partner,) = set(out.targets[row].nonzero()[:, 0].tolist()) - {row} or {row}
            partners_seen.add(partner)
            shares.append(float((out.audio[row, 0] - (partner + 1)) / (row - partner)) if partner != row else 0.5)
            assert out.audio[row].std() < 1e-5
            assert out.weights[row, 8] == (0 if partner == 6 else 1)
            assert out.weights[row, :8].min() == 1
    assert partners_seen == set(partners)
    assert -1e-4 < min(shares) < 0.1
    assert 0.9 < max(shares) < 1 + 1e-4


def test_a_background_lies_under_clips_only_and_is_used_up(batch):
    settings = replace(OFF, background_p=1.0, background_snr_min_db=20.0, background_snr_max_db=20.0)
    out = augment_batch(batch, batch_generator(0, 0, "cpu"), settings)
    torch.testing.assert_close(out.audio[:6], 1.1 * batch.audio[:6])
    assert torch.equal(out.audio[6:], batch.audio[6:])
    assert out.background is None


@pytest.mark.parametrize("name", ["noise", "filter", "gain", "roll"])
def test_the_other_changes_reach_clips_and_soundscapes_alike(batch, name):
    batch = replace(batch, audio=torch.randn(8, 100, generator=batch_generator(1, 1, "cpu")))
    out = augment_batch(batch, batch_generator(0, 1, "cpu"), replace(OFF, **{f"{name}_p": 1.0}))
    assert (out.audio != batch.audio).any(dim=1).all()
    assert torch.equal(out.targets, batch.targets)


def test_a_batch_is_changed_in_the_same_way_for_the_same_number_and_otherwise_for_another(batch):
    settings = AugmentSettings(mixup_p=0.5, soundscape_mixup_p=0.5, filter_p=0.5)
    one, same, other = (augment_batch(batch, batch_generator(0, number, "cpu"), settings) for number in (4, 4, 5))
    assert torch.equal(one.audio, same.audio)
    assert torch.equal(one.targets, same.targets)
    assert not torch.equal(one.audio, other.audio)


def test_the_batch_that_was_given_is_left_as_it_was(batch):
    before = batch.audio.clone(), batch.targets.clone(), batch.weights.clone()
    augment_batch(
        batch, batch_generator(0, 0, "cpu"), AugmentSettings(mixup_p=1, soundscape_mixup_p=1, filter_p=1, noise_p=1)
    )
    assert all(torch.equal(*pair) for pair in zip(before, (batch.audio, batch.targets, batch.weights), strict=True))


def test_what_the_batch_does_not_bring_is_missed_aloud(batch):
    clips = replace(batch, soundscape=torch.zeros(8, dtype=torch.bool))
    generator = batch_generator(0, 0, "cpu")
    with pytest.raises(BadInput, match="labelled soundscapes to mix with"):
        augment_batch(clips, generator, replace(OFF, soundscape_mixup_p=0.5))
    with pytest.raises(BadInput, match="backgrounds"):
        augment_batch(replace(batch, background=None), generator, replace(OFF, background_p=0.5))
    soundscapes = replace(batch, soundscape=torch.ones(8, dtype=torch.bool), background=None)
    augment_batch(soundscapes, generator, AugmentSettings(mixup_p=1))


def test_each_pseudo_labelled_crop_is_mixed_half_and_half_with_a_clip_and_is_no_soundscape_any_more(batch):
    labelled = replace(batch, pseudo=torch.arange(8) == 7)
    labelled.targets[7, 7] = 0.75
    partners_seen = set()
    for number in range(30):
        out = mix_pseudo_with_clips(labelled, batch_generator(0, number, "cpu"))
        (partner,) = out.targets[7, :7].nonzero()[:, 0].tolist()
        partners_seen.add(partner)
        assert out.targets[7, partner] == 1
        assert out.targets[7, 7] == 0.75
        torch.testing.assert_close(out.audio[7], torch.full((100,), (8 + partner + 1) / 2))
        assert torch.equal(out.audio[:7], batch.audio[:7])
        assert torch.equal(out.targets[:7], batch.targets[:7])
        assert out.soundscape.tolist() == [False] * 6 + [True, False]
        assert out.pseudo.tolist() == labelled.pseudo.tolist()
    assert partners_seen == set(range(6))
    with pytest.raises(BadInput, match="no clip to be mixed with"):
        mix_pseudo_with_clips(
            replace(labelled, soundscape=torch.ones(8, dtype=torch.bool)), batch_generator(0, 0, "cpu")
        )
