"""What weights do not touch is done once: a search that turns weights alone need not rank its members again."""

from dataclasses import replace

from lib.blend.evaluate import Fold
from lib.blend.recipe import Ingredient, Mix, Part, Recipe
from lib.blend.search.space import mix_of
from lib.competition.scores import Scores


def make_ready(recipe: Recipe, mix: str, folds: list[Fold]) -> tuple[Recipe, list[Fold]]:
    """A recipe with the same answer whatever the mix's weights are set to, and the folds with scores to begin with.

    All that comes before the mix is among the scores: mixes made earlier, and the mix's parts after their own steps.
    Ranks are in single precision here, so windows that the recipe itself ties may come out a hair apart.
    """
    made, at = mix_of(recipe, mix), [one.name for one in recipe.mixes].index(mix)
    earlier = [replace(recipe, mixes=recipe.mixes[: n + 1]) for n in range(at)]
    before = {one.mixes[-1].name: one for one in earlier}
    before |= {_name(n): _alone(recipe, at, n) for n in range(len(made.parts))}
    parts = [Part(_name(n), part.weight) for n, part in enumerate(made.parts)]
    # ranks are made already, and a mix in space prob takes ranks as they are
    space = "prob" if made.space == "rank" else made.space
    members = [*recipe.members, *(Ingredient(name, "made ready", 0.0) for name in before)]
    mixes = [replace(made, parts=parts, space=space), *recipe.mixes[at + 1 :]]
    done = [{name: one.execute(fold.parts).scores for name, one in before.items()} for fold in folds]
    ready = [replace(fold, parts=fold.parts | scores) for fold, scores in zip(folds, done, strict=True)]
    return replace(recipe, members=members, mixes=mixes), ready


def ready_parts(recipe: Recipe, mix: str, fold: Fold) -> list[Scores]:
    """The parts of a mix of a recipe that was made ready, as the mix's space reads them."""
    return [fold.parts[part.name] for part in mix_of(recipe, mix).parts]


def _alone(recipe: Recipe, at: int, n: int) -> Recipe:
    """The recipe that ends with one part of that mix, after the part's own steps, as the mix's space reads it."""
    made = recipe.mixes[at]
    alone = Mix(made.name, made.space, [replace(made.parts[n], weight=1.0)])
    return replace(recipe, mixes=[*recipe.mixes[:at], alone])


def _name(n: int) -> str:
    return f"(part {n})"
