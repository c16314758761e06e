"""Members as a recipe holds them: what each costs alone and shares with others, whether it is used, and its weight."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from lib.blend.recipe import Recipe, RecipeMember
from lib.core.records import check_seal
from lib.models.member.card import MemberCard


def recipe_member(card: MemberCard, folder: Path) -> RecipeMember:
    """The recipe's entry for a member's card and folder; heads on one embedder share the embedder's seconds."""
    return RecipeMember(card.name, check_seal(folder), card.measured.own_seconds, card.measured.shared_seconds)


def drop_unused_members(recipe: Recipe, values: dict[str, float], required: Collection[str]) -> Recipe:
    """The recipe with only those members that its result depends on or that are required, each with its value.

    Members that only a fold's variant depends on go to `fold_only_members`.
    """
    needed = {*required, *used_members(recipe)}
    needed_by_folds = set().union(*(used_members(recipe.for_fold(fold)) for fold in recipe.by_fold))
    unused = [member for member in recipe.members if member.name not in needed]
    fold_only = [member for member in unused if member.name in needed_by_folds]
    less = recipe.without([member.name for member in unused])
    members = [
        replace(member, required=member.name in required, value=values.get(member.name, 0.0)) for member in less.members
    ]
    by_fold = recipe.without([member.name for member in unused if member not in fold_only]).by_fold
    return replace(less, members=members, by_fold=by_fold, fold_only_members=[*less.fold_only_members, *fold_only])


def used_members(recipe: Recipe) -> set[str]:
    """The members with a weight in any mix or class, or whose scores a step reads."""
    steps = [step for each in recipe.mixes for step in [*each.steps, *(s for part in each.parts for s in part.steps)]]
    read = {value for step in steps for name, value in step.parameters.items() if name.startswith("member")}
    each_weights = [recipe.weights, *(recipe.weights_for(label) for label in recipe.weighted_classes)]
    weighted = {name for weights in each_weights for name, weight in weights.items() if weight > 0}
    return (weighted | read) & {member.name for member in recipe.members}


def mean_weights(recipe: Recipe, classes: Collection[str]) -> dict[str, float]:
    """Each member's weight in the mean over all classes; without sidecars."""
    own = [recipe.weights_for(label) for label in recipe.weighted_classes]
    rest = len(classes) - len(own)
    return {
        name: (rest * weight + sum(weights[name] for weights in own)) / len(classes)
        for name, weight in recipe.weights.items()
    }


def class_weight_range(recipe: Recipe, member: str) -> str:
    """In words how a member's weight varies over the classes that have their own; empty where none has."""
    own = [recipe.weights_for(label)[member] for label in recipe.weighted_classes]
    if not own:
        return ""
    return f"{min(own):.2f} to {max(own):.2f} in {len(own)} class{'' if len(own) == 1 else 'es'}"
