"""Templates: a published blend in terms of roles; with a member for each role it becomes the mixes of a recipe.

A template fits class groups and a sidecar's gate on the labels it is given, so that mixes refitted without each fold's
rows have a nested score.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lib.blend.evaluate import evaluate
from lib.blend.recipe import Mix, Recipe, RecipeMember, Step
from lib.blend.sidecar.apply import SidecarSettings
from lib.blend.sidecar.gate import Gate, SidecarGateSettings, coverage_caps, fit_gate
from lib.blend.sidecar.nested import with_sidecar
from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.models.member.card import MemberCard


@dataclass(frozen=True)
class Role:
    """A place in a template; `keywords` are words of a member's card that make it fit, best first."""

    name: str
    description: str
    keywords: tuple[str, ...]
    required: bool = False


@dataclass(frozen=True, eq=False)
class TemplateInputs:
    """The inputs of a template: taxonomy, labels to fit on, out-of-fold scores by member."""

    taxonomy: pd.DataFrame  # in class order
    labels: Labels
    parts: Mapping[str, Scores]
    mapped: frozenset[str] = frozenset()  # the labels that the frozen embedder has an output for

    def taxon(self, *class_names: str) -> list[str]:
        """The labels of these taxa, in class order."""
        return self.taxonomy.primary_label[self.taxonomy.class_name.isin(class_names)].tolist()


Assignment = Mapping[str, str]  # role -> member


@dataclass(frozen=True)
class Sidecar:
    """A role that corrects a template's last mix: by a fitted gate, or, without one, by caps by coverage."""

    role: str
    settings: SidecarSettings
    gate: SidecarGateSettings | None


@dataclass(frozen=True)
class Template:
    """A blend in roles; `source` describes the published blend, `ours` our choices and deviations."""

    name: str
    source: str
    ours: str
    roles: tuple[Role, ...]
    mixes: Callable[[Assignment, TemplateInputs], list[Mix]]
    sidecars: tuple[Sidecar, ...] = ()


@dataclass(frozen=True, eq=False)
class TemplateMixes:
    """A recipe's mixes, the gates fitted for them by role, and a sentence for each role that was left out."""

    mixes: list[Mix]
    gates: dict[str, Gate]
    left_out: tuple[str, ...]

    @property
    def members(self) -> list[str]:
        """The members that the mixes need, in the order of their first use."""
        steps = [step for made in self.mixes for step in [*made.steps, *(s for part in made.parts for s in part.steps)]]
        named = [part.name for made in self.mixes for part in made.parts]
        named += [value for step in steps for name, value in step.parameters.items() if name.startswith("member")]
        return [name for name in dict.fromkeys(named) if name not in {made.name for made in self.mixes}]


def make_mixes(template: Template, roles: Assignment, inputs: TemplateInputs) -> TemplateMixes:
    """The template's mixes with these members; the weights of roles without one go to the others in proportion."""
    _check_roles(template, roles, inputs)
    assignment = {role.name: roles.get(role.name, f"no {role.name}") for role in template.roles}
    absent = [role for role in assignment if role not in roles]
    recipe = _provisional(template, assignment, inputs).without([assignment[role] for role in absent])
    left_out = [f"{role}: no member" for role in absent]
    gates: dict[str, Gate] = {}
    for sidecar in template.sidecars:
        if sidecar.role in roles:
            weights, gate = _sidecar_weights(sidecar, recipe, inputs, roles[sidecar.role])
            gates |= {sidecar.role: gate} if gate else {}
            recipe = with_sidecar(recipe, roles[sidecar.role], weights, sidecar.settings)
            left_out += [] if weights else [f"{sidecar.role}: {roles[sidecar.role]} helps in no class"]
    return TemplateMixes(recipe.mixes, gates, tuple(left_out))


def template_recipe(
    labels: Labels, template: Template, roles: Assignment, inputs: TemplateInputs, base: Recipe
) -> Recipe:
    """The base recipe with the template's mixes, fitted on these labels."""
    mixes = make_mixes(template, roles, replace(inputs, labels=labels)).mixes
    return replace(base, name=template.name, mixes=mixes)


def default_roles(template: Template, cards: list[MemberCard]) -> dict[str, str]:
    """A member for each role that one fits, none twice: required roles first, and the best fit to a role first.

    Members with TTA are left out: each would only repeat its own network in a second role.
    """
    own = [card for card in cards if "tta" not in card.config]
    free, assignment = {card.name: _card_words(card) for card in sorted(own, key=lambda card: card.name)}, {}
    for required in (True, False):
        roles = [role for role in template.roles if role.required is required]
        matches = [(rank, role.name, word) for role in roles for rank, word in enumerate(role.keywords)]
        for _, role, word in sorted(matches, key=lambda match: match[0]):
            name = next((name for name, words in free.items() if word in words), None)
            if name and role not in assignment:
                assignment[role] = name
                del free[name]
    return {role.name: assignment[role.name] for role in template.roles if role.name in assignment}


def parse_roles(text: str) -> dict[str, str]:
    """Parse "role:member" pairs separated by commas into {role: member}."""
    pairs = [pair.strip().partition(":") for pair in text.split(",") if pair.strip()]
    if any(not (role and member) for role, _, member in pairs):
        raise BadInput(
            "the roles cannot be read",
            expected="proto:l3_mlps,sed:small_sed",
            got=text,
            do="write role:member, separated by commas",
        )
    return {role.strip(): member.strip() for role, _, member in pairs}


def _card_words(card: MemberCard) -> set[str]:
    """The words that a role's keywords can match: a member's name, family, head, embedder, backbone and level."""
    texts = [card.name, card.family, card.config.get("head", ""), card.config.get("embedder", "")]
    network, front_end = card.config.get("network", {}), card.config.get("front_end", {})
    texts += [network.get("head", ""), network.get("backbone", ""), front_end.get("level", "")]
    return set(re.findall("[a-z0-9]+", " ".join(texts).lower()))


def _check_roles(template: Template, roles: Assignment, inputs: TemplateInputs) -> None:
    """Raise BadInput for unknown roles, required roles without a member, and members without scores."""
    known = {role.name: role for role in template.roles}
    errors = [f"no role {name}" for name in roles if name not in known]
    errors += [f"no member for {role.name}" for role in template.roles if role.required and role.name not in roles]
    errors += [f"no scores of {member} ({role})" for role, member in roles.items() if member not in inputs.parts]
    if errors:
        listed = "; ".join(
            f"{name}{'' if role.required else ' (optional)'}: {role.description}" for name, role in known.items()
        )
        raise BadInput(
            f"template {template.name} has unusable roles",
            expected=listed,
            got="; ".join(errors),
            do=f"set roles=role:member,…; members are {', '.join(inputs.parts) or 'none'}",
        )


def _provisional(template: Template, assignment: Assignment, inputs: TemplateInputs) -> Recipe:
    """The mixes without sidecars as a recipe, its result in ranks, as the prior's is."""
    *before, last = template.mixes(assignment, inputs)
    if last.space != "rank":
        last = replace(last, steps=[*last.steps, Step("percentile_ranks", {})])
    required = [assignment[role.name] for role in template.roles if role.required]
    return _recipe(template, [*required, *assignment.values()], [*before, last])


def _recipe(template: Template, names: Iterable[str], mixes: list[Mix]) -> Recipe:
    """A recipe without a score, for use in this module; its prior is the first name, which must not be dropped."""
    members = [RecipeMember(name, "", 0.0) for name in dict.fromkeys(names)]
    return Recipe(template.name, "", "", members, mixes, members[0].name, 0.0, [0.0, 0.0], 0)


def _sidecar_weights(
    sidecar: Sidecar, recipe: Recipe, inputs: TemplateInputs, member: str
) -> tuple[dict[str, float], Gate | None]:
    """The member's weight in each class: by a gate fitted on the blend it corrects, or by its coverage."""
    side = inputs.parts[member]
    if sidecar.gate:
        anchor = evaluate(recipe, inputs.parts, inputs.labels)
        gate = fit_gate(inputs.labels, anchor, side, sidecar.settings, sidecar.gate)
        return gate.weights, gate
    class_names = dict(zip(inputs.taxonomy.primary_label, inputs.taxonomy.class_name, strict=True))
    covered = [label for label, column in zip(side.classes, side.values.T, strict=True) if np.ptp(column) > 0]
    caps = coverage_caps(class_names, covered=covered, well_mapped=inputs.mapped)
    return {label: cap for label, cap in caps.items() if cap > 0}, None
