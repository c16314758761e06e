"""An echoprint forgets the level and where a clip begins, and remembers which clip it was."""

import numpy as np
import pytest

from lib.competition.row_ids import SAMPLE_RATE
from lib.sound.duplicates.fingerprint import FRAME_S, echoprint


def shared(one, other) -> dict[int, int]:
    """How many landmarks share a number, by how many frames they lie apart."""
    first, second = np.nonzero((one.numbers[:, None] == other.numbers[None]).any(axis=2))
    apart, counts = np.unique(other.frames[second] - one.frames[first], return_counts=True)
    return dict(zip(apart.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize("gain", [0.1, 0.5, 4.0])
def test_the_level_changes_nothing(flock, gain):
    audio = flock["grekis/XC0.ogg"]
    before, after = echoprint(audio), echoprint(np.float32(gain) * audio)
    assert len(before.frames) > 8
    assert (np.sort(before.numbers, axis=0) == np.sort(after.numbers, axis=0)).mean() > 0.99
    assert after.profile == pytest.approx(before.profile, abs=1e-3)


def test_landmarks_of_a_trimmed_clip_are_as_much_earlier_as_was_cut(flock):
    audio = flock["rubthr1/XC1.ogg"]
    cut_frames = 60
    found = shared(echoprint(audio), echoprint(audio[round(cut_frames * FRAME_S * SAMPLE_RATE) :]))
    assert max(found, key=found.get) == -cut_frames


def test_another_singers_landmarks_agree_less_than_a_copys(flock):
    one = echoprint(flock["grekis/XC0.ogg"])
    own = max(shared(one, one).values())
    others = [max(shared(one, echoprint(flock[name])).values(), default=0) for name in list(flock)[1:]]
    assert max(others) < own


def test_two_species_have_profiles_further_apart_than_two_singers(flock):
    profile = {name: echoprint(audio).profile for name, audio in flock.items()}

    def apart(one, other):
        return np.square(profile[one] - profile[other]).mean()

    within = np.median([apart("grekis/XC0.ogg", f"grekis/XC{n}.ogg") for n in range(1, 8)])
    assert np.median([apart("grekis/XC0.ogg", f"rubthr1/XC{n}.ogg") for n in range(8)]) > 2 * within


@pytest.mark.parametrize("samples", [0, 1, 5, 100, 511])
def test_too_short_a_sound_has_a_print_all_the_same(samples):
    made = echoprint(np.ones(samples, np.float32))
    assert made.profile.shape == (96,)
    assert np.isfinite(made.profile).all()
    assert made.numbers.shape == (len(made.frames), 10)


def test_silence_has_no_landmark():
    assert len(echoprint(np.zeros(SAMPLE_RATE, np.float32)).frames) == 0


def test_what_lies_above_the_new_nyquist_hardly_folds_into_the_spectrogram():
    time_s = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    rng = np.random.default_rng(0)
    low = np.sin(2 * np.pi * 2000 * time_s) + 0.01 * rng.normal(size=len(time_s))
    high = low + np.sin(2 * np.pi * 13_000 * time_s)  # folds to 3 kHz
    change = echoprint(high.astype(np.float32)).profile[:32] - echoprint(low.astype(np.float32)).profile[:32]
    assert change.max() < 0.5  # bels; a plain sum of neighbours lets more than two through
