"""Per-class weights: fitted on some folds, scored on the fold left out, kept only if surely better."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lib.blend.evaluate import EvaluationFold, evaluation_folds, execute_by_fold
from lib.blend.mix import ClassWeights
from lib.blend.recipe import Recipe
from lib.blend.search.space import mix_of, with_mix
from lib.competition.scores import Labels, Scores, concat_scores
from lib.core.errors import BadInput
from lib.core.progress import progress
from lib.judge.bootstrap import Interval, bootstrap
from lib.judge.compare import paired_interval
from lib.judge.leakage import fit_record, refuse_self_judged
from lib.judge.metric import judge

Fit = Callable[[Recipe, str, list[EvaluationFold]], ClassWeights]


@dataclass(frozen=True)
class AcceptVerdict:
    """The decision to keep an addition to a blend, with its gain and the gain's interval."""

    keep: bool
    gain: float
    interval: Interval

    def __str__(self) -> str:
        return f"{self.gain:+.4f} {self.interval}, {'surely better' if self.keep else 'not surely better'}"


@dataclass(frozen=True, eq=False)
class StackingResult:
    """The recipe with class weights fitted on all folds, its nested scores, and the decision to keep it."""

    recipe: Recipe
    nested: Scores
    recipes: dict[int, Recipe]  # with the weights fitted without each fold
    verdict: AcceptVerdict


def stack(
    fit: Fit,
    recipe: Recipe,
    mix: str,
    parts: Mapping[str, Scores],
    labels: Labels,
    *,
    plain: Scores,
    by_fold: Mapping[int, Recipe] | None = None,
) -> StackingResult:
    """The recipe with class weights in that mix, scored nested against `plain`, its nested scores without them.

    `by_fold` holds the recipe chosen without each fold, if the recipe itself was searched (`SearchResult.recipes`).
    """
    folds = evaluation_folds(parts, labels)
    if len(folds) < 2:
        raise BadInput(
            "a stacker needs folds to fit on and a fold to score",
            expected="two folds or more",
            got=len(folds),
            do="pass labels of more folds",
        )
    nested, recipes = [], {}
    for n, fold in progress(enumerate(folds), "class weights without each fold", len(folds)):
        others = folds[:n] + folds[n + 1 :]
        seen = [row for other in others for row in other.labels.row_ids]
        refuse_self_judged(fit_record("class weights", seen), fold.labels.row_ids)
        without = recipe if by_fold is None else by_fold[fold.number]
        recipes[fold.number] = _with_weights(without, mix, fit(without, mix, others))
        nested.append(execute_by_fold(recipes[fold.number], [fold]))
    scores = concat_scores(nested)
    whole = _with_weights(recipe, mix, fit(recipe, mix, folds))
    honest, searched_score = (judge(labels, one).macro for one in (scores, execute_by_fold(whole, folds)))
    verdict = decide_acceptance(labels, plain, scores)
    return StackingResult(replace(whole, score=honest, searched_score=searched_score), scores, recipes, verdict)


def decide_acceptance(labels: Labels, plain: Scores, other: Scores) -> AcceptVerdict:
    """Keep the other scores if the interval of their gain over the plain blend, on the same rows, lies above zero."""
    named = {"plain": plain, "other": other}
    drawn = bootstrap(labels, named)
    scored = {name: judge(labels, scores).macro for name, scores in named.items()}
    sure = paired_interval(scored, drawn, "other", "plain")
    return AcceptVerdict(sure.low > 0, scored["other"] - scored["plain"], sure)


def _with_weights(recipe: Recipe, mix: str, weights: ClassWeights) -> Recipe:
    return with_mix(recipe, replace(mix_of(recipe, mix), class_weights=dict(weights)))
