"""A row becomes each model's input: at its rate, in its lengths, from its starts, as its spectrogram."""

import librosa
import numpy as np
import pytest

from lib.models.embedder.short_window import INPUT_FORMATS, stft_spectrogram

BIRDNET, STM32, YAMNET = INPUT_FORMATS
TIME_S = np.arange(160_000) / 32_000


def loudest_hz(audio, rate_hz):
    return np.argmax(np.abs(np.fft.rfft(audio))) * rate_hz / len(audio)


@pytest.mark.parametrize("input_format", [BIRDNET, YAMNET], ids=lambda input_format: input_format.name)
def test_excerpts_keep_their_pitch_and_lie_at_their_starts(input_format):
    rising = np.sin(2 * np.pi * (1000 * TIME_S + 100 * TIME_S**2))  # at second t it has 1000 + 200 t Hz
    inputs = input_format.inputs(np.stack([rising, np.zeros_like(rising)]))
    assert inputs.shape == (2, len(input_format.starts_s), input_format.samples)
    assert inputs.dtype == np.float32
    for excerpt, start_s in zip(inputs[0], input_format.starts_s, strict=True):
        edge = input_format.rate_hz // 10
        assert loudest_hz(excerpt[:edge], input_format.rate_hz) == pytest.approx(1010 + 200 * start_s, abs=10)
    assert not inputs[1].any()


@pytest.mark.parametrize("input_format", INPUT_FORMATS, ids=lambda input_format: input_format.name)
def test_excerpts_have_the_shape_by_which_the_format_is_recognised_and_lie_symmetrically_within_the_row(input_format):
    assert input_format.inputs(np.ones((1, 160_000))).shape == (
        1,
        len(input_format.starts_s),
        *input_format.input_shape,
    )
    seconds = input_format.samples / input_format.rate_hz
    assert input_format.starts_s[0] == 0
    assert 4.9 < input_format.starts_s[-1] + seconds <= 5


def test_the_spectrogram_is_that_of_librosa_scaled_from_0_to_1():
    audio = np.random.default_rng(0).normal(size=(2, 66_150)).astype(np.float32)
    for sound, mel in zip(audio, stft_spectrogram(audio), strict=True):
        magnitudes = np.abs(librosa.stft(sound, n_fft=512, hop_length=258))[:, :256]
        expected = (magnitudes - magnitudes.min()) / (magnitudes.max() - magnitudes.min())
        np.testing.assert_allclose(mel[..., 0], expected, atol=1e-5)
    assert not stft_spectrogram(np.zeros(66_150, dtype=np.float32)).any()
