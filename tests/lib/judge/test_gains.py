"""A gain's interval has its nominal coverage, and is as wide as what varies: folds, pairs, or both."""

import numpy as np
import pytest
from scipy import stats

from lib.judge.gains import paired_gains, unpaired_gains

LEVEL = 0.9


def width(gain):
    return gain.interval.high - gain.interval.low


def test_one_pair_over_folds_is_students_paired_interval():
    table = np.array([[0.02, 0.05, 0.01, 0.04]])
    (found,) = paired_gains([table], 1)
    low, high = stats.t.interval(LEVEL, 3, loc=table.mean(), scale=stats.sem(table[0]))
    assert (found.interval.low, found.interval.high) == (pytest.approx(low), pytest.approx(high))
    assert found.adjusted == found.interval
    assert (found.gain, found.pairs, found.folds) == (pytest.approx(0.03), 1, 4)


def test_pairs_without_folds_are_students_paired_interval_too():
    table = np.array([[0.02], [0.05], [0.01]])
    (found,) = paired_gains([table], 1)
    expected = stats.t.interval(LEVEL, 2, loc=table.mean(), scale=stats.sem(table[:, 0]))
    assert (found.interval.low, found.interval.high) == pytest.approx(expected)


def test_what_was_not_repeated_has_no_interval():
    (found,) = paired_gains([np.array([[0.3]])], 1)
    assert (found.gain, found.interval, found.adjusted) == (0.3, None, None)
    assert not found.better
    assert not found.worse
    (loose,) = unpaired_gains([np.array([[0.5]]), np.array([[0.9]])], 1)
    assert loose.interval is None


def test_means_of_unlike_runs_are_students_two_samples():
    one, other = np.array([[0.70], [0.74], [0.69]]), np.array([[0.80], [0.77]])
    (found,) = unpaired_gains([one, other], 1)
    expected = stats.ttest_ind(other[:, 0], one[:, 0]).confidence_interval(LEVEL)
    assert found.gain == pytest.approx(0.785 - 0.71)
    assert (found.interval.low, found.interval.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert found.pairs == 0


def test_what_varies_by_fold_in_all_pairs_equally_is_not_averaged_away_by_more_pairs():
    by_fold = np.array([0.00, 0.06, -0.03, 0.05, 0.02])
    few, many = (paired_gains([np.tile(by_fold, (pairs, 1))], 1)[0] for pairs in (2, 20))
    assert width(many) == pytest.approx(width(few))
    assert width(few) == pytest.approx(width(paired_gains([by_fold[None]], 1)[0]))


def test_noise_of_single_cells_is_averaged_away_by_more_pairs():
    rng = np.random.default_rng(0)
    few, many = (paired_gains([rng.normal(0, 0.02, (pairs, 5))], 1)[0] for pairs in (3, 60))
    assert width(many) < width(few) / 3


def test_the_more_are_judged_together_the_wider_and_the_plain_interval_stays():
    table = np.random.default_rng(1).normal(0.01, 0.02, (3, 5))
    alone, among = paired_gains([table], 1)[0], paired_gains([table], 20)[0]
    assert alone.interval == among.interval
    assert among.adjusted.high - among.adjusted.low > 1.5 * width(alone)


def test_a_sure_gain_is_better_and_its_mirror_worse():
    table = 0.05 + np.random.default_rng(2).normal(0, 0.005, (2, 5))
    up, down = paired_gains([table], 5)[0], paired_gains([-table], 5)[0]
    assert (up.better, up.worse, down.better, down.worse) == (True, False, False, True)


def grid_of_luck(rng, cells, pair, fold):
    """Four tables of differences that share one side, as of five equal settings under two seeds."""

    def runs():
        return rng.normal(0, cells, (2, 5)) + rng.normal(0, pair, (2, 1)) + rng.normal(0, fold, (1, 5))

    first = runs()
    return [runs() - first for _ in range(4)]


@pytest.mark.parametrize(("cells", "pair", "fold"), [(0.02, 0.0, 0.0), (0.02, 0.02, 0.0), (0.02, 0.0, 0.01)])
def test_noise_is_taken_for_a_gain_in_one_family_of_ten_at_most(cells, pair, fold):
    rng = np.random.default_rng(3)
    families = [paired_gains(grid_of_luck(rng, cells, pair, fold), 4) for _ in range(300)]
    assert np.mean([any(gain.better or gain.worse for gain in family) for family in families]) <= 0.15


@pytest.mark.parametrize("fold", [0.0, 0.02])
def test_noise_of_unlike_runs_is_taken_for_a_gain_in_one_of_ten_at_most(fold):
    rng = np.random.default_rng(4)
    found = [
        unpaired_gains([rng.normal(0, 0.02, (9, 5)) + rng.normal(0, fold, 5) for _ in range(2)], 1)[0]
        for _ in range(400)
    ]
    assert 0.01 <= np.mean([gain.better or gain.worse for gain in found]) <= 0.13
