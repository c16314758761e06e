"""Excerpts: where a sound is loudest."""

import numpy as np

from lib.competition.row_ids import SAMPLE_RATE

_STEP = SAMPLE_RATE // 10


def loudest_start(audio: np.ndarray, samples: int) -> int:
    """The first sample, to a tenth of a second, of the stretch of so many samples that has most energy."""
    if len(audio) <= samples:
        return 0
    energy = np.add.reduceat(np.square(audio), np.arange(0, len(audio), _STEP))
    together = np.convolve(energy, np.ones(max(1, samples // _STEP)), mode="valid")
    return min(int(together.argmax()) * _STEP, len(audio) - samples)


def loudest_stretch(audio: np.ndarray, seconds: float) -> np.ndarray:
    """The audio, or where it is longer the loudest stretch of so many seconds."""
    samples = int(seconds * SAMPLE_RATE)
    start = loudest_start(audio, samples)
    return audio[start : start + samples]
