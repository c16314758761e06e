"""Perch's mel spectrogram in plain ONNX operators: a discrete Fourier transform as two short convolutions."""

import numpy as np

from lib.models.standin.graph import Graph
from lib.sound.mel.config import PERCH_FRONT_END
from lib.sound.mel.filterbank import mel_bank, taper
from lib.sound.mel.scaling import PERCH_FLOOR, PERCH_GAIN

FRAMES = 500
# A frequency is k = k1 + 32 k2 and a sample n = 32 n1 + n2. The first convolution runs over n1 for each n2, with the
# taper in its weights; the second, with the turning between them in its weights, runs over n2 for each k1.
_SIDE = 32
_HALF = _SIDE // 2 + 1  # the sound is real, so the other k1 mirror these
_STEPS, _HOP_STEPS = PERCH_FRONT_END.taper_samples // _SIDE, PERCH_FRONT_END.hop_samples // _SIDE


def add_spectrogram(graph: Graph, audio: str) -> str:
    """Add the (rows, 500, 128) spectrogram of (rows, 160000) audio; its name. Frame n is centred on sample 320 n."""
    samples = graph.add("Reshape", audio, np.array([-1, FRAMES * _HOP_STEPS, _SIDE]))
    by_n2 = graph.add("Transpose", samples, perm=[0, 2, 1])
    first = graph.add("Conv", by_n2, _first_step(), strides=[_HOP_STEPS], pads=[_HOP_STEPS, 0], group=_SIDE)
    parts = graph.add("Reshape", first, np.array([-1, _SIDE, 2 * _HALF, FRAMES]))
    shuffled = graph.add("Transpose", parts, perm=[0, 2, 1, 3])
    by_k1 = graph.add("Reshape", shuffled, np.array([-1, 2 * _HALF * _SIDE, FRAMES]))
    bins = [graph.add("Conv", by_k1, weights, group=_HALF) for weights in _second_step()]
    power = graph.add("Add", *(graph.add("Mul", part, part) for part in bins))
    mel = graph.add("Conv", graph.add("Sqrt", power), _bank())
    level = graph.add("Mul", graph.add("Log", graph.add("Max", mel, PERCH_FLOOR)), PERCH_GAIN)
    return graph.add("Transpose", level, perm=[0, 2, 1])


def _first_step() -> np.ndarray:
    """(n2, k1 and two parts; 1; n1): the tapered transform over every 32nd sample."""
    rim = (PERCH_FRONT_END.n_fft - PERCH_FRONT_END.taper_samples) // 2
    tapers = taper(PERCH_FRONT_END)[rim : rim + PERCH_FRONT_END.taper_samples].reshape(_STEPS, _SIDE).T
    turns = 2 * np.pi * np.outer(np.arange(_HALF), np.arange(_STEPS)) / _SIDE
    parts = np.stack([np.cos(turns), -np.sin(turns)], axis=1).reshape(1, 2 * _HALF, _STEPS)
    return (tapers[:, None] * parts).reshape(-1, 1, _STEPS)


def _second_step() -> tuple[np.ndarray, np.ndarray]:
    """Twice (k1, k2; two parts of n2; 1): real and imaginary part of the transform over 32 neighbours, turned to k1."""
    k1, k2, n2 = np.ogrid[:_HALF, :_SIDE, :_SIDE]
    turns = 2 * np.pi * (k1 * n2 / PERCH_FRONT_END.n_fft + n2 * k2 / _SIDE)
    cos, sin = np.cos(turns), np.sin(turns)
    real, imaginary = np.concatenate([cos, sin], axis=2), np.concatenate([-sin, cos], axis=2)
    return real.reshape(-1, 2 * _SIDE, 1), imaginary.reshape(-1, 2 * _SIDE, 1)


def _bank() -> np.ndarray:
    """(mels; k1 and k2; 1): the mel bank with its bins in the order of the two steps, each used once."""
    bins = (np.arange(_HALF)[:, None] + _SIDE * np.arange(_SIDE)).ravel()
    bins = np.minimum(bins, PERCH_FRONT_END.n_fft - bins)
    _, first = np.unique(bins, return_index=True)
    bank = np.zeros((PERCH_FRONT_END.n_mels, len(bins), 1))
    bank[:, first, 0] = mel_bank(PERCH_FRONT_END)[:, bins[first]]
    return bank
