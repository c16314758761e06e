"""The clock: how long each stage took, how much of the ninety minutes is gone, and what that means for 600 files."""

import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lib.blend.recipe import Ingredient

CONTEST_SOUNDSCAPES = 600
BUDGET_MINUTES = 90.0
TARGET_MINUTES = 75.0  # when a plan made at the start should end
GUARD_MINUTES = 85.0  # when nothing new is started any more; the rest is for blending and writing


@dataclass
class Clock:
    """Seconds by stage, in order; `now` is a clock that only moves on."""

    stages: dict[str, float] = field(default_factory=dict)
    now: Callable[[], float] = time.perf_counter

    def __post_init__(self):
        self._start = self.now()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside, and say so when it ends."""
        start = self.now()
        yield
        self.stages[name] = self.now() - start
        print(f"{name}: {self.stages[name]:.1f} s", flush=True)

    @property
    def minutes(self) -> float:
        """Minutes since the clock was made."""
        return (self.now() - self._start) / 60.0

    @property
    def minutes_left(self) -> float:
        """Minutes in which work may still be started, or waited for; none once the guard has come."""
        return max(0.0, GUARD_MINUTES - self.minutes)

    def projected_minutes(self, per_soundscape_s: float, scaled: str) -> float:
        """Minutes for the contest's test set: the stage `scaled` at its rate a soundscape, the others as they were."""
        fixed = sum(seconds for name, seconds in self.stages.items() if name != scaled)
        return (fixed + per_soundscape_s * CONTEST_SOUNDSCAPES) / 60.0


@dataclass(frozen=True)
class Costs:
    """Seconds a soundscape on one thread; `needed_by` says which members wait for what is shared."""

    own: Mapping[str, float]
    shared: Mapping[Hashable, float] = field(default_factory=dict)
    needed_by: Mapping[Hashable, frozenset[str]] = field(default_factory=dict)
    decoding: float = 0.0

    def of(self, members: Collection[str]) -> float:
        """Seconds a soundscape when these members hear it."""
        shared = sum(each for thing, each in self.shared.items() if not self.needed_by[thing].isdisjoint(members))
        return self.decoding + sum(self.own.get(name, 0.0) for name in sorted(members)) + shared


def planned_costs(members: Iterable[Ingredient]) -> Costs:
    """What the recipe says, as measured where the members were made."""
    members = list(members)
    needed_by = {
        thing: [member for member in members if thing in member.shared]
        for thing in sorted({thing for member in members for thing in member.shared})
    }
    return Costs(
        own={member.name: member.seconds_per_soundscape for member in members},
        shared={thing: max(member.shared[thing] for member in by) for thing, by in needed_by.items()},
        needed_by={thing: frozenset(member.name for member in by) for thing, by in needed_by.items()},
    )


def thing_name(key: Hashable) -> str:
    """What people call a shared thing: the first word of its key."""
    return str(key[0] if isinstance(key, tuple) else key)


# What is still to be done may take this much longer than foreseen and yet end before the guard: at the start this
# means to end at the target, and every minute that went as foreseen makes it easier to keep.
_SLACK = GUARD_MINUTES / TARGET_MINUTES


@dataclass(frozen=True)
class Plan:
    """Who is heard, who is not, and the minute at which listening should end, counted from the start of the run."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    end_minutes: float


def make_plan(
    members: Sequence[Ingredient], costs: Costs, *, soundscapes: int, workers: int, minutes: float = 0.0
) -> Plan:
    """The plan for so many soundscapes still to come, when so many minutes are gone."""
    optional = {member.name: member.value for member in members if not member.required}
    kept, dropped = {member.name for member in members}, []

    def left(names: Iterable[str]) -> float:
        return soundscapes * costs.of(set(names)) / workers / 60.0

    def fits(names: Iterable[str]) -> bool:
        return minutes + _SLACK * left(names) <= GUARD_MINUTES

    while not fits(kept) and (choices := _choices(kept, optional, costs)):
        gone = min(choices, key=lambda names: (_worth(names, kept, optional, costs), sorted(names)))
        kept, dropped = kept - gone, [*dropped, *sorted(gone)]
    for name in reversed(dropped):  # the last to go was worth most; what went before it may fit after all
        kept |= {name} if fits(kept | {name}) else set()
    return Plan(
        tuple(member.name for member in members if member.name in kept),
        tuple(name for name in dropped if name not in kept),
        minutes + left(kept),
    )


def _choices(kept: set[str], optional: dict[str, float], costs: Costs) -> list[frozenset[str]]:
    """Who could go and save time: each alone, or all together who need a shared thing, which only then goes too."""
    together = {frozenset(names & kept) for names in costs.needed_by.values()}
    choices = {frozenset([name]) for name in kept} | together
    return [names for names in choices if names and names <= set(optional) and _saved_s(names, kept, costs) > 0]


def _saved_s(names: Iterable[str], kept: set[str], costs: Costs) -> float:
    return costs.of(kept) - costs.of(kept - set(names))


def _worth(names: Iterable[str], kept: set[str], optional: dict[str, float], costs: Costs) -> float:
    """Score by second."""
    return sum(optional[name] for name in names) / _saved_s(names, kept, costs)


def plan_table(
    members: Sequence[Ingredient], costs: Costs, plan: Plan, workers: int, soundscapes: int = CONTEST_SOUNDSCAPES
) -> pd.DataFrame:
    """One row a member and a shared thing: its seconds, its minutes for so many soundscapes, its worth, its fate."""
    rows = []
    for member in members:
        saved_s = _saved_s([member.name], set(plan.kept) | {member.name}, costs)
        worth = member.value / saved_s if saved_s > 0 and not member.required else None
        role = "required" if member.required else "optional"
        rows.append((member.name, role, costs.own.get(member.name), member.value, worth, member.name in plan.kept))
    for thing, seconds in costs.shared.items():
        wanted = costs.needed_by[thing]
        name = f"{thing_name(thing)}, for {_count(wanted)}"
        rows.append((name, "shared", seconds, None, None, not wanted.isdisjoint(plan.kept)))
    rows.append(("decoding", "shared", costs.decoding, None, None, True))
    table = pd.DataFrame(rows, columns=["what", "role", "s per soundscape", "value", "value per s", "plan"])
    table["plan"] = np.where(table.plan, "kept", "dropped")
    table.insert(3, f"minutes for {soundscapes}", table["s per soundscape"] * soundscapes / workers / 60.0)
    return table


def _count(members: Collection[str]) -> str:
    return "1 member" if len(members) == 1 else f"{len(members)} members"
