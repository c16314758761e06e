"""Crops of recordings: their start, their samples where the recording is too short, and the loudest stretch."""

from dataclasses import dataclass

import numpy as np

from lib.competition.row_ids import SAMPLE_RATE
from lib.core.errors import BadInput

_TENTH = SAMPLE_RATE // 10
_KINDS = ("random", "centre", "energy")


@dataclass(frozen=True)
class CropSettings:
    """Length of crops and their position in a clip; crops of labelled soundscapes lie on their windows."""

    seconds: int = 5
    kind: str = "random"  # or "centre", or "energy": at the loudest stretch
    jitter_s: float = 1.0  # an energy crop starts up to so much earlier or later

    def __post_init__(self):
        """Refuse an unknown kind, a length under a second and negative jitter."""
        if self.kind not in _KINDS or self.seconds < 1 or self.jitter_s < 0:
            raise BadInput(
                "crop settings",
                expected=f"one of {_KINDS}, at least a second, no negative jitter",
                got=self,
                do=f"set kind to one of {_KINDS}, seconds to 1 or more and jitter_s to 0 or more",
            )

    @property
    def samples(self) -> int:
        """The length of a crop, without any context."""
        return self.seconds * SAMPLE_RATE


def energy_by_tenth(audio: np.ndarray) -> np.ndarray:
    """(tenths,) float32 the energy of each tenth of a second, the last perhaps shorter: the input of energy crops."""
    whole = len(audio) // _TENTH
    tenths = np.asarray(audio[: whole * _TENTH], dtype=np.float32).reshape(whole, _TENTH)
    rest = np.asarray(audio[whole * _TENTH :], dtype=np.float32)
    return np.append(np.einsum("ij,ij->i", tenths, tenths), rest @ rest).astype(np.float32)


def crop_start(
    length: int, samples: int, settings: CropSettings, rng: np.random.Generator, tenths: np.ndarray | None = None
) -> int:
    """The first sample of a crop of `samples` in audio of `length`; where that is shorter, the phase of its repetition.

    Energy crops need the `tenths` of `energy_by_tenth`; a centre crop draws no random number.
    """
    last = length - samples
    if settings.kind == "centre":
        return max(0, last // 2)
    if last < 0:
        return int(rng.integers(length))
    if settings.kind == "random":
        return int(rng.integers(last + 1))
    if tenths is None:
        raise BadInput(
            "an energy crop", expected="the energy of each tenth", got=None, do="pass energy_by_tenth(audio) as tenths"
        )
    jitter = rng.uniform(-settings.jitter_s, settings.jitter_s) * SAMPLE_RATE
    return int(np.clip(_loudest_tenth(tenths, samples) * _TENTH + jitter, 0, last))


def cut(audio: np.ndarray, start: int, samples: int) -> np.ndarray:
    """(samples,) of the audio from `start`; shorter audio is repeated, beginning at that phase."""
    if len(audio) >= samples:
        return audio[start : start + samples]
    return np.resize(np.roll(audio, -start), samples)


def cut_with_reflection(audio: np.ndarray, start: int, samples: int) -> np.ndarray:
    """(samples,) of the audio from `start`; before its beginning and beyond its end the audio is reflected.

    The spectrograms of a whole file do the same at its two ends.
    """
    if start >= 0 and start + samples <= len(audio):
        return audio[start : start + samples]
    period = 2 * (len(audio) - 1)
    position = np.arange(start, start + samples) % period
    return audio[np.minimum(position, period - position)]


def loudest_start(audio: np.ndarray, samples: int) -> int:
    """The first sample, to a tenth of a second, of the stretch of `samples` with most energy."""
    if len(audio) <= samples:
        return 0
    tenths = np.add.reduceat(np.square(audio), np.arange(0, len(audio), _TENTH))
    return min(_loudest_tenth(tenths, samples) * _TENTH, len(audio) - samples)


def _loudest_tenth(tenths: np.ndarray, samples: int) -> int:
    """The tenth of a second at which the stretch of `samples` with most energy begins."""
    stretch = np.ones(min(len(tenths), max(1, samples // _TENTH)))
    return int(np.convolve(tenths, stretch, mode="valid").argmax())


def loudest_stretch(audio: np.ndarray, seconds: float) -> np.ndarray:
    """The loudest stretch of `seconds`; shorter audio is returned whole."""
    samples = int(seconds * SAMPLE_RATE)
    start = loudest_start(audio, samples)
    return audio[start : start + samples]
