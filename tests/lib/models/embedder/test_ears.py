"""A row becomes what each model hears: at its rate, in its lengths, from where its starts say, as its picture."""

import librosa
import numpy as np
import pytest

from lib.models.embedder.short_window import INPUT_FORMATS, stft_spectrogram

BIRDNET, STM32, YAMNET = INPUT_FORMATS
TIME_S = np.arange(160_000) / 32_000


def loudest_hz(audio, rate_hz):
    return np.argmax(np.abs(np.fft.rfft(audio))) * rate_hz / len(audio)


@pytest.mark.parametrize("ear", [BIRDNET, YAMNET], ids=lambda ear: ear.name)
def test_excerpts_keep_their_pitch_and_lie_where_their_starts_say(ear):
    rising = np.sin(2 * np.pi * (1000 * TIME_S + 100 * TIME_S**2))  # at second t it has 1000 + 200 t Hz
    inputs = ear.inputs(np.stack([rising, np.zeros_like(rising)]))
    assert inputs.shape == (2, len(ear.starts_s), ear.samples)
    assert inputs.dtype == np.float32
    for excerpt, start_s in zip(inputs[0], ear.starts_s, strict=True):
        edge = ear.rate_hz // 10
        assert loudest_hz(excerpt[:edge], ear.rate_hz) == pytest.approx(1010 + 200 * start_s, abs=10)
    assert not inputs[1].any()


@pytest.mark.parametrize("ear", INPUT_FORMATS, ids=lambda ear: ear.name)
def test_excerpts_have_the_shape_by_which_the_ear_is_known_and_lie_symmetrically_within_the_row(ear):
    assert ear.inputs(np.ones((1, 160_000))).shape == (1, len(ear.starts_s), *ear.input_shape)
    seconds = ear.samples / ear.rate_hz
    assert ear.starts_s[0] == 0
    assert 4.9 < ear.starts_s[-1] + seconds <= 5


def test_the_picture_is_that_of_librosa_from_nought_to_one():
    audio = np.random.default_rng(0).normal(size=(2, 66_150)).astype(np.float32)
    for sound, picture in zip(audio, stft_spectrogram(audio), strict=True):
        sizes = np.abs(librosa.stft(sound, n_fft=512, hop_length=258))[:, :256]
        expected = (sizes - sizes.min()) / (sizes.max() - sizes.min())
        np.testing.assert_allclose(picture[..., 0], expected, atol=1e-5)
    assert not stft_spectrogram(np.zeros(66_150, dtype=np.float32)).any()
