"""Crops lie where their kind puts them, stay inside long recordings and repeat short ones; loud stretches are found."""

import numpy as np
import pytest

from lib.competition.row_ids import SAMPLE_RATE
from lib.core.errors import BadInput
from lib.sound.crops import (
    CropSettings,
    crop_start,
    cut,
    cut_with_reflection,
    energy_by_tenth,
    loudest_start,
    loudest_stretch,
)

TENTH = SAMPLE_RATE // 10


def starts(length, samples, settings, tenths=None, draws=400):
    rng = np.random.default_rng(0)
    return np.array([crop_start(length, samples, settings, rng, tenths) for _ in range(draws)])


def test_random_crops_reach_both_ends_of_a_recording_and_nothing_beyond():
    found = starts(12, 10, CropSettings(kind="random"))
    assert set(found) == {0, 1, 2}


def test_a_centre_crop_leaves_as_much_on_both_sides_and_draws_nothing():
    rng = np.random.default_rng(0)
    assert crop_start(100, 60, CropSettings(kind="centre"), rng) == 20
    assert crop_start(30, 60, CropSettings(kind="centre"), rng) == 0
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_energy_by_tenth_counts_every_sample_once():
    audio = np.arange(2 * TENTH + 7, dtype=np.int16)
    energy = energy_by_tenth(audio)
    expected = [np.square(part, dtype=float).sum() for part in (audio[:TENTH], audio[TENTH:-7], audio[-7:])]
    np.testing.assert_allclose(energy, expected, rtol=1e-6)


def test_an_energy_crop_starts_at_the_loudest_stretch_within_its_jitter():
    audio = np.zeros(20 * SAMPLE_RATE, dtype=np.float32)
    audio[8 * SAMPLE_RATE : 10 * SAMPLE_RATE] = 0.5
    tenths = energy_by_tenth(audio)
    settings = CropSettings(seconds=2, kind="energy", jitter_s=0.0)
    assert set(starts(len(audio), settings.samples, settings, tenths)) == {8 * SAMPLE_RATE}
    found = starts(len(audio), settings.samples, CropSettings(2, "energy", 0.5), tenths) / SAMPLE_RATE
    assert found.min() >= 7.5
    assert found.max() <= 8.5
    assert found.min() < 7.6
    assert found.max() > 8.4


def test_jitter_does_not_push_a_crop_out_of_the_recording():
    audio = np.zeros(6 * SAMPLE_RATE, dtype=np.float32)
    audio[-SAMPLE_RATE:] = 1.0
    settings = CropSettings(5, "energy", 3.0)
    found = starts(len(audio), settings.samples, settings, energy_by_tenth(audio))
    assert found.min() == 0
    assert found.max() == SAMPLE_RATE


@pytest.mark.parametrize("kind", ["random", "energy"])
def test_a_short_recording_is_repeated_from_every_phase(kind):
    audio = np.arange(4, dtype=np.float32)
    found = starts(4, 10, CropSettings(kind=kind), energy_by_tenth(audio))
    assert set(found) == {0, 1, 2, 3}
    assert cut(audio, 3, 10).tolist() == [3, 0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_a_recording_of_just_the_length_is_used_whole():
    audio = np.arange(10)
    assert set(starts(10, 10, CropSettings())) == {0}
    assert cut(audio, 0, 10).tolist() == audio.tolist()


@pytest.mark.parametrize(("before", "after"), [(0, 0), (3, 0), (0, 4), (5, 5)])
def test_beyond_its_ends_a_recording_is_reflected_as_numpy_reflects(before, after):
    audio = np.arange(8)
    padded = np.pad(audio, (before, after), mode="reflect")
    assert cut_with_reflection(audio, -before, len(padded)).tolist() == padded.tolist()
    assert cut_with_reflection(audio, 2, 4).tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize("wrong", [{"kind": "loudest"}, {"seconds": 0}, {"jitter_s": -1.0}])
def test_settings_that_name_no_crop_are_refused(wrong):
    with pytest.raises(BadInput, match="crop settings"):
        CropSettings(**wrong)


@pytest.mark.parametrize("second", [0, 2, 7])
def test_the_loud_second_is_found(second):
    audio = np.full(8 * SAMPLE_RATE, 0.01, np.float32)
    audio[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE] = 0.5
    assert loudest_start(audio, SAMPLE_RATE) == second * SAMPLE_RATE
    assert (loudest_stretch(audio, 1.0) == 0.5).all()


def test_a_short_sound_is_its_own_loudest_stretch():
    audio = np.ones(100, np.float32)
    assert loudest_start(audio, 200) == 0
    assert len(loudest_stretch(audio, 1.0)) == 100
