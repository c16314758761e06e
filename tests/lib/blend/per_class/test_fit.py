"""Class weights go to members that predict the class, sum to one, and shrink to the mix's where positives are few."""

import numpy as np
import pytest
from scipy.special import expit

from lib.blend.evaluate import evaluation_folds
from lib.blend.mix import mix
from lib.blend.per_class.fit import RegressionSettings, _logistic, _ridge, regression_fit
from lib.competition.scores import Labels
from lib.core.errors import BadInput
from tests.lib.blend.per_class.test_accept import complementary
from tests.support.tinyblend import labels_of, noisy_scores, recipe_of

ALONE = [["a"], ["b"], ["c"], ["d"]]
FREE = {method: RegressionSettings(method, half_at=0.0) for method in ("ridge", "logistic")}
FITS = {
    "ridge": lambda groups, half_at=0.0: regression_fit(groups, RegressionSettings("ridge", half_at=half_at)),
    "logistic": lambda groups, half_at=0.0: regression_fit(groups, RegressionSettings("logistic", half_at=half_at)),
}


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize("space", ["rank", "logit"])
def test_each_class_gives_its_weight_to_the_member_that_predicts_it(method, space):
    labels = labels_of()
    parts = complementary(labels)
    weights = FITS[method](ALONE)(recipe_of("pq", space=space), "all", evaluation_folds(parts, labels))
    for label, expected in (("a", 0), ("b", 0), ("c", 1), ("d", 1)):
        assert weights[label][expected] > 0.6
        assert sum(weights[label]) == pytest.approx(1.0, abs=1e-12)
        assert min(weights[label]) >= 0
    mix([parts["p"], parts["q"]], [0.5, 0.5], space=space, class_weights=weights)


@pytest.mark.parametrize("method", FITS)
def test_a_group_shares_its_weights_and_a_class_in_no_group_has_none(method):
    labels = labels_of()
    weights = FITS[method]([["a", "b"], ["d"]])(recipe_of("pq"), "all", evaluation_folds(complementary(labels), labels))
    assert set(weights) == {"a", "b", "d"}
    assert weights["a"] == weights["b"]
    assert weights["a"][0] > 0.6
    assert weights["d"][1] > 0.6


@pytest.mark.parametrize("method", FITS)
def test_weights_are_shrunk_by_half_at_so_many_positives(method):
    labels = labels_of()
    parts, recipe = complementary(labels), recipe_of("pq", weights=[0.2, 0.8])
    folds, positives = evaluation_folds(parts, labels), int(labels.values[:, 0].sum())
    free, half = (FITS[method]([["a"]], half_at)(recipe, "all", folds)["a"] for half_at in (0.0, float(positives)))
    assert half[0] == pytest.approx((free[0] + 0.2) / 2, abs=0.0011)


@pytest.mark.parametrize("method", FITS)
def test_a_class_without_pairs_keeps_the_mixs_weights(method):
    labels = labels_of()
    truth = labels.values & np.array([True, False, True, True])
    silent = Labels(truth, labels.row_ids, labels.classes, labels.strata)
    weights = FITS[method](ALONE)(recipe_of("pq"), "all", evaluation_folds(complementary(labels), silent))
    assert set(weights) == {"a", "c", "d"}


@pytest.mark.parametrize("method", ["ridge", "logistic"])
def test_members_of_other_scales_and_folds_of_other_offsets_are_weighted_alike(method):
    """In logits a member of larger scale needs a smaller weight for the same influence."""
    labels = labels_of()
    p, q = noisy_scores(labels, 1.0, 0), noisy_scores(labels, 1.0, 1)
    loud = q.with_values(10.0 * q.values + 50.0 * np.asarray(labels.strata)[:, None])
    fit, recipe = FITS[method](ALONE), recipe_of("pq", space="logit")
    plain, scaled = (fit(recipe, "all", evaluation_folds({"p": p, "q": part}, labels)) for part in (q, loud))
    for label in labels.classes:
        ratio = plain[label][1] / plain[label][0]
        assert scaled[label][1] / scaled[label][0] == pytest.approx(ratio / 10, rel=0.05)


@pytest.mark.parametrize("method", ["ridge", "logistic"])
def test_a_flat_member_gets_nothing_and_one_that_is_wrong_neither(method):
    labels = labels_of()
    p = noisy_scores(labels, 1.0)
    flat, wrong = p.with_values(np.zeros_like(p.values)), p.with_values(-noisy_scores(labels, 1.0, 1).values)
    parts = {"p": p, "flat": flat, "wrong": wrong}
    weights = FITS[method](ALONE)(recipe_of(list(parts), space="logit"), "all", evaluation_folds(parts, labels))
    assert all(weights[label] == [1.0, 0.0, 0.0] for label in labels.classes)


def test_ridge_is_the_closed_form_where_nothing_is_negative():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(60, 3))
    truth = table @ [1.0, 2.0, 0.5] + 0.1 * rng.normal(size=60)
    expected = np.linalg.solve(table.T @ table + 5.0 * np.eye(3), table.T @ (truth - truth.mean()))
    np.testing.assert_allclose(_ridge(table, truth, 5.0), expected, rtol=1e-6)


def test_logistic_is_where_the_slope_vanishes():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(400, 2))
    truth = rng.random(400) < expit(table @ [1.0, 2.0] - 1.0)
    found = _logistic(table, truth, 1.0)
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LogisticRegression(C=1.0, tol=1e-8).fit(table, truth)
    np.testing.assert_allclose(found, model.coef_[0], rtol=1e-3)


def test_what_cannot_be_regressed_is_refused():
    labels = labels_of()
    folds = evaluation_folds(complementary(labels), labels)
    with pytest.raises(BadInput, match="unknown method"):
        regression_fit(ALONE, RegressionSettings("magic"))
    with pytest.raises(BadInput, match="rank or logit"):
        regression_fit(ALONE)(recipe_of("pq", space="geometric"), "all", folds)
