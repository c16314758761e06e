"""Counting pairs of whole numbers gives the very AUC that ranking gives, for one blend, for many, and along a line."""

import numpy as np
import pytest
from scipy.stats import rankdata

from lib.blend.mix import mix
from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.judge.metric import class_auc, judge
from lib.judge.pair_counting import RANK_SCALE, make_pair_counter


@pytest.fixture(params=["one list", "within folds"])
def case(request):
    """Four members with many exact ties, classes from one positive to nearly all, one class without any."""
    rng = np.random.default_rng(0)
    truth = rng.random((180, 9)) < [0.006, 0.02, 0.1, 0.3, 0.5, 0.7, 0.95, 0.2, 0.0]
    truth[0, :8] = True
    rows, classes = [f"r{n}" for n in range(180)], [f"c{n}" for n in range(9)]
    strata = np.zeros(180, dtype=int) if request.param == "one list" else rng.integers(0, 4, 180)
    levels = [2, 7, 40, 1000]
    parts = [Scores(np.round(rng.random(truth.shape) * n) / n, rows, classes, "prob") for n in levels]
    return Labels(truth, rows, classes, strata), parts


def plainly(labels, parts, weights):
    """The same in numpy: whole sums of doubled ranks, ranked."""
    sums = sum(w * 2 * rankdata(part.values, axis=0) for w, part in zip(weights, parts, strict=True))
    return np.nanmean(class_auc(labels.values, sums, labels.strata))


def test_every_blend_equals_ranking_it(case):
    labels, parts = case
    weights = np.random.default_rng(1).multinomial(RANK_SCALE, [0.25] * 4, size=30)
    weights[:4] = RANK_SCALE * np.eye(4)
    counter = make_pair_counter(labels, parts)
    expected = [plainly(labels, parts, row) for row in weights]
    np.testing.assert_allclose(counter.macro_many(weights), expected, atol=1e-12)
    assert counter.macro(weights[7]) == pytest.approx(expected[7], abs=1e-12)


def test_it_is_the_judges_score_of_the_blend_over_the_same_classes(case):
    labels, parts = case
    counter = make_pair_counter(labels, parts)
    report = judge(labels, mix(parts, [0.25, 0.5, 0.125, 0.125], space="rank"))
    assert counter.macro([250, 500, 125, 125]) == pytest.approx(report.macro, abs=1e-9)
    assert counter.classes == report.scored


@pytest.mark.parametrize("weights", [[1000, 0, 0, 0], [250, 250, 250, 250], [3, 500, 497, 0], [0, 0, 999, 1]])
def test_a_line_gives_every_blend_on_it_exactly(case, weights):
    labels, parts = case
    counter = make_pair_counter(labels, parts)
    for giver, taker in ((0, 1), (2, 0), (1, 3)):
        moved, macro = counter.exchange(weights, giver, taker)
        assert (moved[0], moved[-1]) == (-weights[taker], weights[giver])
        step = np.zeros(4, dtype=int)
        step[giver], step[taker] = -1, 1
        np.testing.assert_allclose(macro, counter.macro_many(np.array(weights) + moved[:, None] * step), atol=1e-12)


@pytest.mark.parametrize("weights", [[500, 500, 1, 0], [1001, -1, 0, 0], [999.5, 0.5, 0, 0], [1000, 0, 0]])
def test_weights_that_are_not_whole_thousandths_are_refused(case, weights):
    with pytest.raises(BadInput, match="not usable"):
        make_pair_counter(*case).macro(weights)


def test_more_rows_than_can_be_counted_exactly_are_refused():
    rows = [f"r{n}" for n in range(9000)]
    part = Scores(np.random.default_rng(0).random((9000, 1)), rows, ["x"], "prob")
    with pytest.raises(BadInput, match="too many rows"):
        make_pair_counter(Labels(part.values > 0.5, rows, ["x"]), [part])
