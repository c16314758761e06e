"""Searches find what is there, twice the same, and are scored only on folds that they did not choose on."""

import sys
from itertools import pairwise

import numpy as np
import pytest

from lib.blend.evaluate import evaluate, evaluation_folds
from lib.blend.recipe import Step
from lib.blend.search.methods import ROUNDS, ascent, greedy
from lib.blend.search.nested import METHODS, excess_weights, search
from lib.blend.search.objective import Objective
from lib.blend.search.space import Candidate, SearchParameter, SearchSpace
from lib.competition.scores import Labels
from lib.core.errors import BadInput
from lib.judge.metric import judge
from tests.support.tinyblend import labels_of, noisy_scores, recipe_of

SMOOTH = Step("smooth_windows", {"sigma": 0.5})
SIGMA = SearchParameter("all", "smooth_windows", "sigma", (0.0, 0.5, 2.0))


@pytest.fixture(params=sorted(METHODS))
def method(request, monkeypatch):
    if request.param == "tpe":
        pytest.importorskip("optuna")
        monkeypatch.setattr("lib.blend.search.methods.TRIALS", 25)
    return request.param


def members(labels, *noise, first=0):
    return {
        name: noisy_scores(labels, size, first + n)
        for n, (name, size) in enumerate(zip("pqrstuvw", noise, strict=False))
    }


def test_the_better_member_gets_the_weight(method):
    labels = labels_of()
    found = search(SearchSpace(recipe_of("pq"), "all"), members(labels, 50.0, 0.5), labels, method=method)
    assert found.candidate.weights[1] >= 0.8
    assert found.nested_score > 0.9
    assert found.recipe.mixes[0].parts[1].weight == found.candidate.weights[1]
    assert (found.recipe.searched_score, found.recipe.score) == (found.searched_score, found.nested_score)


def test_two_members_with_independent_errors_are_both_used(method):
    labels = labels_of()
    found = search(SearchSpace(recipe_of("pqr"), "all"), members(labels, 1.0, 1.0, 40.0), labels, method=method)
    assert min(found.candidate.weights[:2]) > 0.25
    assert found.candidate.weights[2] < 0.2


def test_a_parameter_is_set_where_it_helps(method):
    labels = labels_of()
    lasting = Labels(np.repeat(labels.values[::12], 12, axis=0), labels.row_ids, labels.classes, labels.strata)
    space, chosen = SearchSpace(recipe_of("pq", steps=[SMOOTH]), "all", (SIGMA,)), []
    for truth in (lasting, labels):
        found = search(space, members(truth, 1.5, 1.5), truth, method=method)
        assert found.recipe.mixes[0].steps[0].parameters["sigma"] == found.candidate.values[0]
        chosen += found.candidate.values
    assert chosen[0] > 0.5
    assert chosen[0] > 1.5 * chosen[1]


def test_the_same_seed_gives_the_same_result(method):
    labels = labels_of(rate=0.2)
    space, parts = SearchSpace(recipe_of("pqr", steps=[SMOOTH]), "all", (SIGMA,)), members(labels, 2.0, 2.0, 3.0)
    first, again = (search(space, parts, labels, method=method, seed=3) for _ in range(2))
    assert (first.candidate, first.by_fold, first.evaluated) == (again.candidate, again.by_fold, again.evaluated)
    np.testing.assert_array_equal(first.nested.values, again.nested.values)


def test_a_fold_is_scored_by_a_choice_that_did_not_see_it(method):
    """Invert one fold's labels: its own nested values may not change, for they were chosen elsewhere."""
    labels = labels_of(seed=2)
    parts = members(labels, 1.0, 1.3, 1.6)
    here = labels.strata == 1
    turned = Labels(
        np.where(here[:, None], ~labels.values, labels.values), labels.row_ids, labels.classes, labels.strata
    )
    space = SearchSpace(recipe_of("pqr"), "all")
    before, after = (search(space, parts, truth, method=method) for truth in (labels, turned))
    assert before.by_fold[1] == after.by_fold[1]
    np.testing.assert_array_equal(before.nested.values[here], after.nested.values[here])
    assert before.by_fold != after.by_fold


def test_on_pure_noise_the_search_is_optimistic_and_the_nested_score_is_not():
    searched, nested = [], []
    for seed in range(10):
        labels = labels_of(seed, files=3)
        found = search(SearchSpace(recipe_of("pqr"), "all"), members(labels, 1e6, 1e6, 1e6), labels)
        searched.append(found.searched_score)
        nested.append(found.nested_score)
    assert np.mean(searched) > 0.52
    assert np.mean(nested) < np.mean(searched) - 0.02


def test_searched_and_nested_scores_are_those_of_the_returned_recipe():
    labels = labels_of()
    parts = members(labels, 1.0, 1.5)
    space = SearchSpace(recipe_of("pq"), "all")
    found = search(space, parts, labels)
    assert found.searched_score == judge(labels, evaluate(found.recipe, parts, labels)).macro
    assert found.nested_score == judge(labels, found.nested).macro
    for fold, candidate in found.by_fold.items():
        rows = [row for row, number in zip(labels.row_ids, labels.strata, strict=True) if number == fold]
        assert found.recipes[fold] == space.recipe_with(candidate)
        expected = evaluate(found.recipes[fold], parts, labels).take(rows)
        np.testing.assert_array_equal(found.nested.take(rows).values, expected.values)
    assert found.optimism == found.searched_score - found.nested_score
    assert f"optimism {found.optimism:+.4f}" in str(found)


def test_no_exchange_improves_what_ascent_found():
    labels = labels_of(rate=0.2)
    space, parts = SearchSpace(recipe_of("pqr"), "all"), members(labels, 1.0, 1.3, 2.0)
    found = search(space, parts, labels, method="ascent")
    objective = Objective(space, evaluation_folds(parts, labels))
    best = objective.scores([found.candidate], (0, 1, 2))[0]
    for giver, taker in ((0, 1), (1, 2), (0, 2)):
        assert objective.line(found.candidate, giver, taker, (0, 1, 2))[1].max() <= best + 1e-12


def test_where_nothing_can_be_gained_ascent_stays():
    labels = labels_of()
    part = noisy_scores(labels, 1.0)
    space = SearchSpace(recipe_of("pq", weights=[0.3, 0.7]), "all")
    objective = Objective(space, evaluation_folds({"p": part, "q": part}, labels))
    assert ascent(objective, space.start, (0, 1, 2), 0) == space.start


def test_greedy_returns_the_best_bag_on_the_way(monkeypatch):
    monkeypatch.setattr("lib.blend.search.methods.ROUNDS", 3)
    labels = labels_of(files=3)
    space = SearchSpace(recipe_of("pq", weights=[0.1, 0.9]), "all")
    objective = Objective(space, evaluation_folds(members(labels, 1.0, 1.0), labels))
    even, *rest = (Candidate(weights) for weights in ((500, 500), (667, 333), (333, 667)))
    assert objective.scores([even], (0, 1, 2)) > objective.scores(rest, (0, 1, 2)).max()
    assert greedy(objective, space.start, (0, 1, 2), 0) == even


def test_a_parameter_stays_where_it_is_when_no_value_is_better():
    labels = labels_of()
    sharp = Step("smooth_windows", {"sigma": 0.0})
    wide = SearchParameter("all", "smooth_windows", "sigma", (2.0, 4.0))
    found = search(SearchSpace(recipe_of("pq", steps=[sharp]), "all", (wide,)), members(labels, 1.0, 1.0), labels)
    assert found.candidate.values == (0.0,)


def test_greedy_takes_the_best_first_and_counts_how_often():
    """q alone is perfect: it is selected first, and nothing that comes later is better than it alone."""
    labels = labels_of()
    found = search(SearchSpace(recipe_of("pq"), "all"), members(labels, 3.0, 1e-3), labels)
    assert found.candidate.permille == (0, 1000)


def test_greedy_weights_are_counts_of_a_bag():
    labels = labels_of(rate=0.2)
    found = search(SearchSpace(recipe_of("pqr"), "all"), members(labels, 1.0, 1.2, 1.4), labels)
    sizes = [
        size
        for size in range(1, ROUNDS + 1)
        if all(abs(weight * size - round(weight * size)) < 0.011 for weight in found.candidate.weights)
    ]
    assert sizes
    assert min(found.candidate.weights[:2]) > 0


def test_excess_weights_follow_the_lower_ends():
    assert excess_weights([0.4, 0.7, 0.6], "abc") == pytest.approx((0.0, 2 / 3, 1 / 3))
    assert excess_weights([0.4, 0.5], "ab") == (0.5, 0.5)


def test_too_few_folds_and_unknown_methods_are_refused():
    labels = labels_of(folds=2)
    space, parts = SearchSpace(recipe_of("pq"), "all"), members(labels, 1.0, 1.0)
    search(space, parts, labels)
    one = labels.take(labels.row_ids[:24])
    with pytest.raises(BadInput, match="fold to judge on"):
        search(space, parts, one)
    with pytest.raises(BadInput, match="unknown method"):
        search(space, parts, labels, method="magic")


def test_without_optuna_the_error_names_the_fix(monkeypatch):
    labels = labels_of()
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(BadInput, match="requirements-dev"):
        search(SearchSpace(recipe_of("pq"), "all"), members(labels, 1.0, 1.0), labels, method="tpe")


def test_tpe_tries_the_start_first_and_keeps_within_the_ranges(monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.setattr("lib.blend.search.methods.TRIALS", 8)
    labels = labels_of()
    space = SearchSpace(recipe_of("pqr", steps=[SMOOTH], weights=[0.6, 0.3, 0.1]), "all", (SIGMA,))
    objective = Objective(space, evaluation_folds(members(labels, 1.0, 1.0, 1.0), labels))
    scored, scores = [], objective.scores
    monkeypatch.setattr(
        objective, "scores", lambda candidates, chosen: scored.extend(candidates) or scores(candidates, chosen)
    )
    METHODS["tpe"](objective, space.start, (0, 1), 0)
    assert scored[0] == Candidate((600, 300, 100), (0.5,))
    assert all(0.0 <= candidate.values[0] <= 2.0 for candidate in scored)
    assert all(one != other for one, other in pairwise(scored))


def test_members_of_one_vote_group_share_one_vote():
    alone = excess_weights([0.6, 0.7], ["perch", "own"])
    together = excess_weights([0.6, 0.6, 0.6, 0.7], ["perch", "perch", "perch", "own"])
    assert sum(together[:3]) == pytest.approx(alone[0])
    assert together[3] == pytest.approx(alone[1])
    assert excess_weights([0.4, 0.5], ["a", "a"]) == (0.5, 0.5)
