"""Intervals draw whole recordings, pair up, repeat by seed, and narrow with more recordings."""

import numpy as np

from lib.competition.names import row_ids
from lib.competition.scores import Labels, Scores
from lib.judge.intervals import Interval, bootstrap, interval
from lib.judge.metric import judge


def simulated(files, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    rows = [row for n in range(files) for row in row_ids(f"BC2026_Test_{n:04d}_S05_20250227_010002")]
    file_effect = np.repeat(rng.random((files, 4)), 12, axis=0)
    truth = rng.random((len(rows), 4)) < 0.5 * file_effect
    values = truth + noise * rng.normal(size=truth.shape)
    classes = list("abcd")
    return Labels(truth, rows, classes), Scores(values, rows, classes, "logit")


def test_the_same_seed_draws_the_same_and_pairs_are_paired():
    labels, scores = simulated(20)
    drawn = bootstrap(labels, {"a": scores, "b": scores}, draws=30)
    np.testing.assert_array_equal(drawn["a"], drawn["b"])
    np.testing.assert_array_equal(drawn["a"], bootstrap(labels, {"a": scores}, draws=30)["a"])
    assert not np.array_equal(drawn["a"], bootstrap(labels, {"a": scores}, draws=30, seed=1)["a"])


def test_more_recordings_make_a_narrower_interval():
    widths = []
    for files in (10, 160):
        labels, scores = simulated(files)
        sure = interval(0.7, bootstrap(labels, {"a": scores}, draws=120)["a"])
        widths.append(sure.high - sure.low)
    assert widths[1] < widths[0] / 2


def test_windows_of_one_recording_are_drawn_together():
    labels, scores = simulated(1)
    drawn = bootstrap(labels, {"a": scores}, draws=10)["a"]
    assert np.ptp(drawn) == 0  # one recording can only be drawn as it is


def test_a_clear_difference_excludes_zero():
    labels, good = simulated(40, noise=0.3)
    poor = Scores(np.random.default_rng(9).normal(size=good.values.shape), good.row_ids, good.classes, "logit")
    drawn = bootstrap(labels, {"good": good, "poor": poor}, draws=100)
    gain = judge(labels, good).macro - judge(labels, poor).macro
    sure = interval(gain, drawn["good"] - drawn["poor"])
    assert sure.low < gain < sure.high
    assert sure.excludes_zero
    assert not Interval(-0.1, 0.1).excludes_zero
