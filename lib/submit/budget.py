"""Time budget: a clock by stage, and the plan of which members the ninety minutes allow."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lib.blend.costs import Costs, shared_name
from lib.blend.recipe import RecipeMember

CONTEST_SOUNDSCAPES = 600
BUDGET_MINUTES = 90.0
TARGET_MINUTES = 75.0  # when a plan made at the start should end
GUARD_MINUTES = 85.0  # when nothing new is started any more; the rest is for blending and writing


@dataclass
class Clock:
    """Seconds by stage, in order of execution; `now` is a monotonic clock."""

    stages: dict[str, float] = field(default_factory=dict)
    now: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        self._start = self.now()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block, store its seconds under the name and print them."""
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
        """Minutes in which work may still be started or waited for; 0 after the guard."""
        return max(0.0, GUARD_MINUTES - self.minutes)

    def projected_minutes(self, per_soundscape_s: float, scaled_stage: str) -> float:
        """Minutes for the contest's test set: `scaled_stage` at this rate a soundscape, the other stages unchanged."""
        fixed = sum(seconds for name, seconds in self.stages.items() if name != scaled_stage)
        return (fixed + per_soundscape_s * CONTEST_SOUNDSCAPES) / 60.0


# The remaining work may take this much longer than estimated and still end before the guard: at the start this means
# to end at the target, and every minute that went as estimated makes it easier to keep.
_SLACK = GUARD_MINUTES / TARGET_MINUTES
_PRIOR_LOSS = 0.3  # of the score where all soundscapes were left to the prior, about: members' 0.9 against 0.6
_FEW = 0.05  # of the soundscapes, which may be left to the prior instead of a member's scores of all


@dataclass(frozen=True)
class Plan:
    """The members that are kept, those that are dropped, and the minute of the run at which scoring should end."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    end_minutes: float


def make_plan(
    members: Sequence[RecipeMember],
    costs: Costs,
    *,
    soundscapes: int,
    workers: int,
    minutes: float = 0.0,
    of: int | None = None,
) -> Plan:
    """The plan for this many remaining soundscapes, `of` all, when `minutes` of the run are gone.

    Optional members with the least value per second saved are dropped until the rest fits, unless that costs more
    than the few soundscapes that would be left to the prior: a member is dropped for all rows.
    """
    optional = {member.name: member.value for member in members if not member.required}
    dropped: list[str] = []
    all_soundscapes = of or soundscapes

    def remaining(names: Iterable[str]) -> float:
        return soundscapes * costs.total(set(names)) / workers / 60.0

    def late_share(names: Iterable[str]) -> float:
        """The share of all soundscapes that would not be scored in time."""
        work = _SLACK * remaining(names)
        late = 1 - max(0.0, GUARD_MINUTES - minutes) / work if work else 0.0
        return max(0.0, late) * soundscapes / all_soundscapes

    def lost(names: set[str]) -> float:
        return sum(optional[name] for name in dropped if name not in names) + _PRIOR_LOSS * late_share(names)

    choices = [{member.name for member in members}]
    while late_share(choices[-1]) and (candidates := _droppable(choices[-1], optional, costs)):
        kept = choices[-1]
        cheapest = min(candidates, key=lambda names: (_value_per_s(names, kept, optional, costs), sorted(names)))
        choices.append(kept - cheapest)
        dropped += sorted(cheapest)
    few = [names for names in choices if late_share(names) <= _FEW]
    kept = min(few, key=lost) if few else choices[-1]
    for name in reversed(dropped):  # the last one dropped is worth most; an earlier one may fit after all
        kept |= {name} if not late_share(kept | {name}) else set()
    return Plan(
        tuple(member.name for member in members if member.name in kept),
        tuple(name for name in dropped if name not in kept),
        minutes + remaining(kept),
    )


def _droppable(kept: set[str], optional: dict[str, float], costs: Costs) -> list[frozenset[str]]:
    """Sets of optional members whose removal saves time: each alone, or all users of a shared computation together."""
    together = {frozenset(names & kept) for names in costs.needed_by.values()}
    candidates = {frozenset([name]) for name in kept} | together
    return [names for names in candidates if names and names <= set(optional) and _saved_s(names, kept, costs) > 0]


def _saved_s(names: Iterable[str], kept: set[str], costs: Costs) -> float:
    return costs.total(kept) - costs.total(kept - set(names))


def _value_per_s(names: Iterable[str], kept: set[str], optional: dict[str, float], costs: Costs) -> float:
    return sum(optional[name] for name in names) / _saved_s(names, kept, costs)


def plan_table(
    members: Sequence[RecipeMember], costs: Costs, plan: Plan, workers: int, soundscapes: int = CONTEST_SOUNDSCAPES
) -> pd.DataFrame:
    """One row a member and a shared computation: its role, seconds, minutes, value, and whether the plan keeps it."""
    rows: list[tuple[str, str, float | None, float | None, float | None, bool]] = []
    for member in members:
        saved_s = _saved_s([member.name], set(plan.kept) | {member.name}, costs)
        rate = member.value / saved_s if saved_s > 0 and not member.required else None
        role = "required" if member.required else "optional"
        rows.append((member.name, role, costs.own.get(member.name), member.value, rate, member.name in plan.kept))
    for key, seconds in costs.shared.items():
        users = costs.needed_by[key]
        name = f"{shared_name(key)}, for {_count(users)}"
        rows.append((name, "shared", seconds, None, None, not users.isdisjoint(plan.kept)))
    rows.append(("decoding", "shared", costs.decoding or None, None, None, True))  # the recipe plans none
    table = pd.DataFrame(rows, columns=["item", "role", "s per soundscape", "value", "value per s", "plan"])
    table["plan"] = np.where(table.plan, "kept", "dropped")
    table.insert(3, f"minutes for {soundscapes}", table["s per soundscape"] * soundscapes / workers / 60.0)
    return table


def _count(members: Collection[str]) -> str:
    return "1 member" if len(members) == 1 else f"{len(members)} members"
