"""The mel front end equals torchaudio's and librosa's within stated tolerances."""

import librosa
import numpy as np
import pytest
import torch

from lib.competition.names import SAMPLE_RATE
from lib.models.torch_companions import load_torchaudio
from lib.sound.mel import FrontEnd, decibels, mel_power, pcen

SETTINGS = [FrontEnd(), FrontEnd(n_fft=1024, hop_samples=320, n_mels=64, fmin_hz=50.0, fmax_hz=14000.0)]


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    time_s = np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE
    sweep = np.sin(2 * np.pi * (500 + 800 * time_s) * time_s)
    return np.stack([0.1 * rng.normal(size=len(time_s)), sweep]).astype(np.float32)


@pytest.mark.parametrize("front_end", SETTINGS)
def test_mel_power_equals_torchaudio(windows, front_end):
    transform = load_torchaudio().transforms.MelSpectrogram(
        sample_rate=SAMPLE_RATE,
        n_fft=front_end.n_fft,
        hop_length=front_end.hop_samples,
        n_mels=front_end.n_mels,
        f_min=front_end.fmin_hz,
        f_max=front_end.fmax_hz,
    )
    expected = transform(torch.from_numpy(windows)).numpy()
    ours = mel_power(windows, front_end)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(np.log(ours + 1e-4), np.log(expected + 1e-4), atol=2e-3)


@pytest.mark.parametrize("front_end", SETTINGS)
def test_mel_power_equals_librosa(windows, front_end):
    expected = librosa.feature.melspectrogram(
        y=windows, sr=SAMPLE_RATE, n_fft=front_end.n_fft, hop_length=front_end.hop_samples, n_mels=front_end.n_mels,
        fmin=front_end.fmin_hz, fmax=front_end.fmax_hz, htk=True, norm=None, pad_mode="reflect",
    )  # fmt: skip
    np.testing.assert_allclose(mel_power(windows, front_end), expected, rtol=2e-3, atol=1e-4)


def test_decibels_reach_down_eighty_from_each_windows_own_peak(windows):
    level = decibels(mel_power(windows, SETTINGS[0]))
    peaks = level.max(axis=(1, 2))
    assert (level.min(axis=(1, 2)) >= peaks - 80 - 1e-4).all()
    assert peaks[0] != peaks[1]


def test_pcen_equals_librosa_started_from_the_first_frame(windows):
    power = mel_power(windows, SETTINGS[0])
    frames = 0.4 * SAMPLE_RATE / 512
    smoothing = (np.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)
    scaled = power * 2**31
    settings = {"hop_length": 512, "time_constant": 0.4, "gain": 0.98, "bias": 2, "power": 0.5}
    start = (1 - smoothing) * scaled[..., :1]  # librosa starts from a constant, which leaves a transient
    expected = librosa.pcen(scaled, sr=SAMPLE_RATE, zi=start, **settings)
    np.testing.assert_allclose(pcen(power, 512), expected, rtol=1e-3, atol=1e-4)
