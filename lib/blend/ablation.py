"""What each member and each step adds: left out of the whole, and joining in order, on the same redrawn recordings."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from lib.blend.evaluate import EvaluationFold, evaluation_folds
from lib.blend.recipe import Mix, Recipe, Step
from lib.competition.scores import Labels, Scores, concat_scores
from lib.judge.bootstrap import bootstrap
from lib.judge.compare import paired_interval
from lib.judge.metric import judge

CLASS_WEIGHTS = "class weights"


Contribution = Callable[[Recipe], Recipe | None]  # nothing where no member with a weight would be left


@dataclass(frozen=True)
class _Rung:
    """Something that a recipe has and another lacks: how to come to the two from the whole recipe."""

    what: str
    kind: str
    order: str
    without: Contribution
    whole: Contribution


def ablate(
    recipe: Recipe,
    parts: Mapping[str, Scores],
    labels: Labels,
    *,
    by_fold: Mapping[object, Recipe] | None = None,
    draws: int = 1000,
) -> pd.DataFrame:
    """Two rows a member and step: what, kind, order, gain, low and high (the gain's interval), score with it.

    "left out": what the whole recipe loses without it. "in order": members join as the mixes name them, then class
    weights and the steps take effect; the first gain is over chance. Steps of one name in one mix count as one.
    Where a recipe was searched, `by_fold` holds what was chosen without each fold: no gain is then searched on.
    """
    folds, rungs = evaluation_folds(parts, labels), [*_left_out(recipe), *_in_order(recipe)]
    made: list[list[Recipe | None]] = []  # most rungs share a recipe with another
    ends = [[_by_fold(change, recipe, folds, by_fold) for change in (rung.without, rung.whole)] for rung in rungs]
    for recipes in (one for pair in ends for one in pair):
        made += [] if recipes in made else [recipes]
    named = {n: _executed(recipes, folds) for n, recipes in enumerate(made)}
    scored = {n: judge(labels, scores).macro for n, scores in named.items()}
    drawn, rows = bootstrap(labels, named, draws=draws), []
    for rung, (without, whole) in zip(rungs, ends, strict=True):
        less, more = made.index(without), made.index(whole)
        sure = paired_interval(scored, drawn, more, less)
        row = {"what": rung.what, "kind": rung.kind, "order": rung.order, "gain": scored[more] - scored[less]}
        rows.append(row | {"low": sure.low, "high": sure.high, "score": scored[more]})
    return pd.DataFrame(rows)


def member_values(
    recipe: Recipe, parts: Mapping[str, Scores], labels: Labels, *, by_fold: Mapping[object, Recipe] | None = None
) -> dict[str, float]:
    """The score that the recipe would lose without each member, the others' weights in proportion."""
    folds = evaluation_folds(parts, labels)

    def score(change: Contribution) -> float:
        return judge(labels, _executed(_by_fold(change, recipe, folds, by_fold), folds)).macro

    whole = score(_as_it_is)
    return {member.name: whole - score(partial(_less, dropped={member.name})) for member in recipe.members}


def _by_fold(change: Contribution, recipe: Recipe, folds: list[EvaluationFold], by_fold) -> list[Recipe | None]:
    return [change(recipe if by_fold is None else by_fold[fold.number]) for fold in folds]


def _executed(recipes: list[Recipe | None], folds: list[EvaluationFold]) -> Scores:
    """Each fold's answer, flat where no recipe is left: that scores what chance does. Only orders count here."""
    answers = []
    for recipe, fold in zip(recipes, folds, strict=True):
        first = next(iter(fold.parts.values()))
        values = np.zeros(first.values.shape) if recipe is None else recipe.execute(fold.parts).scores.values
        answers.append(first.with_values(values, "logit"))
    return concat_scores(answers)


def _as_it_is(recipe: Recipe) -> Recipe:
    return recipe


def _left_out(recipe: Recipe) -> list[_Rung]:
    names = [member.name for member in recipe.members]
    changes = [(name, "member", partial(_less, dropped={name})) for name in names]
    changes += [(what, "step", partial(_plainer, left_out={what})) for what in _steps(recipe)]
    return [_Rung(what, kind, "left out", change, _as_it_is) for what, kind, change in changes]


def _in_order(recipe: Recipe) -> list[_Rung]:
    """Members without any step; those that only steps look at come with these."""
    mixed = dict.fromkeys(part.name for made in recipe.mixes for part in made.parts)
    names, steps = [name for name in mixed if name in {member.name for member in recipe.members}], _steps(recipe)
    ends = [partial(_bare, dropped=set(names[n:]), left_out=set(steps)) for n in range(len(names) + 1)]
    rungs = [_Rung(name, "member", "in order", ends[n], ends[n + 1]) for n, name in enumerate(names)]
    ends = [partial(_plainer, left_out=set(steps[n:])) for n in range(len(steps) + 1)]
    return rungs + [_Rung(what, "step", "in order", ends[n], ends[n + 1]) for n, what in enumerate(steps)]


def _bare(recipe: Recipe, dropped: Collection[str], left_out: Collection[str]) -> Recipe | None:
    return _less(_plainer(recipe, left_out), dropped)


def _less(recipe: Recipe, dropped: Collection[str]) -> Recipe | None:
    """The recipe without those members; any that is left serves as the prior."""
    left = [member.name for member in recipe.members if member.name not in dropped]
    if not sum(recipe.weights[name] for name in left) > 0:
        return None
    prior = recipe.prior if recipe.prior in left else left[0]
    return replace(recipe, prior=prior).without(dropped)


def _steps(recipe: Recipe) -> list[str]:
    """What the recipe's steps are called, in the order in which they take effect; class weights come with their mix."""
    called = []
    for made in recipe.mixes:
        called += [_called(recipe, made, step) for part in made.parts for step in part.steps]
        called += [CLASS_WEIGHTS] if made.class_weights else []
        called += [_called(recipe, made, step) for step in made.steps]
    return list(dict.fromkeys(called))


def _called(recipe: Recipe, made: Mix, step: Step) -> str:
    """The step's name, whom it looks at, and its mix where there are several."""
    members = [str(name) for parameter, name in step.parameters.items() if parameter.startswith("member")]
    return " ".join([step.name, *members, *([f"in {made.name}"] if len(recipe.mixes) > 1 else [])])


def _plainer(recipe: Recipe, left_out: Collection[str]) -> Recipe:
    """The recipe without the steps of those names."""

    def kept(made: Mix, steps: list[Step]) -> list[Step]:
        return [step for step in steps if _called(recipe, made, step) not in left_out]

    def plainer(made: Mix) -> Mix:
        parts = [replace(part, steps=kept(made, part.steps)) for part in made.parts]
        weights = {} if CLASS_WEIGHTS in left_out else made.class_weights
        return replace(made, parts=parts, steps=kept(made, made.steps), class_weights=weights)

    return replace(recipe, mixes=[plainer(made) for made in recipe.mixes])
