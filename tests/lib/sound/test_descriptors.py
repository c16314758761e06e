"""Classical descriptors are finite, tell sounds apart, and do not depend on which windows stand beside."""

import numpy as np

from lib.competition.row_ids import WINDOW_SAMPLES
from lib.sound.descriptors import sound_statistics


def sounds():
    rng = np.random.default_rng(0)
    time_s = np.arange(WINDOW_SAMPLES) / 32_000
    tone = np.sin(2 * np.pi * 3000 * time_s)
    trill = tone * (np.sin(2 * np.pi * 15 * time_s) > 0)
    noise = 0.1 * rng.normal(size=WINDOW_SAMPLES)
    return np.stack([tone, trill, noise, np.zeros(WINDOW_SAMPLES)]).astype(np.float32)


def test_descriptors_are_finite_even_for_digital_silence():
    assert np.isfinite(sound_statistics(sounds())).all()


def test_a_window_is_described_by_itself_alone():
    together = sound_statistics(sounds())
    for n, window in enumerate(sounds()):
        np.testing.assert_array_equal(sound_statistics(window[None])[0], together[n])


def test_a_trill_and_a_tone_of_one_pitch_differ():
    tone, trill = sound_statistics(sounds())[:2]
    spread = sound_statistics(sounds()).std(axis=0) + 1e-6
    assert (np.abs(tone - trill) / spread > 0.5).sum() > 50
