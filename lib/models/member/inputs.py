"""The inputs that members compute from one soundscape, each computed once and shared by all members that need it."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from lib.competition.row_ids import Soundscape
from lib.sound.decode import soundscape_windows

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(eq=False)
class SoundscapeInputs:
    """One soundscape, scored by one thread: its parsed name, and its decoded audio (None where only the name is known).

    The name of a recording that is not the contest's has no site and hour: it is None, and members that need them
    cannot score it.
    """

    soundscape: Soundscape | None
    audio: np.ndarray | None
    _computed: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def require_soundscape(self) -> Soundscape:
        """The parsed name, for members that cannot do without."""
        assert self.soundscape is not None, "a member that needs site and hour was given a recording without a name"
        return self.soundscape

    def require_audio(self) -> np.ndarray:
        """The decoded audio, for members that cannot do without."""
        assert self.audio is not None, "a member that needs audio was given a name alone"
        return self.audio

    def get_or_compute(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """The value of the key, computed at the first call and kept for later ones."""
        if key not in self._computed:
            self._computed[key] = compute()
        return self._computed[key]

    def get_or_compute_all(
        self, name: str, keys: Sequence[Key], compute: Callable[[list[Key]], list[Value]]
    ) -> list[Value]:
        """The values of the keys; those not computed before are computed in one call."""

        def compute_missing() -> list[Value]:
            missing = [key for key in keys if (name, key) not in self._computed]
            self._computed |= {(name, key): value for key, value in zip(missing, compute(missing), strict=True)}
            return [self._computed[name, key] for key in keys]

        return self.get_or_compute((name, tuple(keys)), compute_missing)

    def windows(self) -> np.ndarray:
        """(12, 160000) the windows, cut from the audio."""
        return self.get_or_compute("windows", lambda: soundscape_windows(self.require_audio()))
