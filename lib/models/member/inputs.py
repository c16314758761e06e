"""A soundscape as the members hear it: what one of them makes of the sound, the others need not make again."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from lib.competition.row_ids import Soundscape
from lib.sound.decode import soundscape_windows

Value = TypeVar("Made")


@dataclass(eq=False)
class SoundscapeInputs:
    """One soundscape, heard by one thread: its name, its decoded audio (None where only the name is known).

    The name of a recording that is not the contest's tells nothing: None, and members that need one cannot hear it.
    """

    soundscape: Soundscape | None
    audio: np.ndarray | None
    _made: dict[Hashable, object] = field(default_factory=dict, repr=False)

    def get_or_compute(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What `make` gives, made when the key is first asked for and kept for whoever asks next."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def get_or_compute_all(
        self, name: str, keys: Sequence[Hashable], make: Callable[[list[Hashable]], list[Value]]
    ) -> list[Value]:
        """The things of these keys; those that nobody asked for before, `make` gives together."""

        def together() -> list[Value]:
            missing = [key for key in keys if (name, key) not in self._made]
            self._made |= {(name, key): thing for key, thing in zip(missing, make(missing), strict=True)}
            return [self._made[name, key] for key in keys]

        return self.get_or_compute((name, tuple(keys)), together)

    def windows(self) -> np.ndarray:
        """(12, 160000) the windows, cut from the audio."""
        return self.get_or_compute("windows", lambda: soundscape_windows(self.audio))
