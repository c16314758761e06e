"""Spectrograms equal torchaudio's and librosa's within stated tolerances, and a file's those of its windows."""

from dataclasses import replace

import librosa
import numpy as np
import pytest
import torch

from lib.competition.row_ids import SAMPLE_RATE
from lib.core.errors import BadInput
from lib.models.network.pretrained import load_torchaudio
from lib.sound.mel import cpu as mel
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import file_peak_db, mel_power, soundscape_spectrograms, spectrograms
from tests.support.front_ends import FRONT_ENDS

ALONE = {name: front_end for name, front_end in FRONT_ENDS.items() if front_end.edges == "reflect"}
SAMPLES = SAMPLE_RATE
STARTS = {
    "end to end": np.arange(4) * SAMPLES,
    "overlapping by a whole number of hops": np.arange(9) * 4000,
    "overlapping": np.arange(9) * 3333,
    "two shifts": np.concatenate([np.arange(4) * SAMPLES, np.arange(3) * SAMPLES + SAMPLES // 2]),
}


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    time_s = np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE
    sweep = np.sin(2 * np.pi * (500 + 800 * time_s) * time_s)
    return np.stack([0.1 * rng.normal(size=len(time_s)), sweep]).astype(np.float32)


@pytest.fixture(scope="module")
def file():
    """Four seconds and a bit: noise that gets louder, so that the file's peak is not the first window's."""
    rng = np.random.default_rng(1)
    audio = rng.normal(size=4 * SAMPLES + 777) * np.geomspace(0.001, 0.5, 4 * SAMPLES + 777)
    return audio.astype(np.float32)


@pytest.mark.parametrize("name", ALONE)
def test_mel_power_equals_torchaudio_to_2e_3_in_logarithms(windows, name):
    settings = ALONE[name]
    transform = load_torchaudio().transforms.MelSpectrogram(
        sample_rate=SAMPLE_RATE,
        n_fft=settings.n_fft,
        win_length=settings.taper_samples or settings.n_fft,
        hop_length=settings.hop_samples,
        n_mels=settings.n_mels,
        f_min=settings.fmin_hz,
        f_max=settings.fmax_hz,
        power=settings.magnitude_power,
        norm=None if settings.mel_norm == "none" else "slaney",
        mel_scale=settings.mel_scale,
    )
    expected = transform(torch.from_numpy(windows)).numpy()
    ours, floor = mel_power(windows, settings), 1e-6 ** (settings.magnitude_power / 2) * expected.max()
    assert ours.shape == expected.shape
    assert ours.dtype == np.float32
    np.testing.assert_allclose(np.log(ours + floor), np.log(expected + floor), atol=2e-3)


@pytest.mark.parametrize("name", ALONE)
def test_mel_power_equals_librosa_to_1e_4_of_a_cell_and_1e_7_of_the_loudest(windows, name):
    settings = ALONE[name]
    expected = librosa.feature.melspectrogram(
        y=windows,
        sr=SAMPLE_RATE,
        n_fft=settings.n_fft,
        win_length=settings.taper_samples or None,
        hop_length=settings.hop_samples,
        n_mels=settings.n_mels,
        fmin=settings.fmin_hz,
        fmax=settings.fmax_hz,
        htk=settings.mel_scale == "htk",
        norm=None if settings.mel_norm == "none" else "slaney",
        power=settings.magnitude_power,
        pad_mode="reflect",
    )
    np.testing.assert_allclose(mel_power(windows, settings), expected, rtol=1e-4, atol=1e-7 * expected.max())


@pytest.mark.parametrize("name", ["plain", "magnitudes in dB"])
def test_spectrograms_in_decibels_equal_librosas_to_a_hundredth_of_a_db(windows, name):
    settings = ALONE[name]
    energies = mel_power(windows, settings)
    to_db = librosa.power_to_db if settings.magnitude_power == 2 else librosa.amplitude_to_db
    expected = [
        to_db(window, ref=1.0, amin=1e-10 ** (settings.magnitude_power / 2), top_db=80.0) for window in energies
    ]
    np.testing.assert_allclose(spectrograms(windows, settings), expected, atol=0.01)


def test_perchs_spectrogram_is_a_tenth_of_the_logarithm_of_its_magnitudes(windows):
    expected = 0.1 * np.log(np.maximum(mel_power(windows, ALONE["Perch"]), 1e-5))
    np.testing.assert_allclose(spectrograms(windows, ALONE["Perch"]), expected, atol=1e-6)
    np.testing.assert_allclose(
        spectrograms(np.zeros((1, 2000), np.float32), ALONE["Perch"]), 0.1 * np.log(1e-5), atol=1e-6
    )


@pytest.mark.parametrize("starts", STARTS)
@pytest.mark.parametrize("hop_samples", [320, 500, 512])
@pytest.mark.parametrize(
    "name", ["plain", "PCEN sidecar", "counted from the file", "edges of the file", "all of the file"]
)
def test_a_files_spectrograms_equal_those_of_its_cut_windows_to_1e_5(file, name, hop_samples, starts):
    settings = replace(FRONT_ENDS[name], hop_samples=hop_samples)
    half, context = settings.n_fft // 2, settings.context_samples
    whole = np.pad(file, half, mode="reflect")
    cut = [whole[half + start - context : half + start + SAMPLES + context] for start in STARTS[starts]]
    expected = spectrograms(np.stack(cut), settings, peak_db=file_peak_db(file, settings))
    ours = soundscape_spectrograms(file, settings, STARTS[starts], SAMPLES)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_edges_and_scope_of_the_file_equal_slices_of_librosas_whole_file_to_a_hundredth_of_a_db(file, power):
    settings = FrontEnd(hop_samples=500, edges="file", scope="file", top_db=40.0, magnitude_power=power)
    energies = librosa.feature.melspectrogram(
        y=file,
        sr=SAMPLE_RATE,
        n_fft=2048,
        hop_length=500,
        n_mels=128,
        fmin=20,
        htk=True,
        norm=None,
        pad_mode="reflect",
        power=power,
    )
    to_db = librosa.power_to_db if power == 2 else librosa.amplitude_to_db
    whole = to_db(energies, ref=1.0, top_db=40.0)
    ours = soundscape_spectrograms(file, settings, np.arange(4) * SAMPLES, SAMPLES)
    for window, spectrogram in enumerate(ours):
        np.testing.assert_allclose(spectrogram, whole[:, 64 * window : 64 * window + 65], atol=0.01)
    assert (ours[0] == ours[0].min()).all(), "the first window lies more than 40 dB below the file's peak"


def test_scope_file_takes_a_window_for_its_whole_file_when_no_peak_is_given(windows):
    counted = FRONT_ENDS["counted from the file"]
    assert np.array_equal(spectrograms(windows, counted), spectrograms(windows, replace(counted, scope="window")))
    assert not np.array_equal(spectrograms(windows, counted, peak_db=60.0), spectrograms(windows, counted))


@pytest.mark.parametrize(("edges", "most"), [("file", 1.02), ("reflect", 1.2)])
def test_a_further_shift_by_whole_hops_adds_only_frames_that_are_its_own(file, monkeypatch, edges, most):
    made = []
    monkeypatch.setattr(
        mel.fft, "rfft", lambda chunk, axis, real=mel.fft.rfft: made.append(len(chunk)) or real(chunk, axis=axis)
    )
    settings = FrontEnd(hop_samples=500, edges=edges)
    counts = []
    for starts in (STARTS["end to end"], STARTS["two shifts"]):
        made.clear()
        soundscape_spectrograms(file, settings, starts, SAMPLES)
        counts.append(sum(made))
    assert counts[0] == 4 * 65
    assert counts[1] <= most * counts[0]


@pytest.mark.parametrize("starts", [[], [-1], [3 * SAMPLES + 778]])
def test_windows_beyond_the_file_are_refused(file, starts):
    with pytest.raises(BadInput, match="windows of a soundscape"):
        soundscape_spectrograms(file, FrontEnd(), np.array(starts, dtype=int), SAMPLES)


def test_the_last_possible_window_of_a_file_is_not_refused(file):
    assert soundscape_spectrograms(file, FrontEnd(), np.array([3 * SAMPLES + 777]), SAMPLES).shape == (1, 128, 63)
