"""Classical descriptors of a window: statistics over time of log-mel, MFCC and PCEN, band energies, silence."""

import numpy as np
from scipy.fft import dct

from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import mel_power
from lib.sound.mel.scaling import decibels, pcen

FRONT_END = FrontEnd(n_fft=1024, hop_samples=512, n_mels=64, fmin_hz=50.0, fmax_hz=16000.0)
_N_MFCC = 20
_N_BANDS = 8
_SILENCE_DB = 10.0  # a frame this close to its window's quietest counts as silent


def sound_statistics(windows: np.ndarray, front_end: FrontEnd = FRONT_END) -> np.ndarray:
    """(windows, features) float32 descriptors of (windows, samples) audio."""
    power = mel_power(windows, front_end)
    level, onsets = decibels(power), np.log1p(pcen(power, front_end.hop_samples))
    cepstrum = dct(level, axis=1, norm="ortho")[:, :_N_MFCC]
    bands = level.reshape(len(level), _N_BANDS, -1, level.shape[2]).mean(axis=2)
    loudness = level.mean(axis=1)
    silence = (loudness < loudness.min(axis=1, keepdims=True) + _SILENCE_DB).mean(axis=1, keepdims=True)
    parts = [
        *_over_time(level),
        *_over_time(onsets),
        *_over_time(cepstrum),
        _mean_change(level),
        _mean_change(onsets),
        bands.std(axis=2),
        silence,
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _over_time(spectrogram: np.ndarray) -> list[np.ndarray]:
    """Mean, standard deviation and 95th percentile over time, each (windows, rows)."""
    return [spectrogram.mean(axis=2), spectrogram.std(axis=2), _peak(spectrogram)]


def _peak(spectrogram: np.ndarray) -> np.ndarray:
    """(windows, rows) the 95th percentile over time: the calls, where the mean is the background."""
    rank = int(0.95 * (spectrogram.shape[2] - 1))
    return np.partition(spectrogram, rank, axis=2)[:, :, rank]


def _mean_change(spectrogram: np.ndarray) -> np.ndarray:
    """(windows, rows) the mean absolute change from frame to frame: trills and pulses against drones."""
    return np.abs(np.diff(spectrogram, axis=2)).mean(axis=2)
