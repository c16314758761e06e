"""What a search may change in a recipe: the weights of one mix, and some numbers of its steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lib.blend.recipe import Mix, Recipe, Step
from lib.blend.steps.registry import STEPS
from lib.core.errors import BadInput
from lib.judge.pair_counting import RANK_SCALE


@dataclass(frozen=True)
class SearchParameter:
    """A parameter that a search may set, in all steps of that name in the mix, its parts' steps included.

    `values` are tried in turn; a search over ranges draws between the first and the last.
    """

    mix: str
    step: str
    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Candidate:
    """One candidate: the weights of the parts in whole thousandths, and a value for each knob."""

    permille: tuple[int, ...]
    values: tuple[float, ...] = ()

    @property
    def weights(self) -> tuple[float, ...]:
        """The weights, with sum one."""
        return tuple(part / RANK_SCALE for part in self.permille)


@dataclass(frozen=True)
class SearchSpace:
    """A recipe, the mix in it whose weights are free, and the knobs. What can change no score is refused."""

    recipe: Recipe
    mix: str
    parameters: tuple[SearchParameter, ...] = field(default=())

    def __post_init__(self):
        if not (len(self.mixed.parts) > 1 or self.parameters):
            raise BadInput(
                "there is nothing to search for",
                expected="two parts or a knob",
                got=self.mixed,
                do="take the recipe as it is",
            )
        for parameter in self.parameters:
            if not (
                len(set(parameter.values)) > 1
                and list(parameter.values) == sorted(parameter.values)
                and self.current_values(parameter)
            ):
                raise BadInput(
                    f"knob {parameter.step} {parameter.name} cannot be turned",
                    expected=f"a parameter of a step of mix {parameter.mix}, and two values or more, rising",
                    got=parameter,
                    do="name what the recipe has",
                )
            if _idle(self.recipe, parameter):
                raise BadInput(
                    f"searching {parameter.step} {parameter.name} is a waste",
                    expected="a step that can change the order of a class's rows",
                    got="it is rank-neutral, and so is all that follows: every value has the same score",
                    do="leave it out, or put it where a later step or mix can feel it",
                )

    @property
    def mixed(self) -> Mix:
        """The mix whose weights are free."""
        return mix_of(self.recipe, self.mix)

    @property
    def start(self) -> Candidate:
        """The recipe as it is, weights in whole thousandths."""
        weights = [part.weight for part in self.mixed.parts]
        return Candidate(
            to_permille(weights), tuple(self.current_values(parameter)[0] for parameter in self.parameters)
        )

    def current_values(self, parameter: SearchParameter) -> list[float]:
        """What the recipe says now in each step that the knob turns."""
        steps = [
            step
            for chain in _chains(mix_of(self.recipe, parameter.mix))
            for step in chain
            if step.name == parameter.step
        ]
        return [step.parameters[parameter.name] for step in steps if parameter.name in step.parameters]

    def made(self, choice: Candidate) -> Recipe:
        """The recipe with the choice in it."""
        recipe = self.recipe
        for parameter, value in zip(self.parameters, choice.values, strict=True):
            recipe = with_mix(recipe, _turned(mix_of(recipe, parameter.mix), parameter, value))
        return with_weights(recipe, self.mix, choice.weights)


def to_permille(weights: Sequence[float]) -> tuple[int, ...]:
    """The weights as thousandths that sum to exactly a thousand; the largest remainders are rounded up."""
    shares = np.asarray(weights, dtype=np.float64)
    exact = RANK_SCALE * shares / shares.sum()
    floor = np.floor(exact + 1e-9).astype(int)
    floor[np.argsort(floor - exact, kind="stable")[: RANK_SCALE - floor.sum()]] += 1
    return tuple(floor.tolist())


def shrink_towards(weights: Sequence[float], home: Sequence[float], share: float) -> tuple[int, ...]:
    """Thousandths of the weights moved by `share` of the way home."""
    return to_permille((1.0 - share) * np.asarray(weights) + share * np.asarray(home))


def is_plain_rank_blend(recipe: Recipe, mix: str) -> bool:
    """Whether the answer's orders are those of plain weighted sums of this mix's parts' ranks."""
    made = mix_of(recipe, mix)
    last = recipe.mixes[-1] is made
    return last and made.space == "rank" and not made.class_weights and _all_neutral(made.steps)


def mix_of(recipe: Recipe, name: str) -> Mix:
    """The mix of that name."""
    for made in recipe.mixes:
        if made.name == name:
            return made
    raise BadInput(
        f"the recipe has no mix {name}",
        expected=[made.name for made in recipe.mixes],
        got=name,
        do="name one of its mixes",
    )


def with_mix(recipe: Recipe, changed: Mix) -> Recipe:
    """The recipe with the mix of that name replaced."""
    return replace(recipe, mixes=[changed if made.name == changed.name else made for made in recipe.mixes])


def with_weights(recipe: Recipe, mix: str, weights: tuple[float, ...]) -> Recipe:
    """The recipe with other weights in that mix."""
    made = mix_of(recipe, mix)
    parts = [replace(part, weight=weight) for part, weight in zip(made.parts, weights, strict=True)]
    return with_mix(recipe, replace(made, parts=parts))


def _chains(made: Mix) -> list[list[Step]]:
    """The steps of the mix, and those of each part."""
    return [made.steps, *(part.steps for part in made.parts)]


def _turned(made: Mix, parameter: SearchParameter, value: float) -> Mix:
    """The mix with the knob at that value."""

    def turned(steps: list[Step]) -> list[Step]:
        mine = [step.name == parameter.step and parameter.name in step.parameters for step in steps]
        return [
            replace(step, parameters={**step.parameters, parameter.name: value}) if own else step
            for step, own in zip(steps, mine, strict=True)
        ]

    parts = [replace(part, steps=turned(part.steps)) for part in made.parts]
    return replace(made, parts=parts, steps=turned(made.steps))


def _all_neutral(steps: list[Step]) -> bool:
    return all(STEPS[step.name].rank_neutral for step in steps)


def _idle(recipe: Recipe, parameter: SearchParameter) -> bool:
    """Whether no value of the knob can change an order: its steps and all that follow them keep orders."""
    made = mix_of(recipe, parameter.mix)
    own, *of_parts = ([n for n, step in enumerate(steps) if step.name == parameter.step] for steps in _chains(made))
    if own and not (_all_neutral(made.steps[own[0] :]) and _unfelt(recipe, made)):
        return False
    felt = [
        not _all_neutral(part.steps[at[0] :]) or not _swallowed(recipe, made)
        for part, at in zip(made.parts, of_parts, strict=True)
        if at
    ]
    return not any(felt)


def _swallowed(recipe: Recipe, made: Mix) -> bool:
    """Whether nothing comes of what keeps the orders within one of the mix's parts."""
    if made.space == "rank":
        return True
    return len(made.parts) == 1 and _all_neutral(made.steps) and _unfelt(recipe, made)


def _unfelt(recipe: Recipe, made: Mix) -> bool:
    """Whether no later mix or step can tell apart two of this mix's results that have the same orders."""
    for later in recipe.mixes:
        looked_at = any(made.name in step.parameters.values() for chain in _chains(later) for step in chain)
        into = [part for part in later.parts if part.name == made.name]
        if looked_at or any(not _all_neutral(part.steps) or not _swallowed(recipe, later) for part in into):
            return False
    return True
