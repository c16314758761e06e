"""Nested search for a blend: what is chosen on some folds is scored on the fold left out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.blend.evaluate import evaluation_folds, execute_by_fold
from lib.blend.recipe import Mix, Part, Recipe, RecipeMember, Step
from lib.blend.search.methods import alternate_weights_and_params, ascent, greedy, tpe
from lib.blend.search.objective import FoldIndices, Objective
from lib.blend.search.space import Candidate, SearchSpace
from lib.competition.prepared import Prepared
from lib.competition.scores import Labels, Scores, concat_scores
from lib.core.errors import BadInput
from lib.core.progress import progress
from lib.judge.bootstrap import scores_with_intervals
from lib.judge.leakage import fit_record, refuse_self_judged
from lib.judge.metric import judge

METHODS = {"greedy": alternate_weights_and_params(greedy), "ascent": alternate_weights_and_params(ascent), "tpe": tpe}


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The candidate chosen on all folds with its score there, and nested scores that were not searched on."""

    candidate: Candidate
    recipe: Recipe
    searched_score: float
    nested: Scores
    nested_score: float
    by_fold: dict[int, Candidate]  # chosen without each fold
    recipes: dict[int, Recipe]  # with the candidate chosen without each fold
    evaluated: int

    @property
    def optimism(self) -> float:
        """Selection optimism: the part of the searched score that is not reproduced on held-out folds."""
        return self.searched_score - self.nested_score

    def __str__(self) -> str:
        return (
            f"searched {self.searched_score:.4f}, nested {self.nested_score:.4f}: optimism {self.optimism:+.4f} "
            f"({self.evaluated} candidates evaluated)"
        )


def excess_weights(lower_ends: Sequence[float], vote_groups: Sequence[str]) -> tuple[float, ...]:
    """Weights in proportion to how far each lower end lies above chance; equal ones if none does.

    Members of one vote group, such as heads on one embedder, share one vote.
    """
    sizes = [list(vote_groups).count(group) for group in vote_groups]
    excess = np.maximum(np.asarray(lower_ends) - 0.5, 0.0) / sizes
    shares = excess / excess.sum() if excess.sum() > 0 else np.full(len(excess), 1 / len(excess))
    return tuple(shares.tolist())


def search(
    space: SearchSpace, parts: Mapping[str, Scores], labels: Labels, *, method: str = "greedy", seed: int = 0
) -> SearchResult:
    """Search on all folds (the labels' strata), and for nested scores on all but each fold in turn."""
    if method not in METHODS:
        raise BadInput("the search has an unknown method", expected=sorted(METHODS), got=method, do="set method=greedy")
    objective = Objective(space, evaluation_folds(parts, labels))
    everywhere = tuple(range(len(objective.folds)))
    if len(everywhere) < 2:
        raise BadInput(
            "a nested search needs folds to choose on and a fold to judge on",
            expected="two folds or more",
            got=len(everywhere),
            do="pass labels of more folds",
        )
    seen_by = [everywhere, *(_without(everywhere, n) for n in everywhere)]
    what = f"{method} search, on all folds and without each"
    candidate, *without = [
        METHODS[method](objective, space.start, chosen, seed) for chosen in progress(seen_by, what, len(seen_by))
    ]
    by_fold, recipes, nested = {}, {}, []
    for n, fold in enumerate(objective.folds):
        seen = [row for other in seen_by[n + 1] for row in objective.folds[other].labels.row_ids]
        refuse_self_judged(fit_record("a searched blend", seen), fold.labels.row_ids)
        by_fold[fold.number] = without[n]
        recipes[fold.number] = space.recipe_with(by_fold[fold.number])
        nested.append(execute_by_fold(recipes[fold.number], [fold]))
    recipe, held_out = space.recipe_with(candidate), concat_scores(nested)
    searched_score = judge(labels, execute_by_fold(recipe, objective.folds)).macro
    honest = judge(labels, held_out).macro
    recipe = replace(recipe, searched_score=searched_score, score=honest)
    return SearchResult(candidate, recipe, searched_score, held_out, honest, by_fold, recipes, objective.evaluated)


def _without(chosen: FoldIndices, n: int) -> FoldIndices:
    return tuple(other for other in chosen if other != n)


ByFold = Mapping[int, Recipe]  # fold -> the recipe fitted without that fold's labels


def refit_without_each_fold(make: Callable[[Labels], Recipe], labels: Labels) -> dict[int, Recipe]:
    """For each fold (the labels' strata) the recipe that `make` fits on the other folds' labels."""
    return {fold: make(seen) for fold, seen in labels_without_each_fold(labels).items()}


def labels_without_each_fold(labels: Labels) -> dict[int, Labels]:
    """For each fold (the labels' strata) the labels of the others, which share no recording with it."""
    seen = {}
    for fold in np.unique(labels.strata).tolist():
        seen[fold], held_out = (labels.take(_rows(labels, of)) for of in (labels.strata != fold, labels.strata == fold))
        refuse_self_judged(fit_record("a recipe", seen[fold].row_ids), held_out.row_ids)
    return seen


def lower_bound_weights(labels: Labels, parts: Mapping[str, Scores], vote_groups: Sequence[str]) -> tuple[float, ...]:
    """The parts' weights by how far their intervals' lower ends lie above chance; a vote group shares one vote."""
    return excess_weights([each.low for each in scores_with_intervals(labels, parts).values()], vote_groups)


def safe_recipe(
    labels: Labels,
    parts: Mapping[str, Scores],
    vote_groups: Sequence[str],
    *,
    members: list[RecipeMember],
    steps: list[Step],
    prior: str,
    prepared: Prepared,
) -> Recipe:
    """The recipe without a search: members weighted by their lower bounds on these labels, then the given steps.

    Its score is not known yet: 0.
    """
    weighted = zip(parts, lower_bound_weights(labels, parts, vote_groups), strict=True)
    return Recipe(
        name="safe",
        class_hash=prepared.classes.hash,
        fold_version=prepared.folds.version,
        members=members,
        mixes=[Mix("blend", "rank", [Part(name, weight) for name, weight in weighted], steps)],
        prior=prior,
        score=0.0,
        interval=[0.0, 0.0],
        scored_classes=0,
    )


def nested_scores(by_fold: ByFold, parts: Mapping[str, Scores], labels: Labels) -> Scores:
    """Scores of all rows of the labelled soundscapes, each fold's by the recipe fitted without its labels."""
    return concat_scores([by_fold[fold.number].execute(fold.parts).scores for fold in evaluation_folds(parts, labels)])


def variant_scores(recipe: Recipe, parts: Mapping[str, Scores], labels: Labels) -> Scores:
    """A stored recipe's scores, each fold's by its variant without that fold's labels: those that judge it."""
    return nested_scores({fold: recipe.for_fold(fold) for fold in np.unique(labels.strata).tolist()}, parts, labels)


def with_fold_variants(recipe: Recipe, by_fold: ByFold) -> Recipe:
    """The recipe together with its variants fitted without each fold's labels."""
    return replace(recipe, by_fold={str(fold): variant.mixes for fold, variant in by_fold.items()})


def _rows(labels: Labels, chosen: np.ndarray) -> list[str]:
    return [labels.row_ids[row] for row in np.flatnonzero(chosen)]
