"""The meter: seconds measured inside the tasks, so that whatever slows a thread down is in them."""

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from lib.models.member.inputs import SoundscapeInputs, Value
from lib.submit.budget import Costs, thing_name

_LAST = 32  # soundscapes whose median is today's pace: a stall is forgotten, a slower machine is noticed after sixteen


@dataclass(eq=False)
class Spent:
    """The seconds of one soundscape: each member's own, those of what is shared, and who asked for it."""

    decoding: float = 0.0
    own: dict[str, float] = field(default_factory=dict)
    shared: dict[Hashable, float] = field(default_factory=dict)
    asked_by: dict[Hashable, set[str]] = field(default_factory=dict)
    sessions: float = 0.0  # inside sessions, which is part of the others


@dataclass(eq=False)
class TimedInputs(SoundscapeInputs):
    """A hearing that notes what each member spent by itself, and what making shared things took."""

    now: Callable[[], float] = field(kw_only=True)
    spent: Spent = field(kw_only=True)
    _who: str = ""
    _making: bool = False

    def by(self, name: str, score: Callable[[SoundscapeInputs], np.ndarray]) -> np.ndarray:
        """The member's answer; making what it shares with others is not counted as its own time."""
        self._who, start, made = name, self.now(), sum(self.spent.shared.values())
        try:
            return score(self)
        finally:
            own = self.now() - start - (sum(self.spent.shared.values()) - made)
            self.spent.own[name] = self.spent.own.get(name, 0.0) + own

    def once(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """As any hearing does; what is made on the way counts as part of what it is made for."""
        if self._making:
            return super().once(key, make)
        self.spent.asked_by.setdefault(key, set()).add(self._who)
        self._making, start = True, self.now()
        try:
            return super().once(key, make)
        finally:
            self._making = False
            self.spent.shared[key] = self.spent.shared.get(key, 0.0) + self.now() - start


class Meter:
    """What soundscapes cost here: lately, for the plan, and over the whole run, for the receipt."""

    def __init__(self) -> None:
        self.soundscapes = 0
        self.sessions_s = 0.0
        self._last: deque[Spent] = deque(maxlen=_LAST)
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, spent: Spent) -> None:
        """Count one soundscape."""
        self.soundscapes += 1
        self.sessions_s += spent.sessions
        self._last.append(spent)
        named: dict[str, float] = {"decoding": spent.decoding, **spent.own}
        for key, seconds in spent.shared.items():
            named[thing_name(key)] = named.get(thing_name(key), 0.0) + seconds
        for name, seconds in named.items():
            total, times = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + seconds, times + 1

    def costs(self) -> Costs:
        """The medians of the last soundscapes."""
        keys = {key: None for spent in self._last for key in spent.shared}
        return Costs(
            own=_medians([spent.own for spent in self._last]),
            shared=_medians([spent.shared for spent in self._last]),
            needed_by={key: frozenset().union(*(spent.asked_by.get(key, ()) for spent in self._last)) for key in keys},
            decoding=median(spent.decoding for spent in self._last) if self._last else 0.0,
        )

    def means(self) -> dict[str, float]:
        """Seconds a soundscape over the run, of each member and shared thing where it was heard or made."""
        return {name: total / times for name, (total, times) in self._sums.items()}

    def busy_s(self) -> float:
        """Seconds that all threads together spent on soundscapes that were heard."""
        return sum(total for total, _ in self._sums.values())


def _medians(each: list[dict]) -> Mapping:
    """The median by key, over those that have it."""
    keys = {key: None for one in each for key in one}
    return {key: median(one[key] for one in each if key in one) for key in keys}
