"""Priors and temperatures: exact on log-odds, the same result in probabilities, order alone in ranks."""

import numpy as np
import pytest
from scipy.special import expit, logit

from lib.blend.steps.classes import add_prior, temper
from lib.competition.scores import Scores
from lib.core.errors import BadInput

ROWS = ["w", "x", "y", "z"]


def scores(values, kind):
    values = np.asarray(values, dtype=float)
    return Scores(values, ROWS[: len(values)], list("abc")[: values.shape[1]], kind)


def test_a_prior_of_one_half_changes_nothing_and_others_add_log_odds():
    part = scores([[0.0], [1.0], [-2.0]], "logit")
    prior = scores([[0.5], [0.8], [0.2]], "prob")
    after = add_prior(part, member=prior, strength=0.5).values[:, 0]
    np.testing.assert_allclose(after, [0.0, 1.0 + 0.5 * np.log(4), -2.0 - 0.5 * np.log(4)], rtol=1e-6)


def test_probabilities_take_a_prior_as_their_logits_do():
    odds = np.random.default_rng(0).normal(0, 3, (4, 3))
    prior = scores(np.random.default_rng(1).random((4, 3)), "prob")
    by_logit = add_prior(scores(odds, "logit"), member=prior, strength=0.4)
    by_prob = add_prior(scores(expit(odds), "prob"), member=prior, strength=0.4)
    np.testing.assert_allclose(by_prob.values, expit(by_logit.values), atol=1e-6)


def test_certain_scores_stay_and_a_certain_prior_counts_as_one_in_ten_thousand():
    certain = scores([[0.0, 1.0, 0.5]], "prob")
    prior = scores([[1.0, 0.0, 0.0]], "prob")
    after = add_prior(certain, member=prior, strength=1.0).values[0]
    np.testing.assert_allclose(after, [0.0, 1.0, 1e-4], rtol=1e-5)


def test_ranks_take_a_prior_as_probabilities_and_the_topmost_row_can_be_moved():
    ranks = scores([[0.25], [0.5], [0.75], [1.0]], "rank")
    prior = scores([[0.5], [0.5], [0.9], [0.001]], "prob")
    after = add_prior(ranks, member=prior, strength=2.0)
    assert after.kind == "rank"
    np.testing.assert_allclose(after.values[:2, 0], [0.25, 0.5], rtol=1e-6)
    assert after.values[2, 0] == pytest.approx(expit(logit(0.75) + 2 * logit(0.9)))
    assert after.values[3, 0] < after.values[0, 0]


def test_a_prior_must_be_probabilities():
    part = scores([[0.5]], "prob")
    for kind in ("rank", "logit"):
        with pytest.raises(BadInput, match="prior"):
            add_prior(part, member=scores([[0.5]], kind), strength=0.4)


def test_a_temperature_divides_the_log_odds_of_the_named_classes():
    odds = np.array([[2.0, 2.0, -3.0]])
    np.testing.assert_allclose(
        temper(scores(odds, "logit"), labels=["c", "a"], temperature=2.0).values, [[1.0, 2.0, -1.5]]
    )
    warm = temper(scores(expit(odds), "prob"), labels=["a"], temperature=0.5)
    np.testing.assert_allclose(warm.values, expit([[4.0, 2.0, -3.0]]), rtol=1e-6)
    edges = temper(scores([[0.0, 1.0]], "prob"), labels=["a", "b"], temperature=3.0)
    assert edges.values.tolist() == [[0.0, 1.0]]
