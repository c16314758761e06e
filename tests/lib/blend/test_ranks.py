"""Ranks are percentiles that share ties; unusable weights are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.blend.mix import check_weights, mix, percentile_ranks, percentiles
from lib.competition.scores import Scores
from lib.core.errors import BadInput


def scores(values, kind="prob"):
    values = np.asarray(values, dtype=np.float32)
    return Scores(values, [f"r{n}" for n in range(len(values))], [f"c{n}" for n in range(values.shape[1])], kind)


def test_ties_share_their_mean_rank_in_each_class_alone():
    part = scores([[0.1, 0.9], [0.3, 0.9], [0.3, 0.9], [0.9, 0.9]])
    expected = [[0.25, 0.625], [0.625, 0.625], [0.625, 0.625], [1.0, 0.625]]
    assert percentile_ranks(part).values.tolist() == expected
    assert percentile_ranks(part).kind == "rank"


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), levels=st.sampled_from([2, 5, 1000]))
def test_ranks_are_the_share_of_rows_below_and_half_of_those_beside(seed, levels):
    values = np.random.default_rng(seed).integers(0, levels, size=(9, 3))
    below = (values[None] < values[:, None]).sum(axis=1)
    beside = (values[None] == values[:, None]).sum(axis=1)
    np.testing.assert_allclose(percentiles(scores(values, "logit")), (below + (beside + 1) / 2) / 9)


def test_no_rows_have_no_ranks():
    assert percentile_ranks(scores(np.zeros((0, 2)))).values.shape == (0, 2)


def test_a_blend_keeps_the_ties_that_single_precision_would_separate():
    rising = np.arange(708)[:, None]
    both = [scores(rising, "logit"), scores(-rising, "logit")]
    assert len(set(mix(both, [0.5, 0.5], space="rank").values[:, 0].tolist())) == 1


@pytest.mark.parametrize("weights", [[], [0.5, 0.6], [1.5, -0.5], [float("nan"), 1.0], [0.0, 0.0]])
def test_unusable_weights_are_refused(weights):
    with pytest.raises(BadInput, match="weights"):
        check_weights(weights)


def test_tenths_are_weights_though_their_sum_is_not_quite_one():
    check_weights([0.1] * 10)
    check_weights([1.0])
