"""Mel filter bank and taper of a front end: the same numbers for numpy and for torch."""

from functools import lru_cache

import numpy as np
from scipy.signal import get_window

from lib.competition.row_ids import SAMPLE_RATE
from lib.sound.mel.config import FrontEnd, band_edges_hz

# One dense product costs five times as much as blocks, as measured. A block's product with a chunk of 64 frames stays
# within what OpenBLAS keeps on one thread (2**18 multiplications): its waiting threads cost more than they bring.
_BLOCK_MELS = 16
_BLOCK_CELLS = 2**12


@lru_cache(maxsize=8)
def taper(front_end: FrontEnd) -> np.ndarray:
    """(n_fft,) float32 periodic Hann, in the middle of the frame where it is shorter than that."""
    length = front_end.taper_samples or front_end.n_fft
    before = (front_end.n_fft - length) // 2
    hann = get_window("hann", length).astype(np.float32)
    return np.pad(hann, (before, front_end.n_fft - length - before))


@lru_cache(maxsize=8)
def mel_bank(front_end: FrontEnd) -> np.ndarray:
    """(mels, bins) float32 triangles, of unit height or of unit area."""
    edges = band_edges_hz(front_end.n_mels, front_end.fmin_hz, front_end.fmax_hz, front_end.mel_scale)[:, None]
    bins = np.linspace(0.0, SAMPLE_RATE / 2, front_end.n_fft // 2 + 1)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bank = np.maximum(0.0, np.minimum(rising, falling))
    if front_end.mel_norm == "slaney":
        bank *= 2.0 / (edges[2:] - edges[:-2])
    return bank.astype(np.float32)


@lru_cache(maxsize=8)
def bank_blocks(front_end: FrontEnd) -> list[tuple[slice, slice]]:
    """The bank's (mels, bins) slices outside which it is zero: neighbouring bands share bins, distant ones none."""
    inside = mel_bank(front_end) > 0
    low, high = inside.argmax(axis=1), inside.shape[1] - inside[:, ::-1].argmax(axis=1)
    blocks, first = [], 0
    while first < front_end.n_mels:
        last = min(first + _BLOCK_MELS, front_end.n_mels)
        while last > first + 1 and (last - first) * (high[last - 1] - low[first]) > _BLOCK_CELLS:
            last -= 1
        blocks.append((slice(first, last), slice(int(low[first]), int(high[last - 1]))))
        first = last
    return blocks
