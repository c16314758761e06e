"""The objective: counted or executed, it is the judge's score of the recipe on the given folds."""

from dataclasses import replace

import numpy as np
import pytest

from lib.blend.evaluate import evaluate, evaluation_folds
from lib.blend.recipe import Step
from lib.blend.search.objective import Objective, exchange_weight
from lib.blend.search.space import Candidate, SearchParameter, SearchSpace
from lib.competition.scores import Labels
from lib.judge.metric import judge
from tests.support.tinyblend import labels_of, noisy_scores, recipe_of

SMOOTH = Step("smooth_windows", {"sigma": 0.5})
SIGMA = SearchParameter("all", "smooth_windows", "sigma", (0.0, 1.0))
CHOICES = [
    Candidate(weights, (sigma,)) for weights in ((1000, 0, 0), (307, 312, 381), (0, 453, 547)) for sigma in (0.0, 1.0)
]


@pytest.fixture
def labels():
    """Folds of unequal size: a class is present in one alone, and one fold has soundscapes without all labels."""
    whole = labels_of(folds=3, files=3)
    truth = whole.values.copy()
    truth[40:, 3] = False
    strata = np.repeat([0, 1, 2], [48, 24, 36])
    kept = [row for n, row in enumerate(whole.row_ids) if n % 7 != 5]
    return Labels(truth, whole.row_ids, whole.classes, strata).take(kept)


@pytest.fixture
def parts(labels):
    whole = labels_of(folds=3, files=3)
    return {name: noisy_scores(whole, noise, n) for n, (name, noise) in enumerate((("p", 1.0), ("q", 1.5), ("r", 9.0)))}


@pytest.mark.parametrize(
    ("steps", "part_steps", "counts_pairs"), [([], [SMOOTH], True), ([SMOOTH], [], False)], ids=["counted", "executed"]
)
@pytest.mark.parametrize("chosen", [(0, 1, 2), (0, 2), (1,)], ids=str)
def test_it_is_the_judges_score_on_those_folds(labels, parts, steps, part_steps, counts_pairs, chosen):
    space = SearchSpace(recipe_of("pqr", steps=steps, part_steps=part_steps), "all", (SIGMA,))
    objective = Objective(space, evaluation_folds(parts, labels))
    assert objective.counts_pairs is counts_pairs
    rows = [row for row, fold in zip(labels.row_ids, labels.strata, strict=True) if fold in chosen]
    expected = [
        judge(labels.take(rows), evaluate(space.recipe_with(candidate), parts, labels)).macro for candidate in CHOICES
    ]
    np.testing.assert_allclose(objective.scores(CHOICES, chosen), expected, atol=1e-6)
    assert objective.evaluated == len(CHOICES)


@pytest.mark.parametrize("step", [[], [SMOOTH]], ids=["counted", "executed"])
def test_a_line_is_scored_as_its_points_are(labels, parts, step):
    objective = Objective(SearchSpace(recipe_of("pqr", steps=step), "all"), evaluation_folds(parts, labels))
    start = Candidate((200, 300, 500))
    moved, macro = objective.line(start, 1, 2, (0, 2))
    assert moved[0] == -500
    assert moved[-1] == 300
    assert 0 in moved
    points = [exchange_weight(start, 1, 2, int(step)) for step in moved[::7]]
    np.testing.assert_allclose(macro[::7], objective.scores(points, (0, 2)), atol=1e-9)


def test_a_candidate_is_executed_once_for_any_number_of_folds(labels, parts, monkeypatch):
    objective = Objective(SearchSpace(recipe_of("pqr", space="logit"), "all"), evaluation_folds(parts, labels))
    objective.scores([Candidate((200, 300, 500))], (0, 1))
    monkeypatch.setattr("lib.blend.search.objective.count_won_pairs", None)
    objective.scores([Candidate((200, 300, 500))], (1, 2))


def test_a_fold_without_pairs_adds_nothing(labels, parts):
    truth = labels.values.copy()
    truth[labels.strata == 1] = False
    silent = Labels(truth, labels.row_ids, labels.classes, labels.strata)
    objective = Objective(SearchSpace(recipe_of("pqr"), "all"), evaluation_folds(parts, silent))
    candidate = [Candidate((200, 300, 500))]
    assert objective.scores(candidate, (0, 1, 2)) == objective.scores(candidate, (0, 2))
    assert replace(objective.folds[1]).pairs.sum() == 0
