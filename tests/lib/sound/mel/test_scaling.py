"""Levels and normalisations: known values, and equality with librosa and torchaudio within stated tolerances."""

import librosa
import numpy as np
import pytest
import torch

from lib.competition.row_ids import SAMPLE_RATE
from lib.models.network.pretrained import load_torchaudio
from lib.sound.mel.scaling import decibels, normalise_spectrograms, pcen


@pytest.fixture(scope="module")
def power():
    rng = np.random.default_rng(0)
    cells = rng.exponential(size=(3, 16, 200)) * 10 ** rng.uniform(-9, 1, size=(3, 16, 1))
    return (cells * np.array([1.0, 0.01, 30.0])[:, None, None]).astype(np.float32)


def test_decibels_equal_librosas_and_torchaudios_window_by_window_to_1e_4_db(power):
    ours, to_db = decibels(power), load_torchaudio().transforms.AmplitudeToDB("power", top_db=80.0)
    np.testing.assert_allclose(ours, [librosa.power_to_db(window, top_db=80.0) for window in power], atol=1e-4)
    np.testing.assert_allclose(ours, [to_db(torch.from_numpy(window)).numpy() for window in power], atol=1e-4)


def test_one_peak_for_all_equals_torchaudio_on_a_batch_without_channels_to_1e_4_db(power):
    to_db = load_torchaudio().transforms.AmplitudeToDB("power", top_db=80.0)
    ours = decibels(power, peak_db=decibels(power).max())
    np.testing.assert_allclose(ours, to_db(torch.from_numpy(power)).numpy(), atol=1e-4)
    assert not np.allclose(ours, decibels(power))


def test_decibels_reach_down_from_each_windows_own_peak_or_from_the_one_given():
    power = np.array([[[1.0, 1e-9]], [[10.0, 1e-30]]], dtype=np.float32)
    np.testing.assert_allclose(decibels(power, 20.0)[:, 0], [[0, -20], [10, -10]], atol=1e-5)
    np.testing.assert_allclose(decibels(power, 20.0, peak_db=30.0)[:, 0], [[10, 10], [10, 10]], atol=1e-5)
    np.testing.assert_allclose(decibels(power, 20.0, peak_db=[0, 12])[:, 0], [[0, -20], [10, -8]], atol=1e-5)
    np.testing.assert_allclose(decibels(power, 500.0)[1, 0, 1], -100, atol=1e-4)


@pytest.mark.parametrize("hop_samples", [320, 512, 1252])
@pytest.mark.parametrize("frames", [1, 32, 33, 200])
def test_pcen_equals_librosa_started_from_the_first_frame_to_1e_4(power, hop_samples, frames):
    count = 0.4 * SAMPLE_RATE / hop_samples
    smoothing = (np.sqrt(1 + 4 * count**2) - 1) / (2 * count**2)
    scaled = power[..., :frames].astype(np.float64) * 2**31
    settings = {"hop_length": hop_samples, "time_constant": 0.4, "gain": 0.98, "bias": 2, "power": 0.5}
    start = (1 - smoothing) * scaled[..., :1]  # librosa starts from a constant, which leaves a transient
    expected = librosa.pcen(scaled, sr=SAMPLE_RATE, zi=start, **settings)
    np.testing.assert_allclose(pcen(power[..., :frames], hop_samples), expected, rtol=1e-4, atol=1e-5)


def test_pcen_leaves_its_input_alone_and_makes_silence_zero(power):
    before = power.copy()
    pcen(power, 512)
    assert np.array_equal(power, before)
    np.testing.assert_allclose(pcen(np.zeros((1, 2, 40), dtype=np.float32), 512), 0, atol=1e-6)


def test_normalisations_have_known_values():
    spectrogram = np.array([[[1.0, 3.0], [5.0, 7.0]], [[-100.0, -100.0], [-100.0, -100.0]]], dtype=np.float32)
    assert normalise_spectrograms(spectrogram, "none") is spectrogram
    root = np.sqrt(5.0)
    np.testing.assert_allclose(
        normalise_spectrograms(spectrogram, "zscore")[0], [[-3 / root, -1 / root], [1 / root, 3 / root]], rtol=1e-6
    )
    for normalise in ("minmax", "zscore minmax"):
        np.testing.assert_allclose(
            normalise_spectrograms(spectrogram, normalise)[0], [[0, 1 / 3], [2 / 3, 1]], atol=1e-6
        )
    steady = np.array([[[1.0, 1.0], [5.0, 7.0]]])
    root = np.sqrt(2)
    np.testing.assert_allclose(normalise_spectrograms(steady, "bands zscore")[0], [[0, 0], [-root, root]], atol=1e-6)
    for normalise in ("zscore", "minmax", "zscore minmax", "bands zscore"):
        assert not normalise_spectrograms(spectrogram, normalise)[1].any(), "silence is zero"
    assert spectrogram[0, 0, 0] == 1.0
