"""Class weights are scored on the fold left out, and kept only if the interval of their gain lies above zero."""

from dataclasses import replace

import numpy as np
import pytest

from lib.blend.evaluate import evaluate
from lib.blend.per_class.accept import decide_acceptance, stack
from lib.core.errors import BadInput
from lib.judge.metric import judge
from tests.support.tinyblend import labels_of, noisy_scores, recipe_of


def complementary(labels):
    """p predicts classes a and b, q predicts c and d; elsewhere each is noise."""
    p, q, noise = (noisy_scores(labels, size, seed) for seed, size in enumerate((1.0, 1.0, 1e3)))
    first = np.array([True, True, False, False])
    return {
        "p": p.with_values(np.where(first, p.values, noise.values)),
        "q": q.with_values(np.where(first, noise.values, q.values)),
    }


BEST = {"a": [1.0, 0.0], "b": [1.0, 0.0], "c": [0.0, 1.0], "d": [0.0, 1.0]}


def test_class_weights_that_surely_help_are_kept_and_stand_in_the_recipe():
    labels = labels_of()
    parts, recipe = complementary(labels), recipe_of("pq")
    plain = evaluate(recipe, parts, labels)
    made = stack(lambda recipe, mix, folds: BEST, recipe, "all", parts, labels, plain=plain)
    assert made.recipe.mixes[0].class_weights == BEST
    assert made.verdict.keep
    assert str(made.verdict).startswith("+")
    assert str(made.verdict).endswith(", surely better")
    np.testing.assert_array_equal(made.nested.values, evaluate(made.recipe, parts, labels).values)
    assert made.verdict.gain == pytest.approx(judge(labels, made.nested).macro - judge(labels, plain).macro)
    assert made.recipe.score == judge(labels, made.nested).macro


def test_the_searched_score_is_that_on_the_folds_that_the_weights_were_fitted_on():
    labels = labels_of()
    parts, recipe = complementary(labels), recipe_of("pq")

    def fit(recipe, mix, folds):
        return BEST if len(folds) == 3 else {}

    plain = evaluate(recipe, parts, labels)
    made = stack(fit, recipe, "all", parts, labels, plain=plain)
    assert made.recipe.searched_score == judge(labels, evaluate(made.recipe, parts, labels)).macro
    assert made.recipe.score == judge(labels, plain).macro < made.recipe.searched_score


def test_weights_that_change_nothing_are_not_kept():
    labels = labels_of()
    parts, recipe = complementary(labels), recipe_of("pq")
    same = stack(lambda *_: {"a": [0.5, 0.5]}, recipe, "all", parts, labels, plain=evaluate(recipe, parts, labels))
    assert not same.verdict.keep
    assert same.verdict.gain == 0.0
    assert str(same.verdict).endswith("not surely better")


def test_a_gain_that_is_not_sure_is_not_kept():
    labels = labels_of()
    noise = [noisy_scores(labels, 1e6, seed) for seed in range(6)]
    _, _, low, high, _, _ = sorted(noise, key=lambda scores: judge(labels, scores).macro)
    verdict = decide_acceptance(labels, low, high)
    assert verdict.gain > 0
    assert not verdict.keep


def test_each_fold_is_scored_by_weights_fitted_on_the_others_on_top_of_the_recipe_chosen_there():
    labels = labels_of()
    parts, recipe = complementary(labels), recipe_of("pq")
    by_fold = {fold: replace(recipe, name=f"without {fold}") for fold in (0, 1, 2)}
    requested = []

    def fit(given, mix, folds):
        requested.append((given.name, mix, [fold.number for fold in folds]))
        return BEST if given.name == "without 1" else {}

    plain = evaluate(recipe, parts, labels)
    made = stack(fit, recipe, "all", parts, labels, plain=plain, by_fold=by_fold)
    assert requested == [
        ("without 0", "all", [1, 2]),
        ("without 1", "all", [0, 2]),
        ("without 2", "all", [0, 1]),
        ("bold", "all", [0, 1, 2]),
    ]
    assert [made.recipes[fold].mixes[0].class_weights for fold in (0, 1, 2)] == [{}, BEST, {}]
    changed = (made.nested.values != plain.values).any(axis=1)
    assert set(labels.strata[changed].tolist()) == {1}


def test_one_fold_is_not_enough_for_a_stacker():
    labels = labels_of(folds=1)
    parts = complementary(labels)
    with pytest.raises(BadInput, match="fold to score"):
        stack(lambda *_: {}, recipe_of("pq"), "all", parts, labels, plain=parts["p"])
