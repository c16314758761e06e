"""Test-time augmentation: average predictions over shifted, louder or reversed copies of a soundscape.

A pass whose windows begin later than the rows is brought back to them by time: a frame counts for the row in which it
lies, and a window's clip output counts for the rows that the five seconds in its middle touch, by how much they do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import expit

from lib.competition.row_ids import SAMPLE_RATE, WINDOW_S, WINDOWS_PER_SOUNDSCAPE
from lib.core.errors import BadInput
from lib.models.member.windows import NetworkCall, WindowSpec, mean_probabilities
from lib.sound.mel.config import FrontEnd


@dataclass(frozen=True)
class TTAPass:
    """One augmented copy: windows that begin later than the rows, a gain, the spectrogram reversed in time."""

    shift_s: float = 0.0  # cut to whole hops, so that the frames are those of the other passes
    gain_db: float = 0.0
    backwards: bool = False
    weight: float = 1.0

    def __post_init__(self):
        if not abs(self.shift_s) <= WINDOW_S / 2:
            raise BadInput(
                "a shift leaves its row",
                expected=f"shift_s of at most {WINDOW_S / 2} s either way",
                got=self.shift_s,
                do="set a smaller shift_s: further on begins another row",
            )
        if not 0 < self.weight < np.inf:
            raise BadInput(
                "the weight of a pass", expected="weight above 0", got=self.weight, do="leave out passes of weight 0"
            )


@dataclass(frozen=True)
class TTA:
    """The passes of a network over a soundscape; by default one, without any change."""

    passes: list[TTAPass] = field(default_factory=lambda: [TTAPass()])
    overlaps: bool = False  # average all windows that contain a moment, not only the one in whose middle it lies

    def __post_init__(self):
        if not self.passes:
            raise BadInput("TTA without a pass", expected="passes", got="none", do="set at least one pass")

    def effective_passes(self, front_end: FrontEnd) -> list[TTAPass]:
        """The passes that differ, with shifts in whole hops and weights that sum to one.

        Normalised decibels are the same however loud the sound is, so a gain costs no pass there: its weight goes to
        the pass without.
        """
        ignores_gain = front_end.level == "db" and front_end.normalise != "none"
        weights: dict[TTAPass, float] = {}
        for each in self.passes:
            hops = int(each.shift_s * SAMPLE_RATE / front_end.hop_samples)  # towards zero: further may leave the row
            shift_s = hops * front_end.hop_samples / SAMPLE_RATE
            key = TTAPass(shift_s, 0.0 if ignores_gain else each.gain_db, each.backwards)
            weights[key] = weights.get(key, 0.0) + each.weight
        total = sum(weights.values())
        return [replace(key, weight=weight / total) for key, weight in weights.items()]


def tta_spectrograms(
    audio: np.ndarray, window_spec: WindowSpec, front_end: FrontEnd, copies: Sequence[tuple[float, float]]
) -> list[np.ndarray]:
    """(12, 1, mels, frames) spectrograms for each copy (shift in s, gain in dB): all shifts of a gain share frames."""
    by_copy: dict[tuple[float, float], np.ndarray] = {}
    for gain_db in dict.fromkeys(gain for _, gain in copies):
        shifts = list(dict.fromkeys(shift for shift, gain in copies if gain == gain_db))
        sound = audio * np.float32(10 ** (gain_db / 20)) if gain_db else audio
        mels = window_spec.spectrograms(sound, front_end, [round(shift * SAMPLE_RATE) for shift in shifts])
        by_copy |= {(shift, gain_db): part for shift, part in zip(shifts, np.split(mels, len(shifts)), strict=True)}
    return [by_copy[each] for each in copies]


def tta_probabilities(
    spectrograms: Sequence[np.ndarray],
    passes: Sequence[TTAPass],
    overlaps: bool,
    window_spec: WindowSpec,
    networks: Sequence[NetworkCall],
) -> np.ndarray:
    """(12, classes) the mean over networks and, by weight, over passes, each with its own spectrograms."""
    tables = []
    for mels, each in zip(spectrograms, passes, strict=True):
        pass_spec = _PassSpec(window_spec.seconds, each.shift_s, each.backwards, overlaps)
        seen = np.ascontiguousarray(mels[..., ::-1]) if each.backwards else mels
        tables.append(each.weight * mean_probabilities(seen, pass_spec, networks))
    return np.sum(tables, axis=0)


@dataclass(frozen=True)
class _PassSpec(WindowSpec):
    """The windows of one pass, and the probabilities of rows that its outputs stand for."""

    shift_s: float = 0.0
    backwards: bool = False
    overlaps: bool = False

    def probabilities(self, clip_logits: np.ndarray, frame_logits: np.ndarray) -> np.ndarray:
        """(12, classes) as a plain WindowSpec's, of windows that need not begin with the rows."""
        frame_logits = frame_logits[..., ::-1] if self.backwards else frame_logits
        if not (self.shift_s or self.overlaps):
            return super().probabilities(clip_logits, frame_logits)
        clip = _row_weights(self.shift_s) @ expit(clip_logits)
        if frame_logits.shape[2] == 1:  # a pooled head: its frame is the clip
            return clip
        return 0.5 * clip + 0.5 * self._row_moments(expit(frame_logits)).max(axis=2)

    def _row_moments(self, frames: np.ndarray) -> np.ndarray:
        """(12, classes, moments of a row) mean probabilities of the windows that contain the moment; 0 if none does."""
        length, before_s = frames.shape[2], self.margin_samples / SAMPLE_RATE
        moments = max(2, round(length * WINDOW_S / self.seconds))
        at_s = WINDOW_S * (np.arange(moments) + 0.5) / moments
        reach_s = before_s if self.overlaps else 0.0
        total = np.zeros((*frames.shape[:2], moments), dtype=frames.dtype)
        count = np.zeros((len(frames), 1, moments), dtype=frames.dtype)
        for later in range(1 - WINDOWS_PER_SOUNDSCAPE, WINDOWS_PER_SOUNDSCAPE):  # the window so many after the row's
            inside_s = at_s - self.shift_s - WINDOW_S * later  # since the five seconds in its middle began
            there = np.flatnonzero((inside_s >= -reach_s) & (inside_s < WINDOW_S + reach_s))
            if len(there):
                place = np.floor((inside_s[there] + before_s) / self.seconds * length).astype(int)
                rows = slice(max(0, -later), WINDOWS_PER_SOUNDSCAPE - max(0, later))
                windows = slice(max(0, later), WINDOWS_PER_SOUNDSCAPE - max(0, -later))
                total[rows, :, there] += frames[windows][:, :, np.minimum(place, length - 1)]
                count[rows, :, there] += 1
        return total / np.maximum(count, 1)


def _row_weights(shift_s: float) -> np.ndarray:
    """(12 rows, 12 windows) the share of a row that lies in the middle of each window; each row's sum is one."""
    starts_s = WINDOW_S * np.arange(WINDOWS_PER_SOUNDSCAPE)
    shared_s = WINDOW_S - abs(starts_s + shift_s - starts_s[:, None])
    shares = np.maximum(shared_s, 0).astype(np.float32)
    return shares / shares.sum(axis=1, keepdims=True)
