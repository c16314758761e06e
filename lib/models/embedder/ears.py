"""Ears: how models that hear less than a row are given one. Each is known by the shape of its input."""

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

import numpy as np
from scipy.signal import resample_poly

from lib.competition.row_ids import SAMPLE_RATE

_FFT, _HOP, _FRAMES = 512, 258, 256  # of the picture that BirdNET's model for STM32 wants


@dataclass(frozen=True)
class Ear:
    """What a model hears at once: so many samples at a rate, cut from a row where the starts (in seconds) say."""

    name: str
    rate_hz: int
    samples: int
    starts_s: tuple[int, ...]  # symmetric in the row, so that a plain mean weighs every second as its mirror image
    input_shape: tuple[int, ...]  # of one excerpt, by which the ear is known
    picture: Callable[[np.ndarray], np.ndarray] | None = None  # what the model is shown, if not the samples

    def inputs(self, windows: np.ndarray) -> np.ndarray:
        """(rows, excerpts, *input_shape) float32 of (rows, 160000) audio at 32 kHz."""
        step = gcd(self.rate_hz, SAMPLE_RATE)
        heard = resample_poly(windows.astype(np.float32), self.rate_hz // step, SAMPLE_RATE // step, axis=1)
        starts = [second * self.rate_hz for second in self.starts_s]
        excerpts = np.stack([heard[:, at : at + self.samples] for at in starts], axis=1)
        return excerpts if self.picture is None else self.picture(excerpts)


def stft_picture(audio: np.ndarray) -> np.ndarray:
    """(…, 257, 256, 1) magnitudes of (…, samples) audio, each picture from 0 to 1; silence gives zeros."""
    edges = [(0, 0)] * (audio.ndim - 1) + [(_FFT // 2, _FFT // 2)]
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(audio, edges), _FFT, axis=-1)[..., ::_HOP, :]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
    sizes = np.abs(np.fft.rfft(frames[..., :_FRAMES, :] * hann)).astype(np.float32)
    low, high = sizes.min(axis=(-2, -1), keepdims=True), sizes.max(axis=(-2, -1), keepdims=True)
    return np.swapaxes((sizes - low) / np.maximum(high - low, 1e-9), -2, -1)[..., None]


EARS = (
    Ear("BirdNET 2.4", 48_000, 144_000, (0, 2), (144_000,)),
    Ear("BirdNET for STM32", 22_050, 66_150, (0, 2), (257, 256, 1), stft_picture),
    Ear("YAMNet", 16_000, 15_600, (0, 1, 2, 3, 4), (15_600,)),
)
