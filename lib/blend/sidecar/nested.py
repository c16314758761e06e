"""A recipe with a sidecar, and its variants without each fold's labels: each has a gate of its own.

A gate is fitted on just those labels that its recipe was fitted on, so a fold's labels open no gate that they judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lib.blend.evaluate import evaluate
from lib.blend.recipe import Recipe, Step
from lib.blend.search.nested import labels_without_each_fold, nested_scores
from lib.blend.sidecar.apply import SidecarSettings
from lib.blend.sidecar.gate import Gate, SidecarGateSettings, fit_gate
from lib.competition.scores import Labels, Scores
from lib.core.records import to_json
from lib.judge.metric import judge


@dataclass(frozen=True, eq=False)
class NestedSidecar:
    """A recipe with its sidecar, its variants, the variants' gates, and the scores by the variants."""

    recipe: Recipe
    by_fold: dict[int, Recipe]
    gates: dict[int, Gate]
    nested: Scores


def nested_sidecar(
    recipe: Recipe,
    by_fold: Mapping[int, Recipe],
    member: str,
    parts: Mapping[str, Scores],
    labels: Labels,
    settings: SidecarSettings,
    gate: SidecarGateSettings | None = None,
) -> NestedSidecar:
    """The recipe and its variants with that member as a sidecar of their last mix."""
    variants, gates = {}, {}
    for fold, seen in labels_without_each_fold(labels).items():
        gates[fold] = _fit(by_fold[fold], member, parts, seen, settings, gate)
        variants[fold] = with_sidecar(by_fold[fold], member, gates[fold].weights, settings)
    whole = with_sidecar(recipe, member, _fit(recipe, member, parts, labels, settings, gate).weights, settings)
    whole = replace(whole, searched_score=judge(labels, evaluate(whole, parts, labels)).macro)
    return NestedSidecar(whole, variants, gates, nested_scores(variants, parts, labels))


def with_sidecar(recipe: Recipe, member: str, weights: Mapping[str, float], settings: SidecarSettings) -> Recipe:
    """The recipe with the member as a sidecar of its last mix; unchanged where no class has a weight."""
    if not weights:
        return recipe
    *before, last = recipe.mixes
    step = Step("sidecar", {"member": member, "gate": dict(weights), "settings": to_json(settings)})
    return replace(recipe, mixes=[*before, replace(last, steps=[*last.steps, step])])


def _fit(
    recipe: Recipe,
    member: str,
    parts: Mapping[str, Scores],
    labels: Labels,
    settings: SidecarSettings,
    gate: SidecarGateSettings | None,
) -> Gate:
    """The gate of the member beside this recipe, fitted on these labels."""
    return fit_gate(labels, evaluate(recipe, parts, labels), parts[member], settings, gate)
