"""A recipe with precomputed parts has the same result as the recipe itself, for any weights."""

from dataclasses import replace

import numpy as np
import pytest

from lib.blend.evaluate import evaluation_folds, execute_by_fold
from lib.blend.recipe import Mix, Part, Step
from lib.blend.search.objective import fixed_parts, precompute_fixed_parts
from lib.blend.search.space import with_weights
from tests.support.tinyblend import labels_of, noisy_scores, recipe_of

SMOOTH = Step("smooth_windows", {"sigma": 0.5})
SCALE = Step("scale_by_file", {"top_windows": 2, "power": 0.4})


@pytest.fixture
def folds():
    labels = labels_of()
    parts = {name: noisy_scores(labels, 1.0, n) for n, name in enumerate("pqr")}
    return evaluation_folds(parts, labels)


@pytest.mark.parametrize("space", ["rank", "logit", "prob", "geometric"])
@pytest.mark.parametrize("weights", [(1.0, 0.0, 0.0), (0.2, 0.3, 0.5)])
def test_the_result_is_the_same_for_any_weights(folds, space, weights):
    recipe = recipe_of("pqr", space=space, part_steps=[SMOOTH], steps=[] if space == "logit" else [SCALE])
    recipe = replace(recipe, mixes=[replace(recipe.mixes[0], class_weights={"b": [0.1, 0.9, 0.0]})])
    precomputed, precomputed_folds = precompute_fixed_parts(recipe, "all", folds)
    results = [
        execute_by_fold(with_weights(one, "all", weights), some).values
        for one, some in ((recipe, folds), (precomputed, precomputed_folds))
    ]
    np.testing.assert_allclose(*results, atol=1e-6)


def test_mixes_before_and_after_and_steps_that_read_them_are_kept(folds):
    recipe = recipe_of("pqr", space="logit")
    top = Mix("top", "rank", [Part("all", 0.4731, [SMOOTH]), Part("q", 0.5269)])
    look = Step(
        "gate_window", {"member": "all ranks", "member_against": "top", "above": 0.5, "below": 0.9, "share": 0.5}
    )
    ranks = Mix("all ranks", "rank", [Part("all", 1.0)])
    last = Mix("last", "rank", [Part("top", 0.7193), Part("p", 0.2807)], [look])
    recipe = replace(recipe, mixes=[*recipe.mixes, ranks, top, last])
    for mix, weights in (("top", (0.1327, 0.8673)), ("last", (0.4119, 0.5881)), ("all", (0.0, 0.4, 0.6))):
        precomputed, precomputed_folds = precompute_fixed_parts(recipe, mix, folds)
        results = [
            execute_by_fold(with_weights(one, mix, weights), some).values
            for one, some in ((recipe, folds), (precomputed, precomputed_folds))
        ]
        np.testing.assert_allclose(*results, atol=1e-6)


def test_the_parts_are_what_the_mix_reads(folds):
    recipe = recipe_of("pqr", space="logit", part_steps=[SMOOTH])
    precomputed, precomputed_folds = precompute_fixed_parts(recipe, "all", folds)
    parts = [part.values for part in fixed_parts(precomputed, "all", precomputed_folds[1])]
    np.testing.assert_allclose(np.mean(parts, axis=0), recipe.execute(folds[1].parts).scores.values, atol=1e-6)
