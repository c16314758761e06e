"""A recipe is scored within each fold: offsets of the folds' models have no effect, sums of won pairs are AUC."""

import numpy as np
import pytest

from lib.blend.evaluate import count_won_pairs, evaluate, evaluation_folds, macro_of_won_pairs
from lib.blend.recipe import Step
from lib.competition.scores import Labels, concat_scores
from lib.core.errors import BadInput
from lib.judge.metric import judge
from tests.support.tinyblend import labels_of, noisy_scores, recipe_of

SMOOTH = Step("smooth_windows", {"sigma": 0.7})


def offset_by_fold(part, labels, size):
    """The same member, each fold's model on a scale of its own."""
    return part.with_values(part.values + size * np.asarray(labels.strata)[:, None])


def test_the_offset_of_a_folds_model_changes_nothing():
    labels = labels_of()
    p, q = (noisy_scores(labels, 1.0, seed) for seed in (0, 1))
    recipe = recipe_of("pq", steps=[SMOOTH])
    plain = evaluate(recipe, {"p": p, "q": q}, labels)
    moved = evaluate(recipe, {"p": offset_by_fold(p, labels, 100.0), "q": q}, labels)
    np.testing.assert_array_equal(plain.values, moved.values)


def test_each_folds_rows_are_as_if_there_were_no_others():
    labels = labels_of()
    parts, recipe = {name: noisy_scores(labels, 1.0, n) for n, name in enumerate("pq")}, recipe_of("pq", steps=[SMOOTH])
    whole = evaluate(recipe, parts, labels)
    alone = [
        recipe.execute({name: part.take(labels.row_ids[at : at + 24]) for name, part in parts.items()}).scores
        for at in (0, 24, 48)
    ]
    np.testing.assert_array_equal(whole.values, concat_scores(alone).values)


def test_windows_without_a_label_are_scored_with_their_soundscape_and_other_soundscapes_are_not():
    labels = labels_of()
    parts = {name: noisy_scores(labels, 1.0, n) for n, name in enumerate("pq")}
    some = labels.take([row for n, row in enumerate(labels.row_ids) if n % 12 != 3 and n < 48])
    scores = evaluate(recipe_of("pq", steps=[SMOOTH]), parts, some)
    assert scores.row_ids == labels.row_ids[:48]


def test_won_pairs_add_up_to_the_judges_score_on_any_folds():
    labels = labels_of()
    parts, recipe = {name: noisy_scores(labels, 1.0, n) for n, name in enumerate("pq")}, recipe_of("pq")
    folds, scores = evaluation_folds(parts, labels), evaluate(recipe, parts, labels)
    won = count_won_pairs(recipe, folds)
    for chosen in ([0, 1, 2], [0, 2], [1]):
        rows = [row for row, fold in zip(labels.row_ids, labels.strata, strict=True) if fold in chosen]
        assert macro_of_won_pairs(won[chosen], [folds[n] for n in chosen]) == pytest.approx(
            judge(labels.take(rows), scores).macro, abs=1e-12
        )


def test_folds_where_nothing_can_be_scored_are_refused():
    labels = labels_of()
    silent = Labels(np.zeros_like(labels.values), labels.row_ids, labels.classes, labels.strata)
    folds = evaluation_folds({"p": noisy_scores(labels, 1.0)}, silent)
    with pytest.raises(BadInput, match="no class can be scored"):
        macro_of_won_pairs(np.zeros((3, 4)), folds)
