"""Masks wipe whole bands or frames, as many and as wide as they may, and leave every other cell alone."""

from dataclasses import replace

import pytest
import torch

from lib.sound.augment.settings import AugmentSettings
from lib.sound.augment.spectrogram import (
    SPECTROGRAM_AUGMENTATIONS,
    augment_spectrograms,
    mask_frames,
    mask_frequencies,
)

SETTINGS = AugmentSettings(frequency_mask_p=1.0, time_mask_p=1.0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def spectrograms():
    made = torch.randn(200, 16, 30, generator=seeded(9))
    return made - made.mean(dim=(1, 2), keepdim=True)


@pytest.mark.parametrize(("change", "along", "across"), [(mask_frequencies, 1, 2), (mask_frames, 2, 1)])
def test_a_mask_zeroes_one_stretch_of_a_normalised_spectrogram_and_nothing_else(spectrograms, change, along, across):
    settings = replace(SETTINGS, frequency_mask_bins=5, time_mask_frames=5)
    out = change(spectrograms, seeded(), settings)
    wiped = (out != spectrograms).all(dim=across)
    assert torch.equal((out != spectrograms).any(dim=across), wiped)
    assert out[out != spectrograms].abs().max() < 1e-6
    assert set(wiped.sum(dim=1).tolist()) == {1, 2, 3, 4, 5}
    steps = torch.diff(wiped.int(), dim=1, prepend=torch.zeros(200, 1), append=torch.zeros(200, 1))
    assert (steps.abs().sum(dim=1) == 2).all()
    assert wiped[:, 0].any()
    assert wiped[:, -1].any()


def test_a_mask_of_a_spectrogram_that_is_not_normalised_shows_its_mean(spectrograms):
    raw = 10 * spectrograms - 40
    out = mask_frequencies(raw, seeded(), SETTINGS)
    wiped = out != raw
    assert (out[0][wiped[0]] - raw[0].mean()).abs().max() < 1e-4


def test_several_masks_wipe_several_stretches(spectrograms):
    one = (mask_frames(spectrograms, seeded(), replace(SETTINGS, time_mask_frames=3)) != spectrograms).sum()
    four = (
        mask_frames(spectrograms, seeded(), replace(SETTINGS, time_mask_frames=3, time_masks=4)) != spectrograms
    ).sum()
    assert four > 3 * one


def test_a_mask_wider_than_the_spectrogram_is_cut_to_it(spectrograms):
    out = mask_frequencies(spectrograms, seeded(), replace(SETTINGS, frequency_mask_bins=1000))
    assert (out != spectrograms).all(dim=(1, 2)).any()


@pytest.mark.parametrize("name", SPECTROGRAM_AUGMENTATIONS)
def test_each_mask_is_switched_by_its_own_probability(name, spectrograms):
    off = AugmentSettings(frequency_mask_p=0.0, time_mask_p=0.0)
    assert torch.equal(augment_spectrograms(spectrograms, seeded(), off), spectrograms)
    half = augment_spectrograms(spectrograms, seeded(), replace(off, **{f"{name}_p": 0.5}))
    changed = (half != spectrograms).flatten(1).any(dim=1)
    assert 0.35 < changed.float().mean() < 0.65
    again = augment_spectrograms(spectrograms, seeded(), replace(off, **{f"{name}_p": 0.5}))
    assert torch.equal(half, again)
