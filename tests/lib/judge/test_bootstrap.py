"""Intervals draw whole recordings, pair up, repeat by seed, and narrow with more recordings."""

import numpy as np
import pytest
from scipy import stats

from lib.competition.row_ids import row_ids
from lib.competition.scores import Labels, Scores
from lib.judge.bootstrap import (
    bootstrap,
    interval,
    recording_groups,
    score_table,
    score_with_interval,
    scores_with_intervals,
)
from lib.judge.metric import class_auc, judge
from lib.judge.studies.coverage import interval_coverage


def simulated(files, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    rows = [row for n in range(files) for row in row_ids(f"BC2026_Test_{n:04d}_S05_{20250000 + n}_010002")]
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
        sure = interval(judge(labels, scores).macro, bootstrap(labels, {"a": scores}, draws=200)["a"])
        widths.append(sure.high - sure.low)
    assert widths[1] < widths[0] / 2


def test_windows_of_one_recording_are_drawn_together():
    labels, scores = simulated(1)
    drawn = bootstrap(labels, {"a": scores}, draws=10)["a"]
    assert np.ptp(drawn) == 0  # one recording can only be drawn as it is


def test_a_draw_is_what_copying_the_drawn_rows_would_give():
    """The quadratic forms against the direct method: redraw groups, copy rows, compute the metric, ties included."""
    labels, scores = simulated(9)
    scores = scores.with_values(np.round(scores.values * 2) / 2)
    strata = np.repeat([0, 1, 2], 36)
    labels = Labels(labels.values, labels.row_ids, labels.classes, strata)
    groups, count = recording_groups(labels), 9
    counts = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=40)
    plain = []
    for drawn in counts:
        rows = np.concatenate([np.tile(np.flatnonzero(groups == g), n) for g, n in enumerate(drawn)])
        plain.append(np.nanmean(class_auc(labels.values[rows], scores.values[rows], strata[rows])))
    ours = bootstrap(labels, {"a": scores}, draws=40)["a"]
    few = stats.t.ppf(0.95, 8) / stats.norm.ppf(0.95) * np.sqrt(9 / 8)
    np.testing.assert_allclose(ours, np.median(plain) + few * (plain - np.median(plain)), atol=1e-5)


def test_files_of_one_site_and_day_are_drawn_together():
    rows = [row for n in range(3) for row in row_ids(f"BC2026_Test_{n:04d}_S05_20250101_0{n}0000")]
    labels = Labels(np.zeros((36, 1), dtype=bool), rows, ["x"])
    assert recording_groups(labels).tolist() == [0] * 36


def test_scores_with_intervals_are_the_metric_the_bootstrap_and_its_interval():
    labels, scores = simulated(20)
    other = scores.with_values(-scores.values)
    found = scores_with_intervals(labels, {"a": scores, "b": other}, draws=50, seed=3)
    drawn = bootstrap(labels, {"a": scores, "b": other}, draws=50, seed=3)
    for name, part in (("a", scores), ("b", other)):
        assert found[name].macro == judge(labels, part).macro
        assert found[name].interval == interval(found[name].macro, drawn[name])
        np.testing.assert_array_equal(found[name].drawn, drawn[name])
    alone = score_with_interval(labels, other, draws=50, seed=3)
    assert (alone.macro, alone.low, alone.high) == (found["b"].macro, found["b"].low, found["b"].high)


def test_the_score_table_has_a_row_a_model_and_its_columns_may_lack_one():
    labels, scores = simulated(20)
    found = scores_with_intervals(labels, {"a": scores, "b": scores}, draws=50)
    table = score_table(found, {"seconds": {"b": 2.0}})
    assert table.columns.tolist() == ["name", "score", "low", "high", "classes", "seconds"]
    assert table.name.tolist() == ["a", "b"]
    assert (table.score == found["a"].macro).all()
    assert (table.classes == 4).all()
    assert table.seconds.isna().tolist() == [True, False]


@pytest.mark.slow
def test_nine_intervals_in_ten_hold_the_truth():
    """Six hundred simulated competitions of a size that the contest's labelled soundscapes have."""
    found = interval_coverage(66, competitions=20, draws_each=30, classes=40, seed=1)
    assert 0.87 <= found["score coverage"] <= 0.93
    assert 0.87 <= found["difference coverage"] <= 0.93


def test_a_clear_difference_excludes_zero():
    labels, good = simulated(40, noise=0.3)
    poor = Scores(np.random.default_rng(9).normal(size=good.values.shape), good.row_ids, good.classes, "logit")
    drawn = bootstrap(labels, {"good": good, "poor": poor}, draws=100)
    gain = judge(labels, good).macro - judge(labels, poor).macro
    sure = interval(gain, drawn["good"] - drawn["poor"])
    assert 0 < sure.low < gain < sure.high
