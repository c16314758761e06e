"""Ranks are compared class by class, and a gate lies between what rounding does and what it must not do."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from lib.models.runtime.agreement import RuntimeAgreement, rank_agreement, runtime_agreement


def test_it_is_spearmans_correlation_of_each_class_ties_included():
    rng = np.random.default_rng(0)
    truth, values = rng.integers(0, 9, (60, 5)), rng.integers(0, 9, (60, 5))
    expected = [spearmanr(truth[:, n], values[:, n]).statistic for n in range(5)]
    np.testing.assert_allclose(rank_agreement(truth, values), expected)


def test_a_class_that_became_constant_does_not_agree_and_one_that_always_was_does():
    truth, values = np.array([[1.0, 1.0], [2.0, 1.0]]), np.array([[1.0, 3.0], [1.0, 3.0]])
    np.testing.assert_array_equal(rank_agreement(truth, values), [0.0, 1.0])


def test_not_a_number_does_not_agree():
    truth, values = np.array([[1.0], [2.0]]), np.array([[1.0], [np.nan]])
    assert rank_agreement(truth, values).tolist() == [0.0]
    assert not runtime_agreement(truth, values).equivalent


def test_the_median_and_the_5th_percentile_of_classes_are_reported_with_the_windows():
    rng = np.random.default_rng(1)
    truth = rng.random((60, 21))
    values = truth.copy()
    values[:, 4:6] = -truth[:, 4:6]
    found = runtime_agreement(truth, values)
    assert (found.windows, found.median, found.p5) == (60, pytest.approx(1.0), pytest.approx(-1.0))
    assert f"{found}" == "rank agreement 1.0000, at the 5th percentile -1.0000, over 60 windows"


@pytest.mark.parametrize(
    ("median", "p5", "equivalent"), [(0.9997, 0.995, True), (0.9985, 0.995, False), (1.0, 0.98, False)]
)
def test_both_the_median_and_the_5th_percentile_must_hold(median, p5, equivalent):
    assert RuntimeAgreement(60, median, p5).equivalent is equivalent
