"""Ranks, smoothing and the search: exact on small cases, invariant where stated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.blend.mix import mix, percentile_ranks
from lib.blend.steps.registry import apply_step, smooth_windows
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.judge.metric import class_auc

STEMS = [f"BC2026_Train_{n:04d}_S{n:02d}_20250101_000000" for n in range(6)]
ROWS = [row for stem in STEMS for row in row_ids(stem)]


def scores(seed, kind="prob", rows=ROWS, classes=4):
    return Scores(np.random.default_rng(seed).random((len(rows), classes)), rows, list("abcdefgh")[:classes], kind)


def test_ranks_are_percentiles_and_ties_share():
    part = Scores(np.array([[0.1], [0.3], [0.3], [0.9]]), list("wxyz"), ["c"], "prob")
    assert percentile_ranks(part).values[:, 0].tolist() == [0.25, 0.625, 0.625, 1.0]


def test_a_blend_of_one_keeps_every_classs_auc():
    part = scores(0)
    truth = np.random.default_rng(1).random(part.values.shape) < 0.3
    np.testing.assert_allclose(class_auc(truth, mix([part], [1.0], space="rank").values), class_auc(truth, part.values))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), weight=st.integers(0, 20), power=st.sampled_from([0.3, 1.0, 4.0]))
def test_a_rank_blend_keeps_shape_and_range_and_ignores_each_members_scale(seed, weight, power):
    one, other = scores(seed), scores(seed + 1)
    weights = [weight / 20, 1 - weight / 20]
    blended = mix([one, other], weights, space="rank")
    assert blended.values.shape == one.values.shape
    assert 0 <= blended.values.min() <= blended.values.max() <= 1
    scaled = one.with_values(one.values.astype(np.float64) ** power * 0.5)
    np.testing.assert_allclose(mix([scaled, other], weights, space="rank").values, blended.values, atol=1e-6)


@pytest.mark.parametrize("weights", [[0.5, 0.6], [1.5, -0.5], [0.5]])
def test_unusable_weights_are_refused(weights):
    with pytest.raises((BadInput, ValueError), match=r"weights|zip"):
        mix([scores(0), scores(1)], weights, space="rank")


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 999),
    sigma=st.sampled_from([0.0, 0.3, 0.65, 2.0]),
    kind=st.sampled_from(["prob", "rank", "logit"]),
)
def test_smoothing_stays_within_each_soundscape_and_in_range(seed, sigma, kind):
    part = scores(seed, kind)
    smooth = smooth_windows(part, sigma=sigma)
    assert (smooth.row_ids, smooth.kind) == (part.row_ids, kind)
    before, after = (x.values.reshape(-1, 12, 4) for x in (part, smooth))
    assert (after.max(axis=1) <= before.max(axis=1) + 1e-6).all()
    assert (after.min(axis=1) >= before.min(axis=1) - 1e-6).all()
    alone = smooth_windows(part.take(ROWS[:12]), sigma=sigma)
    np.testing.assert_array_equal(alone.values, smooth.values[:12])


def test_smoothing_needs_whole_soundscapes_in_order():
    part = scores(0)
    for rows in (ROWS[:11], ROWS[6:18], ROWS[11::-1]):
        with pytest.raises(BadInput, match="whole soundscapes"):
            smooth_windows(part.take(rows), sigma=1.0)


def test_an_unknown_step_lists_the_known_ones():
    with pytest.raises(BadInput, match="smooth_windows"):
        apply_step(scores(0), "magic", {})
