"""Scaling of mel energies to network input: dB or PCEN, then normalisation; constants are shared with torch."""

from functools import lru_cache

import numpy as np

from lib.competition.row_ids import SAMPLE_RATE

POWER_FLOOR = 1e-10  # -100 dB
PERCH_FLOOR, PERCH_GAIN = 1e-5, 0.1
SPREAD_FLOOR = 1e-6  # a spectrogram that varies less is silence and stays zero
PCEN_TIME_S, PCEN_GAIN, PCEN_BIAS = 0.4, 0.98, 2.0  # the root is 1/2
# The constants belong to audio of 32-bit integer scale. Ours is in [-1, 1]: instead of the energies, the floor and the
# quotient are scaled, once, which is the same.
PCEN_FLOOR = 1e-6 / 2.0**31
PCEN_QUOTIENT = 2.0 ** (31 * (1 - PCEN_GAIN))
# As measured 16 to 64 frames differ little; with 32 a window's product stays so small that OpenBLAS keeps it on one
# thread, where its waiting threads cost many times what they bring.
_PCEN_BLOCK = 32


def decibels(power: np.ndarray, top_db: float = 80.0, peak_db: np.ndarray | float | None = None) -> np.ndarray:
    """The power in dB, floored `top_db` below `peak_db`, one for all windows or one each; None: their own peaks."""
    level = np.log10(np.maximum(power, POWER_FLOOR))
    level *= 10.0
    peaks = level.max(axis=(1, 2)) if peak_db is None else np.asarray(peak_db, dtype=level.dtype)
    return np.maximum(level, peaks.reshape(-1, 1, 1) - top_db, out=level)


def pcen(mel: np.ndarray, hop_samples: int) -> np.ndarray:
    """(windows, mels, frames) per-channel normalised energy (Wang et al. 2017): steady noise goes, onsets stay."""
    quotients = np.empty_like(mel, dtype=np.float32)
    for window, quotient in zip(mel, quotients, strict=True):  # one by one: small products, and they stay in the cache
        _smooth(quotient, window, hop_samples)
        quotient += np.float32(PCEN_FLOOR)
        np.log(quotient, out=quotient)
        quotient *= np.float32(-PCEN_GAIN)
        np.exp(quotient, out=quotient)
        quotient *= window
        quotient *= np.float32(PCEN_QUOTIENT)
        quotient += np.float32(PCEN_BIAS)
        np.sqrt(quotient, out=quotient)
        quotient -= np.float32(PCEN_BIAS**0.5)
    return quotients


@lru_cache(maxsize=8)
def pcen_block(hop_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """PCEN's smoother over a block of frames: (block, block) weights of its frames, (block,) of the previous frame."""
    frames = PCEN_TIME_S * SAMPLE_RATE / hop_samples
    smoothing = (np.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)
    age = np.arange(_PCEN_BLOCK) - np.arange(_PCEN_BLOCK)[:, None]
    weights = np.where(age >= 0, smoothing * (1 - smoothing) ** np.maximum(age, 0), 0.0)
    past = (1 - smoothing) ** np.arange(1, _PCEN_BLOCK + 1)
    return weights.astype(np.float32), past.astype(np.float32)


def _smooth(out: np.ndarray, rows: np.ndarray, hop_samples: int) -> None:
    """Write the (rows, frames) into `out`, smoothed along the frames; the first frame is the initial state."""
    weights, past = pcen_block(hop_samples)
    before = rows[:, :1]
    for start in range(0, rows.shape[1], len(past)):
        block, smooth = rows[:, start : start + len(past)], out[:, start : start + len(past)]
        frames = block.shape[1]
        np.matmul(block, weights[:frames, :frames], out=smooth)
        smooth += before * past[:frames]
        before = smooth[:, -1:]


def normalise_spectrograms(mel: np.ndarray, normalise: str) -> np.ndarray:
    """(windows, mels, frames) normalised in steps: "bands" or "zscore" to mean 0 (and spread 1), "minmax" to 0 to 1."""
    for step in () if normalise == "none" else normalise.split():
        mel = mel - mel.min(axis=(1, 2), keepdims=True)  # silence becomes zero exactly, not nearly
        if step == "bands":
            mel -= mel.mean(axis=2, keepdims=True)
            continue
        if step == "zscore":
            mel -= mel.mean(axis=(1, 2), keepdims=True)
            spread = np.sqrt(np.square(mel).mean(axis=(1, 2), keepdims=True))
        else:
            spread = mel.max(axis=(1, 2), keepdims=True)
        mel /= np.maximum(spread, np.float32(SPREAD_FLOOR))
    return mel
