"""Audio fingerprint that survives gain, re-encoding and trimming: bits around the peaks of a coarse spectrogram.

The spectrogram has 32 bands and a frame every 16 ms. Around each of its strongest peaks (landmarks), pairs of cells are
compared, and the resulting bits are read as hash numbers, one for each table of pairs. Two recordings of one sound
share numbers at one and the same distance in time. Comparing cells makes the print independent of level; comparing
around peaks makes it independent of where a clip begins and ends.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft, ndimage, sparse

from lib.competition.row_ids import SAMPLE_RATE
from lib.sound.decode import fit_length

_HALF_RATE = SAMPLE_RATE // 2
FRAME_S = 0.016
_FRAME = int(_HALF_RATE * FRAME_S)
_BANDS = 32
_LOWEST_HZ, _HIGHEST_HZ = 250.0, 7800.0
_FLOOR = 10**-3.0  # 30 dB below the loud frames: anything weaker differs by its noise alone
_SMOOTHING = np.hanning(9)[1:-1] / np.hanning(9)[1:-1].sum()
_REACH_FRAMES, _REACH_BANDS = 20, 8  # how far from a peak cells are compared
_TABLES, _BITS = 10, 18
_MARGIN = 0.1  # a bel: cells nearer than that count as equal, so that cells at the floor give no random bits
_PROMINENCE = 0.3
_LANDMARKS_PER_S, _LEAST_LANDMARKS = 2.0, 64


@dataclass(frozen=True, eq=False)
class Echoprint:
    """Peaks in frames (landmarks,), their hash numbers (landmarks, tables), and the clip's mean spectrum."""

    frames: np.ndarray
    numbers: np.ndarray
    profile: np.ndarray  # (96,) mean, spread and height of each band in bels below the loudest


def echoprint(audio: np.ndarray) -> Echoprint:
    """The fingerprint of (samples,) audio at 32 kHz; sound shorter than a frame has no landmark."""
    spectrogram = _spectrogram(_halve_rate(audio))
    peaks = ndimage.maximum_filter1d(ndimage.maximum_filter1d(spectrogram, 9, axis=0), 5, axis=1)
    middle, height = np.quantile(spectrogram, [0.5, 0.95], axis=0)
    prominence = spectrogram - middle
    frames, bands = np.nonzero((spectrogram == peaks) & (prominence > _PROMINENCE))
    most = max(_LEAST_LANDMARKS, int(_LANDMARKS_PER_S * FRAME_S * len(spectrogram)))
    strongest = np.argsort(-prominence[frames, bands], kind="stable")[:most]
    frames, bands = frames[strongest], bands[strongest]
    padded = np.pad(spectrogram, ((_REACH_FRAMES, _REACH_FRAMES), (_REACH_BANDS, _REACH_BANDS)), mode="edge")
    in_time, in_bands = _cell_pairs()
    cells = padded[
        frames[:, None, None, None] + _REACH_FRAMES + in_time, bands[:, None, None, None] + _REACH_BANDS + in_bands
    ]
    patterns = (cells[..., 0] - cells[..., 1] > _MARGIN) @ (1 << np.arange(_BITS))
    numbers = (patterns * _BANDS + bands[:, None]) * _TABLES + np.arange(_TABLES)
    loudest = spectrogram.max()
    profile = np.concatenate([spectrogram.mean(axis=0) - loudest, spectrogram.std(axis=0), height - loudest])
    return Echoprint(frames.astype(np.int32), numbers, profile.astype(np.float32))


def _halve_rate(audio: np.ndarray) -> np.ndarray:
    """(samples / 2 - 2,) the audio at 16 kHz, by weights of 1, 3, 3, 1: little of what is above 10 kHz folds over."""
    even, odd = audio[: len(audio) // 2 * 2 : 2], audio[1::2]
    return odd[:-2] + 3 * (even[1:-1] + odd[1:-1]) + even[2:]


def _spectrogram(audio: np.ndarray) -> np.ndarray:
    """(frames, bands) energies of 16 kHz audio in bels, smoothed over a tenth of a second, above a floor."""
    frames = max(1, len(audio) // _FRAME)
    whole = fit_length(audio, frames * _FRAME) if len(audio) else np.zeros(_FRAME, np.float32)
    spectrum = fft.rfft(whole.reshape(frames, _FRAME) * np.hanning(_FRAME + 1)[:_FRAME].astype(np.float32), axis=1)
    energy = (_bank() @ (np.square(spectrum.real) + np.square(spectrum.imag)).T).T
    energy = ndimage.convolve1d(energy, _SMOOTHING.astype(np.float32), axis=0, mode="nearest")
    return np.log10(energy + np.quantile(energy.max(axis=1), 0.95) * _FLOOR + 1e-12)


@lru_cache(maxsize=1)
def _bank() -> sparse.csr_matrix:
    """(bands, bins) triangles on a logarithmic scale, each with unit weight and at least one bin.

    Sparse, because its product uses no threads: a dense one's compete with those that decode.
    """
    edges = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _BANDS + 2)
    bins = np.arange(_FRAME // 2 + 1) * _HALF_RATE / _FRAME
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins[:, None] - low) / (middle - low), (high - bins[:, None]) / (high - middle)
    bank = np.maximum(0.0, np.minimum(rising, falling))
    empty = np.flatnonzero(bank.sum(axis=0) == 0)
    bank[np.abs(bins[:, None] - middle[empty]).argmin(axis=0), empty] = 1.0
    return sparse.csr_matrix((bank / bank.sum(axis=0)).T.astype(np.float32))


@lru_cache(maxsize=1)
def _cell_pairs() -> tuple[np.ndarray, np.ndarray]:
    """(tables, bits, 2) distances in frames and in bands from the peak to the two cells that a bit compares."""
    rng = np.random.default_rng(5)
    shape = (_TABLES, _BITS, 2)
    return (
        rng.integers(-_REACH_FRAMES, _REACH_FRAMES + 1, shape),
        rng.integers(-_REACH_BANDS, _REACH_BANDS + 1, shape),
    )
