"""Seconds by member and soundscape, measured inside the tasks, so that whatever slows a thread down is included."""

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from lib.blend.costs import Costs
from lib.models.member.inputs import SoundscapeInputs, Value

_LAST = 32  # soundscapes whose median is today's pace: a stall is forgotten, a slower machine is noticed after sixteen


@dataclass(eq=False)
class SoundscapeSeconds:
    """The seconds of one soundscape: each member's own, those of shared computations, and who uses these."""

    decoding: float = 0.0
    own: dict[str, float] = field(default_factory=dict)
    shared: dict[Hashable, float] = field(default_factory=dict)
    requested_by: dict[Hashable, set[str]] = field(default_factory=dict)
    sessions: float = 0.0  # inside inference sessions, which is part of the others


@dataclass(eq=False)
class TimedInputs(SoundscapeInputs):
    """A soundscape's inputs that record what each member spent by itself and what shared computations took."""

    now: Callable[[], float] = field(kw_only=True)
    seconds: SoundscapeSeconds = field(kw_only=True)
    _member: str = ""
    _computing: bool = False

    def time_member(self, name: str, score: Callable[[SoundscapeInputs], np.ndarray]) -> np.ndarray:
        """The member's table; computing what it shares with others is not counted as its own time."""
        self._member, start, shared = name, self.now(), sum(self.seconds.shared.values())
        try:
            return score(self)
        finally:
            own = self.now() - start - (sum(self.seconds.shared.values()) - shared)
            self.seconds.own[name] = self.seconds.own.get(name, 0.0) + own

    def get_or_compute(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """As `SoundscapeInputs` does; anything computed on the way counts towards this key."""
        if self._computing:
            return super().get_or_compute(key, make)
        self.seconds.requested_by.setdefault(key, set()).add(self._member)
        self._computing, start = True, self.now()
        try:
            return super().get_or_compute(key, make)
        finally:
            self._computing = False
            self.seconds.shared[key] = self.seconds.shared.get(key, 0.0) + self.now() - start


class Meter:
    """Measured costs of soundscapes: of the last ones, for the plan, and over the whole run, for the receipt."""

    def __init__(self) -> None:
        self.soundscapes = 0
        self.sessions_s = 0.0
        self._last: deque[SoundscapeSeconds] = deque(maxlen=_LAST)
        self._sums: dict[Hashable, tuple[float, int]] = {}
        self._users: dict[Hashable, set[str]] = {}  # of each shared computation

    def add(self, spent: SoundscapeSeconds) -> None:
        """Add one soundscape."""
        self.soundscapes += 1
        self.sessions_s += spent.sessions
        self._last.append(spent)
        for key in spent.shared:
            self._users.setdefault(key, set()).update(spent.requested_by.get(key, ()))
        each: list[tuple[Hashable, float]] = [("decoding", spent.decoding), *spent.own.items(), *spent.shared.items()]
        for name, seconds in each:
            total, times = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + seconds, times + 1

    def costs(self) -> Costs:
        """The medians of the last soundscapes."""
        keys = {key: None for spent in self._last for key in spent.shared}
        return Costs(
            own=_medians([spent.own for spent in self._last]),
            shared=_medians([spent.shared for spent in self._last]),
            needed_by={
                key: frozenset(name for spent in self._last for name in spent.requested_by.get(key, ())) for key in keys
            },
            decoding=median(spent.decoding for spent in self._last) if self._last else 0.0,
        )

    def mean_costs(self) -> Costs:
        """The means over the run, of each member and shared computation over the soundscapes that used it."""
        means = {key: total / times for key, (total, times) in self._sums.items()}
        return Costs(
            own={str(key): mean for key, mean in means.items() if key not in self._users and key != "decoding"},
            shared={key: means[key] for key in self._users},
            needed_by={key: frozenset(users) for key, users in self._users.items()},
            decoding=means.get("decoding", 0.0),
        )

    def busy_s(self) -> float:
        """Seconds that all threads together spent on scored soundscapes."""
        return sum(total for total, _ in self._sums.values())


def _medians(each: list[dict]) -> Mapping:
    """The median by key, over the dictionaries that have it."""
    keys = {key: None for one in each for key in one}
    return {key: median(one[key] for one in each if key in one) for key in keys}
