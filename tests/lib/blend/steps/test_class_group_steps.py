"""Relatives share by the formula of the source; mirrors agree; damping is exact at its threshold."""

import numpy as np
import pytest

from lib.blend.steps.classes import damp_below_mean, mirror_in_groups, smooth_in_groups
from lib.competition.scores import Scores

CLASSES = ["frog1", "bird1", "frog2", "bird2", "cow"]


def scores(values, kind="prob"):
    values = np.asarray(values, dtype=float)
    return Scores(values, [f"row{n}" for n in range(len(values))], CLASSES, kind)


@pytest.mark.parametrize("kind", ["logit", "prob", "rank"])
def test_relatives_move_towards_their_mean_by_the_share(kind):
    after = smooth_in_groups(scores([[0.8, 0.2, 0.4, 0.6, 1.0]], kind), groups=[["frog1", "frog2"]], share=0.5)
    np.testing.assert_allclose(after.values, [[0.7, 0.2, 0.5, 0.6, 1.0]], rtol=1e-6)


def test_taxonomy_smoothing_is_sharing_by_genus_and_then_by_class():
    values = np.random.default_rng(0).random((7, 5))
    genera, taxa = [["frog1", "frog2"]], [["frog2", "frog1"], ["bird1", "bird2"]]
    part = smooth_in_groups(scores(values), groups=genera, share=0.15)
    part = smooth_in_groups(part, groups=taxa, share=0.05)
    expected = values.copy()
    for columns, share in (([0, 2], 0.15), ([0, 2], 0.05), ([1, 3], 0.05)):
        expected[:, columns] = (1 - share) * expected[:, columns] + share * expected[:, columns].mean(1, keepdims=True)
    np.testing.assert_allclose(part.values, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["logit", "prob", "rank"])
def test_mirrors_take_the_highest_of_their_group_and_no_other_class_changes(kind):
    part = scores([[0.1, 0.9, 0.3, 0.2, 0.7], [0.5, 0.4, 0.6, 0.8, 0.0]], kind)
    after = mirror_in_groups(part, groups=[["frog2", "frog1"], ["bird1", "cow"]])
    np.testing.assert_allclose(after.values, [[0.3, 0.9, 0.3, 0.2, 0.9], [0.6, 0.4, 0.6, 0.8, 0.4]], rtol=1e-6)


def test_rows_below_the_mean_and_a_margin_are_damped_and_the_others_are_not():
    part = scores([[0.5] * 5, [0.25] * 5, [0.75] * 5])
    after = damp_below_mean(part, labels=["frog1"], margin=0.25, factor=0.5).values
    assert after[:, 0].tolist() == [0.25, 0.125, 0.75]  # .75 is not below .5 + .25
    np.testing.assert_array_equal(after[:, 1:], part.values[:, 1:])
