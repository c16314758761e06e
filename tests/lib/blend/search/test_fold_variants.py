"""A recipe's variant for a fold is fitted without its labels, and its nested score uses just that variant."""

from dataclasses import replace

import numpy as np
import pytest

from lib.blend.evaluate import evaluate
from lib.blend.recipe import Step
from lib.blend.search.nested import (
    excess_weights,
    lower_bound_weights,
    nested_scores,
    refit_without_each_fold,
    safe_recipe,
    with_fold_variants,
)
from lib.competition.prepared import load_prepared
from lib.competition.scores import Labels
from lib.core.errors import BadInput
from lib.judge.bootstrap import bootstrap, interval
from lib.judge.metric import judge
from tests.support.tinyblend import labels_of, noisy_scores, recipe_of

LABELS = labels_of()
PARTS = {
    name: noisy_scores(LABELS, noise, n) for n, (name, noise) in enumerate(zip("pqr", (0.3, 1.0, 3.0), strict=True))
}
VOTE_GROUPS = ["p", "q", "q"]


def by_lower_bounds(seen):
    return recipe_of("pqr", weights=list(lower_bound_weights(seen, PARTS, VOTE_GROUPS)))


def test_each_folds_recipe_is_made_of_the_other_folds_labels():
    seen = refit_without_each_fold(lambda labels: labels, LABELS)
    assert list(seen) == [0, 1, 2]
    for fold, labels in seen.items():
        here = LABELS.strata != fold
        assert labels.row_ids == tuple(np.array(LABELS.row_ids)[here])
        np.testing.assert_array_equal(labels.values, LABELS.values[here])
        np.testing.assert_array_equal(labels.strata, LABELS.strata[here])


@pytest.mark.parametrize("fold", [0, 2])
def test_a_folds_labels_have_no_part_in_its_recipe(fold):
    turned = np.where(LABELS.strata[:, None] == fold, ~LABELS.values, LABELS.values)
    before = refit_without_each_fold(by_lower_bounds, LABELS)
    after = refit_without_each_fold(by_lower_bounds, Labels(turned, LABELS.row_ids, LABELS.classes, LABELS.strata))
    assert [number for number in before if before[number] == after[number]] == [fold]


def test_a_recording_in_two_folds_is_refused():
    split = Labels(LABELS.values, LABELS.row_ids, LABELS.classes, np.arange(len(LABELS.row_ids)) % 2)
    with pytest.raises(BadInput, match="fitted on"):
        refit_without_each_fold(by_lower_bounds, split)


def test_lower_bound_weights_are_how_far_the_intervals_lower_ends_lie_above_chance():
    drawn = bootstrap(LABELS, PARTS)
    low = [interval(judge(LABELS, part).macro, drawn[name]).low for name, part in PARTS.items()]
    weights = lower_bound_weights(LABELS, PARTS, VOTE_GROUPS)
    assert weights == excess_weights(low, VOTE_GROUPS)
    assert weights[0] > weights[1] > weights[2]


def test_nested_scores_are_each_folds_by_its_own_recipe():
    weights = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    by_fold = {fold: recipe_of("pqr", weights=of_fold) for fold, of_fold in enumerate(weights)}
    result = nested_scores(by_fold, PARTS, LABELS)
    assert result.row_ids == LABELS.row_ids
    for fold, recipe in by_fold.items():
        here = LABELS.strata == fold
        np.testing.assert_array_equal(result.values[here], evaluate(recipe, PARTS, LABELS).values[here])


def test_a_recipe_holds_its_variants_without_each_fold():
    by_fold, recipe = refit_without_each_fold(by_lower_bounds, LABELS), by_lower_bounds(LABELS)
    knowing = with_fold_variants(recipe, by_fold)
    assert {fold: knowing.for_fold(fold) for fold in by_fold} == by_fold
    assert replace(knowing, by_fold={}) == recipe


def test_the_safe_recipe_weighs_members_by_their_lower_bounds(prepared_folder):
    prepared, members = load_prepared(prepared_folder), recipe_of("pqr").members
    steps = [Step("smooth_windows", {"sigma": 0.5})]
    made = safe_recipe(LABELS, PARTS, VOTE_GROUPS, members=members, steps=steps, prior="p", prepared=prepared)
    assert tuple(made.weights.values()) == lower_bound_weights(LABELS, PARTS, VOTE_GROUPS)
    assert (made.fold_version, made.class_hash) == (prepared.folds.version, prepared.classes.hash)
    assert made.mixes[0].steps == steps
    assert made.searched_score is None
