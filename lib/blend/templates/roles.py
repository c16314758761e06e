"""Templates: a source's blend, told in roles, becomes the mixes of a recipe once members play the roles.

What a template learns (groups of classes, a sidecar's gate) it learns from the labels it is given, so that mixes made
anew from each fold's other rows have an honest score.
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
from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.core.records import to_json
from lib.models.member.card import MemberCard


@dataclass(frozen=True)
class Role:
    """A place in a template; `like` are words of a member's card, by any of which it may play it, best first."""

    name: str
    description: str
    like: tuple[str, ...]
    required: bool = False


@dataclass(frozen=True, eq=False)
class TemplateInputs:
    """What mixes are made from: out-of-fold scores by member, and labels, of which only the given rows are met."""

    taxonomy: pd.DataFrame  # in class order
    labels: Labels
    parts: Mapping[str, Scores]
    mapped: frozenset[str] = frozenset()  # the labels that the frozen embedder knows by name

    def taxon(self, *class_names: str) -> list[str]:
        """The labels of these taxa, in class order."""
        return self.taxonomy.primary_label[self.taxonomy.class_name.isin(class_names)].tolist()


Assignment = Mapping[str, str]  # role -> member


@dataclass(frozen=True)
class Sidecar:
    """A role that corrects a template's last mix: as far as a gate lets it, or, without one, the caps by coverage."""

    role: str
    settings: SidecarSettings
    gate: SidecarGateSettings | None


@dataclass(frozen=True)
class Template:
    """A blend in roles; `source` says what its source does, `ours` what the source leaves open or does otherwise."""

    name: str
    source: str
    ours: str
    roles: tuple[Role, ...]
    mixes: Callable[[Assignment, TemplateInputs], list[Mix]]
    sidecars: tuple[Sidecar, ...] = ()


@dataclass(frozen=True, eq=False)
class TemplateMixes:
    """A recipe's mixes, the gates that were fitted for them by role, and in words what had to be left out."""

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


def make_mixes(template: Template, roles: Assignment, material: TemplateInputs) -> TemplateMixes:
    """The template's mixes with these members; what roles without one would weigh, the others share in proportion."""
    _check_roles(template, roles, material)
    cast = {role.name: roles.get(role.name, f"no {role.name}") for role in template.roles}
    absent = [role for role in cast if role not in roles]
    recipe = _provisional(template, cast, material).without([cast[role] for role in absent])
    left_out, gates = [f"{role}: no member" for role in absent], {}
    for sidecar in template.sidecars:
        if sidecar.role in roles:
            weights, gate = _earned(sidecar, recipe, material, roles[sidecar.role])
            gates |= {sidecar.role: gate} if gate else {}
            recipe = _corrected(recipe, roles[sidecar.role], weights, sidecar.settings) if weights else recipe
            left_out += [] if weights else [f"{sidecar.role}: {roles[sidecar.role]} has earned no class"]
    return TemplateMixes(recipe.mixes, gates, tuple(left_out))


def template_recipe(
    labels: Labels, template: Template, roles: Assignment, material: TemplateInputs, base: Recipe
) -> Recipe:
    """The base recipe's members with the template's mixes, as these labels make them."""
    mixes = make_mixes(template, roles, replace(material, labels=labels)).mixes
    return replace(base, name=template.name, mixes=mixes)


def default_roles(template: Template, cards: list[MemberCard]) -> dict[str, str]:
    """A member for each role that one is like, none twice: required roles first, and who is most like a role first.

    A network asked again would only play its own part twice.
    """
    own = [card for card in cards if "tta" not in card.config]
    free, cast = {card.name: _words(card) for card in sorted(own, key=lambda card: card.name)}, {}
    for required in (True, False):
        roles = [role for role in template.roles if role.required is required]
        wishes = [(rank, role.name, word) for role in roles for rank, word in enumerate(role.like)]
        for _, role, word in sorted(wishes, key=lambda wish: wish[0]):
            name = next((name for name, words in free.items() if word in words), None)
            if name and role not in cast:
                cast[role] = name
                del free[name]
    return {role.name: cast[role.name] for role in template.roles if role.name in cast}


def parse_roles(text: str) -> dict[str, str]:
    """Role -> member, of "role:member" pairs separated by commas."""
    pairs = [pair.strip().partition(":") for pair in text.split(",") if pair.strip()]
    if any(not (role and member) for role, _, member in pairs):
        raise BadInput(
            "the roles cannot be read",
            expected="proto:l3_mlps,sed:small_sed",
            got=text,
            do="write role:member, separated by commas",
        )
    return {role.strip(): member.strip() for role, _, member in pairs}


def _words(card: MemberCard) -> set[str]:
    """What a role may ask for: the words of a member's name, family, head, embedder, backbone and level."""
    said = [card.name, card.family, card.config.get("head", ""), card.config.get("embedder", "")]
    network, front_end = card.config.get("network", {}), card.config.get("front_end", {})
    said += [network.get("head", ""), network.get("backbone", ""), front_end.get("level", "")]
    return set(re.findall("[a-z0-9]+", " ".join(said).lower()))


def _check_roles(template: Template, roles: Assignment, material: TemplateInputs) -> None:
    """Refuse roles that the template does not have, required ones without a member, and members without scores."""
    known = {role.name: role for role in template.roles}
    faults = [f"no role {name}" for name in roles if name not in known]
    faults += [f"nobody as {role.name}" for role in template.roles if role.required and role.name not in roles]
    faults += [f"no scores of {member} ({role})" for role, member in roles.items() if member not in material.parts]
    if faults:
        listed = "; ".join(
            f"{name}{'' if role.required else ' (optional)'}: {role.description}" for name, role in known.items()
        )
        raise BadInput(
            f"template {template.name} cannot be cast so",
            expected=listed,
            got="; ".join(faults),
            do=f"name members for its roles; there are {', '.join(material.parts) or 'none'}",
        )


def _provisional(template: Template, cast: Assignment, material: TemplateInputs) -> Recipe:
    """The mixes without sidecars as a recipe, its answer in ranks, as the prior's is."""
    *before, last = template.mixes(cast, material)
    if last.space != "rank":
        last = replace(last, steps=[*last.steps, Step("percentile_ranks", {})])
    required = [cast[role.name] for role in template.roles if role.required]
    return _recipe(template, [*required, *cast.values()], [*before, last])


def _recipe(template: Template, names: Iterable[str], mixes: list[Mix]) -> Recipe:
    """A recipe without a score, to be executed here; its prior is the first name, which must be one that stays."""
    members = [RecipeMember(name, "", 0.0) for name in dict.fromkeys(names)]
    return Recipe(template.name, "", "", members, mixes, members[0].name, 0.0, [], 0)


def _earned(
    sidecar: Sidecar, recipe: Recipe, material: TemplateInputs, member: str
) -> tuple[dict[str, float], Gate | None]:
    """What the member may weigh in which class: by a gate fitted on what it would correct, or by its coverage."""
    side = material.parts[member]
    if sidecar.gate:
        anchor = evaluate(recipe, material.parts, material.labels)
        gate = fit_gate(material.labels, anchor, side, sidecar.settings, sidecar.gate)
        return gate.weights, gate
    class_names = dict(zip(material.taxonomy.primary_label, material.taxonomy.class_name, strict=True))
    covered = [label for label, column in zip(side.classes, side.values.T, strict=True) if np.ptp(column) > 0]
    caps = coverage_caps(class_names, covered=covered, well_mapped=material.mapped)
    return {label: cap for label, cap in caps.items() if cap > 0}, None


def _corrected(recipe: Recipe, member: str, weights: dict[str, float], settings: SidecarSettings) -> Recipe:
    """The recipe with the member as a sidecar of its answer."""
    *before, last = recipe.mixes
    step = Step("sidecar", {"member": member, "gate": weights, "settings": to_json(settings)})
    return replace(recipe, mixes=[*before, replace(last, steps=[*last.steps, step])])
