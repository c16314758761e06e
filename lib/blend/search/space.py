"""Search spaces of recipes: the weights of one mix, and numeric parameters of its steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lib.blend.recipe import Mix, Recipe, Step
from lib.blend.steps.registry import STEPS
from lib.core.errors import BadInput
from lib.judge.pair_counting import RANK_SCALE


@dataclass(frozen=True)
class SearchParameter:
    """A step parameter that a search may set, in all steps of that name in the mix, its parts' steps included.

    `values` are tried one by one; a search over ranges draws between the first and the last.
    """

    mix: str
    step: str
    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Candidate:
    """One point of a search space: the parts' weights in permille, and a value for each parameter."""

    permille: tuple[int, ...]
    values: tuple[float, ...] = ()

    @property
    def weights(self) -> tuple[float, ...]:
        """The weights, with sum one."""
        return tuple(part / RANK_SCALE for part in self.permille)


@dataclass(frozen=True)
class SearchSpace:
    """A recipe, its mix with free weights, and free step parameters; those that cannot change a score are refused."""

    recipe: Recipe
    mix: str
    parameters: tuple[SearchParameter, ...] = field(default=())

    def __post_init__(self) -> None:
        if not (len(self.free_mix.parts) > 1 or self.parameters):
            raise BadInput(
                "there is nothing to search for",
                expected="two parts, or a parameter",
                got=self.free_mix,
                do="use the recipe without a search",
            )
        for parameter in self.parameters:
            if not (
                len(set(parameter.values)) > 1
                and list(parameter.values) == sorted(parameter.values)
                and self.current_values(parameter)
            ):
                raise BadInput(
                    f"parameter {parameter.step} {parameter.name} cannot be searched",
                    expected=f"a parameter of a step of mix {parameter.mix}, and two values or more, rising",
                    got=parameter,
                    do="name a step and a parameter of the recipe, with values such as (0.0, 0.5, 1.0)",
                )
            if _has_no_effect(self.recipe, parameter):
                raise BadInput(
                    f"searching {parameter.step} {parameter.name} cannot change a score",
                    expected="a step that can change the order of a class's rows",
                    got="it is rank-neutral, and so is all that follows: every value has the same score",
                    do="remove it, or put the step before a step or mix that is not rank-neutral",
                )

    @property
    def free_mix(self) -> Mix:
        """The mix whose weights are free."""
        return mix_of(self.recipe, self.mix)

    @property
    def start(self) -> Candidate:
        """The recipe's own weights in permille and parameter values."""
        weights = [part.weight for part in self.free_mix.parts]
        return Candidate(
            to_permille(weights), tuple(self.current_values(parameter)[0] for parameter in self.parameters)
        )

    def current_values(self, parameter: SearchParameter) -> list[float]:
        """The parameter's value in each step of the recipe that has it."""
        steps = [
            step
            for chain in _chains(mix_of(self.recipe, parameter.mix))
            for step in chain
            if step.name == parameter.step
        ]
        return [step.parameters[parameter.name] for step in steps if parameter.name in step.parameters]

    def recipe_with(self, candidate: Candidate) -> Recipe:
        """The recipe with the candidate's weights and parameter values."""
        recipe = self.recipe
        for parameter, value in zip(self.parameters, candidate.values, strict=True):
            recipe = with_mix(recipe, _with_parameter(mix_of(recipe, parameter.mix), parameter, value))
        return with_weights(recipe, self.mix, candidate.weights)


def to_permille(weights: Sequence[float] | np.ndarray) -> tuple[int, ...]:
    """The weights in permille with sum exactly 1000; the largest remainders are rounded up."""
    shares = np.asarray(weights, dtype=np.float64)
    exact = RANK_SCALE * shares / shares.sum()
    floor = np.floor(exact + 1e-9).astype(int)
    floor[np.argsort(floor - exact, kind="stable")[: RANK_SCALE - floor.sum()]] += 1
    return tuple(floor.tolist())


def shrink_towards(weights: Sequence[float] | np.ndarray, target: Sequence[float], share: float) -> tuple[int, ...]:
    """The weights in permille, moved towards the target by `share` of the distance."""
    return to_permille((1.0 - share) * np.asarray(weights) + share * np.asarray(target))


def is_plain_rank_blend(recipe: Recipe, mix: str) -> bool:
    """True if the result's orders are those of plain weighted sums of this mix's parts' ranks."""
    found = mix_of(recipe, mix)
    last = recipe.mixes[-1] is found
    return last and found.space == "rank" and not found.class_weights and _all_neutral(found.steps)


def mix_of(recipe: Recipe, name: str) -> Mix:
    """The mix of that name."""
    for each in recipe.mixes:
        if each.name == name:
            return each
    raise BadInput(
        f"the recipe has no mix {name}",
        expected=[each.name for each in recipe.mixes],
        got=name,
        do="name one of its mixes",
    )


def with_mix(recipe: Recipe, changed: Mix) -> Recipe:
    """The recipe with the mix of that name replaced."""
    return replace(recipe, mixes=[changed if each.name == changed.name else each for each in recipe.mixes])


def with_weights(recipe: Recipe, mix: str, weights: tuple[float, ...]) -> Recipe:
    """The recipe with other weights in that mix."""
    found = mix_of(recipe, mix)
    parts = [replace(part, weight=weight) for part, weight in zip(found.parts, weights, strict=True)]
    return with_mix(recipe, replace(found, parts=parts))


def _chains(mix: Mix) -> list[list[Step]]:
    """The steps of the mix, and those of each part."""
    return [mix.steps, *(part.steps for part in mix.parts)]


def _with_parameter(mix: Mix, parameter: SearchParameter, value: float) -> Mix:
    """The mix with the parameter at that value."""

    def changed(steps: list[Step]) -> list[Step]:
        mine = [step.name == parameter.step and parameter.name in step.parameters for step in steps]
        return [
            replace(step, parameters={**step.parameters, parameter.name: value}) if own else step
            for step, own in zip(steps, mine, strict=True)
        ]

    parts = [replace(part, steps=changed(part.steps)) for part in mix.parts]
    return replace(mix, parts=parts, steps=changed(mix.steps))


def _all_neutral(steps: list[Step]) -> bool:
    return all(STEPS[step.name].rank_neutral for step in steps)


def _has_no_effect(recipe: Recipe, parameter: SearchParameter) -> bool:
    """True if no value of the parameter can change an order: its steps and all that follow them keep orders."""
    mix = mix_of(recipe, parameter.mix)
    own, *of_parts = ([n for n, step in enumerate(steps) if step.name == parameter.step] for steps in _chains(mix))
    if own and not (_all_neutral(mix.steps[own[0] :]) and _only_orders_matter(recipe, mix)):
        return False
    effects = [
        not _all_neutral(part.steps[at[0] :]) or not _only_part_orders_matter(recipe, mix)
        for part, at in zip(mix.parts, of_parts, strict=True)
        if at
    ]
    return not any(effects)


def _only_part_orders_matter(recipe: Recipe, mix: Mix) -> bool:
    """True if a change that keeps the orders within one of the mix's parts has no effect on the result."""
    if mix.space == "rank":
        return True
    return len(mix.parts) == 1 and _all_neutral(mix.steps) and _only_orders_matter(recipe, mix)


def _only_orders_matter(recipe: Recipe, mix: Mix) -> bool:
    """True if no later mix or step can distinguish two results of this mix that have the same orders."""
    for later in recipe.mixes:
        read = any(mix.name in step.parameters.values() for chain in _chains(later) for step in chain)
        into = [part for part in later.parts if part.name == mix.name]
        if read or any(not _all_neutral(part.steps) or not _only_part_orders_matter(recipe, later) for part in into):
            return False
    return True
