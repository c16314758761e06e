"""Alignment: what two copies of one recording have in common, to be heard side by side."""

import numpy as np
from scipy.signal import correlate

from lib.competition.row_ids import SAMPLE_RATE
from lib.sound.excerpt import loudest_start

_LEAST_SAMPLES = SAMPLE_RATE // 2  # less in common may be alike by chance
_SILENCE = 1e-6  # of the most energy that any overlap has: below it there is nothing to compare
_LENGTH_COUNTS = 0.25  # with this power longer overlaps win: of 40 near copies in real recordings, all lay right


def in_common(one: np.ndarray, other: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Up to so many seconds of what two copies share, where `one` is loudest: as the one has it, and as the other."""
    later = _later(np.diff(one), np.diff(other))  # differences, for a rumble that never ends would outweigh the voices
    start, stop = max(0, -later), min(len(one), len(other) - later)
    samples = min(int(seconds * SAMPLE_RATE), stop - start)
    start += loudest_start(one[start:stop], samples)
    return one[start : start + samples], other[start + later : start + later + samples]


def _later(one: np.ndarray, other: np.ndarray) -> int:
    """How many samples later in `other` the same thing is heard: where both, as far as they overlap, are most alike."""
    later = np.arange(1 - len(one), len(other))
    start, stop = np.maximum(0, -later), np.minimum(len(one), len(other) - later)
    energies = [np.concatenate([[0.0], np.cumsum(np.square(part, dtype=np.float64))]) for part in (one, other)]
    shared = (energies[0][stop] - energies[0][start]) * (energies[1][stop + later] - energies[1][start + later])
    alike = np.abs(correlate(other, one, method="fft")) / np.sqrt(np.maximum(shared, _SILENCE * shared.max() + 1e-12))
    enough = stop - start >= min(_LEAST_SAMPLES, len(one), len(other))
    return int(later[np.argmax(np.where(enough, alike * (stop - start) ** _LENGTH_COUNTS, 0.0))])
