"""Ingredients: members as a recipe names them, with what each costs alone and what it shares with others."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from lib.blend.recipe import Ingredient, Recipe
from lib.competition.records import check_seal
from lib.models.card import MemberCard


def ingredient(card: MemberCard, folder: Path) -> Ingredient:
    """The member of that card, as it lies in its folder; heads on one embedder share the seconds in which it hears."""
    seconds = card.config.get("seconds")
    if not seconds:
        return Ingredient(card.name, check_seal(folder), card.seconds_per_soundscape)
    shared = {card.config["embedder"]: seconds["embedder"]}
    return Ingredient(card.name, check_seal(folder), seconds["head"], shared)


def trimmed(recipe: Recipe, values: dict[str, float], required: Collection[str]) -> Recipe:
    """The recipe with those members only that its answer depends on, or that are required; each with its value."""
    idle = [member.name for member in recipe.members if member.name not in {*required, *used(recipe)}]
    kept = recipe.without(idle)
    members = [
        replace(member, required=member.name in required, value=values.get(member.name, 0.0)) for member in kept.members
    ]
    return replace(kept, members=members)


def used(recipe: Recipe) -> set[str]:
    """The members with a weight somewhere, or whom a step looks at."""
    steps = [step for made in recipe.mixes for step in [*made.steps, *(s for part in made.parts for s in part.steps)]]
    looked_at = {value for step in steps for name, value in step.parameters.items() if name.startswith("member")}
    weighed = {name for name, weight in recipe.weights.items() if weight > 0}
    for made in recipe.mixes:
        for weights in made.class_weights.values():
            weighed |= {part.name for part, weight in zip(made.parts, weights, strict=True) if weight > 0}
    return (weighed | looked_at) & {member.name for member in recipe.members}
