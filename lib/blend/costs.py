"""What a soundscape costs: each member's own seconds, and those of shared computations, spent once for all users."""

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from lib.blend.recipe import RecipeMember


@dataclass(frozen=True)
class Costs:
    """Seconds a soundscape on one thread; `needed_by` maps each shared computation to the members that need it."""

    own: Mapping[str, float]
    shared: Mapping[Hashable, float] = field(default_factory=dict)
    needed_by: Mapping[Hashable, frozenset[str]] = field(default_factory=dict)
    decoding: float = 0.0

    def total(self, members: Collection[str]) -> float:
        """Seconds a soundscape when these members run, shared computations counted once."""
        shared = sum(each for key, each in self.shared.items() if not self.needed_by[key].isdisjoint(members))
        return self.decoding + sum(self.own.get(name, 0.0) for name in sorted(members)) + shared

    def apart(self, member: str) -> tuple[float, float, list[str]]:
        """A member's own seconds, those it shares, and whom with; what no other member needs is its own."""
        own, shared, others = self.own.get(member, 0.0), 0.0, set[str]()
        for key, seconds in self.shared.items():
            users = self.needed_by[key]
            if users == {member}:
                own += seconds
            elif member in users:
                shared, others = shared + seconds, others | users - {member}
        return own, shared, sorted(others)


def planned_costs(members: Iterable[RecipeMember]) -> Costs:
    """The costs in the recipe, as measured where the members were made."""
    members = list(members)
    users = {
        key: [member for member in members if key in member.shared]
        for key in sorted({key for member in members for key in member.shared})
    }
    return Costs(
        own={member.name: member.seconds_per_soundscape for member in members},
        shared={key: max(member.shared[key] for member in by) for key, by in users.items()},
        needed_by={key: frozenset(member.name for member in by) for key, by in users.items()},
    )


def seconds_together(members: Iterable[RecipeMember]) -> float:
    """Seconds a soundscape when these members run: a member alone costs its own and its embedder's."""
    members = list(members)
    return planned_costs(members).total({member.name for member in members})


def shared_name(key: Hashable) -> str:
    """The readable name of a shared computation: the first element of its key."""
    return str(key[0] if isinstance(key, tuple) else key)
