"""Ingredients: members as a recipe names them, with what each costs alone and what it shares with others."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from lib.blend.recipe import Recipe, RecipeMember
from lib.core.records import check_seal
from lib.models.member.card import MemberCard


def recipe_member(card: MemberCard, folder: Path) -> RecipeMember:
    """The member of that card, as it lies in its folder; heads on one embedder share the seconds in which it hears."""
    seconds = card.config.get("seconds")
    if not seconds:
        return RecipeMember(card.name, check_seal(folder), card.seconds_per_soundscape)
    shared = {card.config["embedder"]: seconds["embedder"]}
    return RecipeMember(card.name, check_seal(folder), seconds["head"], shared)


def drop_unused_members(recipe: Recipe, values: dict[str, float], required: Collection[str]) -> Recipe:
    """The recipe with those members only that its answer depends on, or that are required; each with its value.

    Those that it would depend on without some fold's labels are set aside.
    """
    wanted = {*required, *used_members(recipe)}
    blind = set().union(*(used_members(recipe.for_fold(fold)) for fold in recipe.by_fold))
    idle = [member for member in recipe.members if member.name not in wanted]
    aside = [member for member in idle if member.name in blind]
    less = recipe.without([member.name for member in idle])
    members = [
        replace(member, required=member.name in required, value=values.get(member.name, 0.0)) for member in less.members
    ]
    by_fold = recipe.without([member.name for member in idle if member not in aside]).by_fold
    return replace(less, members=members, by_fold=by_fold, fold_only_members=[*less.fold_only_members, *aside])


def used_members(recipe: Recipe) -> set[str]:
    """The members with a weight somewhere, or whom a step looks at."""
    steps = [step for made in recipe.mixes for step in [*made.steps, *(s for part in made.parts for s in part.steps)]]
    looked_at = {value for step in steps for name, value in step.parameters.items() if name.startswith("member")}
    weighed = {name for name, weight in recipe.weights.items() if weight > 0}
    for made in recipe.mixes:
        for weights in made.class_weights.values():
            weighed |= {part.name for part, weight in zip(made.parts, weights, strict=True) if weight > 0}
    return (weighed | looked_at) & {member.name for member in recipe.members}


def seconds_together(members: Iterable[RecipeMember]) -> float:
    """Seconds a soundscape that they take, what they share counted once."""
    members = list(members)
    shared = {name: seconds for member in members for name, seconds in member.shared.items()}
    return sum(member.seconds_per_soundscape for member in members) + sum(shared.values())
