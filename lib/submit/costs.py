"""What a soundscape costs: each member's own seconds, and the seconds of what is made once for several members."""

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from lib.blend.recipe import Ingredient


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
