"""How a network is asked about a soundscape: which sound it sees for each row, and what its answer means.

Training, export and submission all come through here, so that none of them can mean something else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from lib.competition.row_ids import (
    SAMPLE_RATE,
    SOUNDSCAPE_SAMPLES,
    WINDOW_S,
    WINDOW_SAMPLES,
)
from lib.core.errors import BadInput
from lib.sound.decode import fit_length
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import soundscape_spectrograms


@dataclass(frozen=True)
class WindowSpec:
    """The sound that a network sees for a row: so many seconds with the row's five in their middle."""

    seconds: float = 5.0

    def __post_init__(self):
        if self.seconds < WINDOW_S:
            raise BadInput(
                "a network sees less than a row",
                expected=f"at least {WINDOW_S} seconds",
                got=self.seconds,
                do="set seconds to 5, 10 or 20",
            )

    @property
    def samples(self) -> int:
        """The samples a network sees."""
        return round(self.seconds * SAMPLE_RATE)

    @property
    def margin_samples(self) -> int:
        """The samples before the row, and as many after it."""
        return (self.samples - WINDOW_SAMPLES) // 2

    def spectrograms(self, audio: np.ndarray, front_end: FrontEnd, shifts_samples: Sequence[int] = (0,)) -> np.ndarray:
        """(12 for each shift, 1, mels, frames) what the network sees of a soundscape, mirrored beyond its ends.

        A shift lets all windows begin so much later; shifts of whole hops have frames in common, made once.
        """
        further = max(abs(shift) for shift in shifts_samples)
        whole = np.pad(fit_length(audio, SOUNDSCAPE_SAMPLES), self.margin_samples + further, mode="reflect")
        firsts = range(further, further + SOUNDSCAPE_SAMPLES, WINDOW_SAMPLES)
        starts = [first + shift for shift in shifts_samples for first in firsts]
        return soundscape_spectrograms(whole, front_end, starts, self.samples)[:, None]

    def row_frames(self, frames: int) -> tuple[int, int]:
        """The first of so many frames that lies in the row, and the first after it."""
        share = self.margin_samples / self.samples
        return int(np.floor(share * frames)), int(np.ceil((1 - share) * frames))

    def probabilities(self, clip_logits: np.ndarray, frame_logits: np.ndarray) -> np.ndarray:
        """(rows, classes) of clip (rows, classes) and frame logits (rows, classes, frames): mean of clip and best."""
        row = frame_logits[:, :, slice(*self.row_frames(frame_logits.shape[2]))]
        return 0.5 * expit(clip_logits) + 0.5 * expit(row.max(axis=2))


NetworkCall = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def mean_probabilities(pictures: np.ndarray, window_spec: WindowSpec, networks: list[NetworkCall]) -> np.ndarray:
    """(rows, classes) the mean over networks, each of which turns pictures into clip and frame logits."""
    return np.mean([window_spec.probabilities(*network(pictures)) for network in networks], axis=0)
