"""The audio window that a network gets for a row, and the probabilities that its outputs stand for.

Training, export and submission all come through here, so that none of them can mean something else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES, WINDOW_S, WINDOW_SAMPLES
from lib.core.errors import BadInput
from lib.models.member.averaging import average_probabilities
from lib.sound.decode import fit_length
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import soundscape_spectrograms


@dataclass(frozen=True)
class WindowSpec:
    """A network's input for a row: so many seconds with the row's five in their middle."""

    seconds: float = 5.0

    def __post_init__(self):
        if self.seconds < WINDOW_S:
            raise BadInput(
                "a network's window is shorter than a row",
                expected=f"at least {WINDOW_S} seconds",
                got=self.seconds,
                do="set seconds to 5, 10 or 20",
            )

    @property
    def samples(self) -> int:
        """The samples of a window."""
        return round(self.seconds * SAMPLE_RATE)

    @property
    def margin_samples(self) -> int:
        """The samples before the row, and as many after it."""
        return (self.samples - WINDOW_SAMPLES) // 2

    def spectrograms(self, audio: np.ndarray, front_end: FrontEnd, shifts_samples: Sequence[int] = (0,)) -> np.ndarray:
        """(12 for each shift, 1, mels, frames) mel spectrograms of a soundscape, mirrored beyond its ends.

        A shift lets all windows begin so much later; shifts of whole hops have frames in common, computed once.
        """
        largest = max(abs(shift) for shift in shifts_samples)
        padded = np.pad(fit_length(audio, SOUNDSCAPE_SAMPLES), self.margin_samples + largest, mode="reflect")
        firsts = range(largest, largest + SOUNDSCAPE_SAMPLES, WINDOW_SAMPLES)
        starts = [first + shift for shift in shifts_samples for first in firsts]
        return soundscape_spectrograms(padded, front_end, np.array(starts), self.samples)[:, None]

    def row_frames(self, frames: int) -> tuple[int, int]:
        """The first of so many frames that lies in the row, and the first after it."""
        share = self.margin_samples / self.samples
        return int(np.floor(share * frames)), int(np.ceil((1 - share) * frames))

    def probabilities(self, clip_logits: np.ndarray, frame_logits: np.ndarray) -> np.ndarray:
        """(rows, classes) of clip (rows, classes) and frame logits (rows, classes, frames): mean of clip and peak."""
        row = frame_logits[:, :, slice(*self.row_frames(frame_logits.shape[2]))]
        return 0.5 * expit(clip_logits) + 0.5 * expit(row.max(axis=2))


NetworkCall = Callable[[np.ndarray], Sequence[np.ndarray]]  # spectrograms -> clip logits, frame logits


def mean_probabilities(
    spectrograms: np.ndarray, window_spec: WindowSpec, networks: Sequence[NetworkCall]
) -> np.ndarray:
    """(rows, classes) the mean over networks, each of which turns spectrograms into clip and frame logits."""
    tables = [window_spec.probabilities(*network(spectrograms)) for network in networks]
    return average_probabilities("network", tables)
