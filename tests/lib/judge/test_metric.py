"""The metric equals sklearn's and behaves as the platform's does, ties, empty classes and refusals included."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.judge.metric import class_auc, judge, official_score


def tables(seed, rows=60, classes=7, levels=None, rate=0.2):
    rng = np.random.default_rng(seed)
    truth = rng.random((rows, classes)) < rate
    values = rng.random((rows, classes)).astype(np.float32)
    return truth, values if levels is None else np.round(values * levels).astype(np.float32) / levels


def named(truth, values):
    rows, classes = [f"r{n}" for n in range(len(truth))], [f"c{n}" for n in range(truth.shape[1])]
    return Labels(truth, rows, classes), Scores(values, rows, classes, "prob")


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([None, 1, 2, 5, 50]), rate=st.sampled_from([0.02, 0.2, 0.9]))
def test_each_class_equals_sklearn(seed, levels, rate):
    truth, values = tables(seed, levels=levels, rate=rate)
    ours = class_auc(truth, values)
    for column in range(truth.shape[1]):
        if 0 < truth[:, column].sum() < len(truth):
            assert ours[column] == pytest.approx(roc_auc_score(truth[:, column], values[:, column]), abs=1e-12)
        else:
            assert np.isnan(ours[column])


@pytest.mark.parametrize("levels", [None, 3])
def test_the_macro_score_equals_sklearns_over_the_classes_with_positives(levels):
    truth, values = tables(1, rows=400, classes=30, levels=levels)
    truth[:, 4] = False
    frame, solution = pd.DataFrame(values), pd.DataFrame(truth.astype(int))
    frame.insert(0, "row_id", range(400))
    solution.insert(0, "row_id", range(400))
    kept = [column for column in range(30) if column != 4]
    expected = roc_auc_score(truth[:, kept], values[:, kept], average="macro")
    assert official_score(solution, frame, "row_id") == pytest.approx(expected, abs=1e-12)
    labels, scores = named(truth, values)
    report = judge(labels, scores)
    assert report.macro == pytest.approx(expected, abs=1e-12)
    assert report.without_positive == ("c4",)
    assert "c4" not in report.scored
    assert len(report.scored) == 29


def test_a_class_positive_everywhere_is_reported_and_not_scored():
    truth, values = tables(2)
    truth[:, 0] = True
    report = judge(*named(truth, values))
    assert report.never_paired == ("c0",)
    assert report.without_positive == ()


def test_the_platform_takes_columns_by_name_and_any_monotone_map_is_neutral():
    truth, values = tables(3)
    solution = pd.DataFrame(truth.astype(int), columns=list("abcdefg")).assign(row_id=range(60))
    frame = pd.DataFrame(values, columns=list("abcdefg")).assign(row_id=range(60))
    score = official_score(solution, frame, "row_id")
    assert official_score(solution, frame[["row_id", *"gfedcba"]], "row_id") == score
    assert official_score(
        solution, frame.assign(**{c: frame[c] ** 3 * 50 - 7 for c in "abcdefg"}), "row_id"
    ) == pytest.approx(score)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, f: (a, f.assign(x="0.5")), "not numeric"),
        (lambda a, f: (a, f.assign(x=np.nan)), "NaN"),
        (lambda a, f: (a.assign(x=0, y=0), f), "no positive"),
        (lambda a, f: (a.assign(x=1), f), "positive in every row"),
    ],
)
def test_what_the_platform_refuses_is_refused(change, message):
    solution = pd.DataFrame({"row_id": range(4), "x": [1, 0, 0, 1], "y": [0, 1, 0, 0]})
    frame = pd.DataFrame({"row_id": range(4), "x": [0.1, 0.2, 0.3, 0.4], "y": [0.5, 0.1, 0.2, 0.2]})
    with pytest.raises(BadInput, match=message):
        official_score(*change(solution, frame), "row_id")


def test_scores_must_hold_every_labelled_row():
    labels, scores = named(*tables(4))
    with pytest.raises(BadInput, match="rows are missing"):
        judge(labels, scores.take(scores.row_ids[1:]))


def test_only_pairs_within_a_stratum_count():
    truth = np.array([[1], [0], [1], [0]], dtype=bool)
    values = np.array([[0.2], [0.1], [0.9], [0.8]])  # each fold ranks rightly, on a scale of its own
    assert class_auc(truth, values)[0] == 0.75
    assert class_auc(truth, values, np.array([0, 0, 1, 1]))[0] == 1.0


def test_fold_offsets_that_follow_the_base_rate_do_not_pull_the_score_down():
    """Out of fold, a constant per fold knows nothing: the pooled score says worse than chance, ours says chance."""
    rng = np.random.default_rng(0)
    strata = np.repeat(np.arange(5), 40)
    truth = rng.random((200, 20)) < rng.beta(0.5, 2, (5, 20))[strata]
    held_out_rate = np.stack([truth[strata != fold].mean(axis=0) for fold in range(5)])[strata]
    assert np.nanmean(class_auc(truth, held_out_rate)) < 0.3
    assert np.nanmean(class_auc(truth, held_out_rate, strata)) == pytest.approx(0.5)


def test_a_class_present_only_in_rows_without_a_negative_is_never_paired():
    truth = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=bool)
    values = np.random.default_rng(0).random((4, 2))
    labels = Labels(truth, list("abcd"), ["x", "y"], np.array([0, 0, 1, 1]))
    report = judge(labels, Scores(values, list("abcd"), ["x", "y"], "prob"))
    assert report.never_paired == ("x",)
    assert report.scored == ("y",)
