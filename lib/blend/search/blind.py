"""Recipes made anew without each fold's labels: what they say of a fold's soundscapes is no echo of its labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lib.blend.evaluate import make_folds
from lib.blend.recipe import Recipe
from lib.blend.search.nested import evidence_weights
from lib.competition.scores import Labels, Scores, joined
from lib.judge.bootstrap import bootstrap, interval
from lib.judge.leakage import fitted_on, refuse_self_judged
from lib.judge.metric import judge

ByFold = Mapping[int, Recipe]  # fold -> the recipe as it is without that fold's labels


def made_blind(make: Callable[[Labels], Recipe], labels: Labels) -> dict[int, Recipe]:
    """For each fold (the labels' strata) what is made of the other folds' labels."""
    made = {}
    for fold in np.unique(labels.strata).tolist():
        seen, held = (labels.take(_rows(labels, here)) for here in (labels.strata != fold, labels.strata == fold))
        refuse_self_judged(fitted_on("a recipe", seen.row_ids), held.row_ids)
        made[fold] = make(seen)
    return made


def evidence(labels: Labels, parts: Mapping[str, Scores], voices: Sequence[str]) -> tuple[float, ...]:
    """The parts' weights by how far above chance each surely is on these labels, parts of one voice having one vote."""
    drawn = bootstrap(labels, dict(parts))
    sure = [interval(judge(labels, part).macro, drawn[name]) for name, part in parts.items()]
    return evidence_weights([each.low for each in sure], voices)


def nested_scores(by_fold: ByFold, parts: Mapping[str, Scores], labels: Labels) -> Scores:
    """All rows of the labelled soundscapes, each fold's by the recipe that does not know its labels."""
    return joined([by_fold[fold.number].execute(fold.parts).scores for fold in make_folds(parts, labels)])


def carrying(recipe: Recipe, by_fold: ByFold) -> Recipe:
    """The recipe, and in it what it is without each fold's labels."""
    return replace(recipe, by_fold={str(fold): blind.mixes for fold, blind in by_fold.items()})


def _rows(labels: Labels, chosen: np.ndarray) -> list[str]:
    return [labels.row_ids[row] for row in np.flatnonzero(chosen)]
