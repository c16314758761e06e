"""Ablation: the gain of each member and step, left out of the whole and added in order, on shared bootstrap draws."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from lib.blend.evaluate import EvaluationFold, evaluation_folds
from lib.blend.recipe import Mix, Recipe, Step
from lib.competition.scores import Labels, Scores, concat_scores
from lib.core.progress import progress
from lib.judge.bootstrap import bootstrap
from lib.judge.compare import paired_interval
from lib.judge.metric import judge

CLASS_WEIGHTS = "class weights"

Change = Callable[[Recipe], Recipe | None]  # None if no member with a weight would be left


@dataclass(frozen=True)
class _Comparison:
    """A component, and the two changes of the whole recipe that differ by it."""

    component: str
    kind: str
    order: str
    without: Change
    whole: Change


def ablate(
    recipe: Recipe,
    parts: Mapping[str, Scores],
    labels: Labels,
    *,
    by_fold: Mapping[int, Recipe] | None = None,
    draws: int = 1000,
) -> pd.DataFrame:
    """Two rows a member and step: component, kind, order, gain, low and high (the gain's interval), score with it.

    "left out": what the whole recipe loses without it. "in order": members join in the order of the mixes, then class
    weights and the steps take effect; the first gain is over chance. Steps of one name in one mix count as one.
    If a recipe was searched, `by_fold` holds what was chosen without each fold: then no gain is one searched on.
    """
    folds, comparisons = evaluation_folds(parts, labels), [*_left_out(recipe), *_in_order(recipe)]
    distinct: list[list[Recipe | None]] = []  # most comparisons share a recipe with another
    ends = [
        [_fold_recipes(change, recipe, folds, by_fold) for change in (each.without, each.whole)] for each in comparisons
    ]
    for recipes in (one for pair in ends for one in pair):
        distinct += [] if recipes in distinct else [recipes]
    scores = [_scores_by_fold(recipes, folds) for recipes in progress(distinct, "ablation, recipes", len(distinct))]
    named = {str(n): each for n, each in enumerate(scores)}
    scored = {n: judge(labels, scores).macro for n, scores in named.items()}
    drawn, rows = bootstrap(labels, named, draws=draws), []
    for each, (without, whole) in zip(comparisons, ends, strict=True):
        less, more = str(distinct.index(without)), str(distinct.index(whole))
        sure = paired_interval(scored, drawn, more, less)
        row = {"component": each.component, "kind": each.kind, "order": each.order, "gain": scored[more] - scored[less]}
        rows.append(row | {"low": sure.low, "high": sure.high, "score": scored[more]})
    return pd.DataFrame(rows)


def member_values(
    recipe: Recipe, parts: Mapping[str, Scores], labels: Labels, *, by_fold: Mapping[int, Recipe] | None = None
) -> dict[str, float]:
    """The score that the recipe would lose without each member, the others' weights rescaled in proportion."""
    folds = evaluation_folds(parts, labels)

    def score(change: Change) -> float:
        return judge(labels, _scores_by_fold(_fold_recipes(change, recipe, folds, by_fold), folds)).macro

    whole = score(_unchanged)
    return {member.name: whole - score(partial(_without_members, dropped={member.name})) for member in recipe.members}


def _fold_recipes(change: Change, recipe: Recipe, folds: list[EvaluationFold], by_fold) -> list[Recipe | None]:
    return [change(recipe if by_fold is None else by_fold[fold.number]) for fold in folds]


def _scores_by_fold(recipes: list[Recipe | None], folds: list[EvaluationFold]) -> Scores:
    """Each fold's scores, constant if no recipe is left, which is chance level. Only orders count here."""
    scores = []
    for recipe, fold in zip(recipes, folds, strict=True):
        first = next(iter(fold.parts.values()))
        values = np.zeros(first.values.shape) if recipe is None else recipe.execute(fold.parts).scores.values
        scores.append(first.with_values(values, "logit"))
    return concat_scores(scores)


def _unchanged(recipe: Recipe) -> Recipe:
    return recipe


def _left_out(recipe: Recipe) -> list[_Comparison]:
    names = [member.name for member in recipe.members]
    changes: list[tuple[str, str, Change]] = []
    changes += [(name, "member", partial(_without_members, dropped={name})) for name in names]
    changes += [(label, "step", partial(_without_steps, left_out={label})) for label in _step_labels(recipe)]
    return [_Comparison(component, kind, "left out", change, _unchanged) for component, kind, change in changes]


def _in_order(recipe: Recipe) -> list[_Comparison]:
    """Members join without any step, then the steps; members that only steps read come with those."""
    mixed = dict.fromkeys(part.name for each in recipe.mixes for part in each.parts)
    names, steps = [name for name in mixed if name in {member.name for member in recipe.members}], _step_labels(recipe)
    ends: list[Change] = [
        partial(_without_members_and_steps, dropped=set(names[n:]), left_out=set(steps)) for n in range(len(names) + 1)
    ]
    comparisons = [_Comparison(name, "member", "in order", ends[n], ends[n + 1]) for n, name in enumerate(names)]
    ends = [partial(_without_steps, left_out=set(steps[n:])) for n in range(len(steps) + 1)]
    return comparisons + [_Comparison(label, "step", "in order", ends[n], ends[n + 1]) for n, label in enumerate(steps)]


def _without_members_and_steps(recipe: Recipe, dropped: Collection[str], left_out: Collection[str]) -> Recipe | None:
    return _without_members(_without_steps(recipe, left_out), dropped)


def _without_members(recipe: Recipe, dropped: Collection[str]) -> Recipe | None:
    """The recipe without those members; if the prior is dropped, any other member takes its place."""
    left = [member.name for member in recipe.members if member.name not in dropped]
    if not sum(recipe.weights[name] for name in left) > 0:
        return None
    prior = recipe.prior if recipe.prior in left else left[0]
    return replace(recipe, prior=prior).without(dropped)


def _step_labels(recipe: Recipe) -> list[str]:
    """Labels of the recipe's steps in the order in which they take effect; class weights come with their mix."""
    labels = []
    for each in recipe.mixes:
        labels += [_step_label(recipe, each, step) for part in each.parts for step in part.steps]
        labels += [CLASS_WEIGHTS] if each.class_weights else []
        labels += [_step_label(recipe, each, step) for step in each.steps]
    return list(dict.fromkeys(labels))


def _step_label(recipe: Recipe, mix: Mix, step: Step) -> str:
    """The step's name, the members it reads, and its mix if there are several."""
    members = [str(name) for parameter, name in step.parameters.items() if parameter.startswith("member")]
    return " ".join([step.name, *members, *([f"in {mix.name}"] if len(recipe.mixes) > 1 else [])])


def _without_steps(recipe: Recipe, left_out: Collection[str]) -> Recipe:
    """The recipe without the steps of those labels."""

    def kept(mix: Mix, steps: list[Step]) -> list[Step]:
        return [step for step in steps if _step_label(recipe, mix, step) not in left_out]

    def reduce(mix: Mix) -> Mix:
        parts = [replace(part, steps=kept(mix, part.steps)) for part in mix.parts]
        weights = {} if CLASS_WEIGHTS in left_out else mix.class_weights
        return replace(mix, parts=parts, steps=kept(mix, mix.steps), class_weights=weights)

    return replace(recipe, mixes=[reduce(mix) for mix in recipe.mixes])
