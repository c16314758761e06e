"""Subgroups are scored on exactly their rows and classes, and average precision is sklearn's."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from lib.competition.prepared import load_prepared
from lib.competition.row_ids import row_ids
from lib.competition.scores import Labels, Scores
from lib.judge.metric import judge
from lib.judge.subgroups import (
    average_precision,
    class_precision,
    class_table,
    fold_spread,
    list_subgroups,
    rare_precision,
    subgroup_labels,
    subgroup_scores,
    subgroup_table,
)

ROWS = row_ids("BC2026_Train_0001_S01_20250101_000000")


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


@pytest.fixture(scope="module")
def scores(prepared):
    labels = prepared.labels
    values = np.random.default_rng(0).random(labels.values.shape) + 0.2 * labels.values
    return Scores(values, labels.row_ids, labels.classes, "logit")


@pytest.mark.parametrize("levels", [3, 50, 10_000])
def test_average_precision_is_that_of_sklearn_ties_included(levels):
    rng = np.random.default_rng(levels)
    for _ in range(20):
        truth, values = rng.random(60) < 0.2, rng.integers(levels, size=60).astype(float)
        if truth.any():
            assert average_precision(truth, values) == pytest.approx(average_precision_score(truth, values), abs=1e-12)


def test_average_precision_without_positives_is_not_a_number():
    assert np.isnan(average_precision(np.zeros(3, bool), np.arange(3.0)))


def test_precision_is_taken_within_strata_and_weighed_by_their_positives():
    truth = np.array([1, 0, 1, 1, 0, 0], bool)[:, None]
    values = np.array([9.0, 8.0, 1.0, 2.0, 3.0, 0.0])[:, None]  # perfect in one stratum, middling in the other
    found = class_precision(truth, values, np.array([0, 0, 1, 1, 1, 1]))
    second = average_precision_score(truth[2:, 0], values[2:, 0])
    assert found == pytest.approx([(1 * 1.0 + 2 * second) / 3])


def test_the_groupings_split_rows_and_classes_without_loss(prepared):
    parts = list_subgroups(prepared, dict.fromkeys(prepared.classes.labels, "Aves"))
    rows, classes = len(prepared.labels.row_ids), len(prepared.classes)
    for grouping in ("fold", "site", "site group", "time of day", "classes in the window"):
        assert sum(part.rows.astype(int) for part in parts if part.grouping == grouping).tolist() == [1] * rows
    for grouping in ("windows of the class", "clips of the class", "taxon"):
        assert sum(part.classes.astype(int) for part in parts if part.grouping == grouping).tolist() == [1] * classes


def test_day_is_counted_by_the_clocks_of_the_pantanal(prepared):
    day = next(part for part in list_subgroups(prepared) if part.name.startswith("day"))
    hours = prepared.windows.hour.to_numpy()
    assert set(hours[day.rows]) <= set(range(10, 22))  # UTC
    assert not set(hours[~day.rows]) & set(range(10, 22))


def test_overall_is_the_judges_score_and_a_subgroup_names_its_unscored_classes(prepared, scores):
    labels, parts = prepared.labels, list_subgroups(prepared)
    table = subgroup_table(labels, {"a": scores}, parts)
    assert table.a[0] == pytest.approx(judge(labels, scores).macro)
    assert table.unscored[0] == ""
    scored = set(judge(labels, scores).scored)
    for part, row in zip(parts, table.itertuples(), strict=True):
        if row.classes:
            report = judge(subgroup_labels(labels, part), subgroup_scores(labels, scores, part))
            assert row.a == pytest.approx(report.macro)
            inside = {name for name, keep in zip(labels.classes, part.classes, strict=True) if keep}
            assert set(row.unscored.split(", ")) - {""} == (scored & inside) - set(report.scored)


def test_a_class_table_has_a_row_a_class_with_a_positive(prepared, scores):
    table = class_table(prepared, {"a": scores})
    assert len(table) == prepared.labels.values.any(axis=0).sum()
    assert table.windows.sum() == prepared.labels.values.sum()
    assert table["a AUC"].mean() == pytest.approx(judge(prepared.labels, scores).macro)


def test_the_precision_of_rare_classes_lies_above_chance_for_informative_scores(prepared, scores):
    precision, chance, names = rare_precision(prepared.labels, scores)
    assert names
    assert chance < precision < 1
    perfect = scores.with_values(prepared.labels.values)
    assert rare_precision(prepared.labels, perfect)[0] == 1.0


def test_folds_are_compared_on_the_classes_that_all_of_them_can_score():
    truth = np.zeros((12, 2), bool)
    truth[[0, 6], 0] = True
    truth[1, 1] = True  # fold 1 cannot score the second class
    labels = Labels(truth, ROWS, ["x", "y"], np.repeat([0, 1], 6))
    values = np.tile(np.arange(12.0)[:, None], 2)
    values[0, 0] = 2.5
    spread = fold_spread(labels, Scores(values, ROWS, ["x", "y"], "logit"))
    assert spread.classes == ("x",)
    assert spread.scores == {0: 0.4, 1: 0.0}
    assert spread.std == pytest.approx(0.4 / np.sqrt(2))


def test_folds_without_a_common_class_have_no_spread():
    truth = np.zeros((12, 2), bool)
    truth[0, 0] = truth[6, 1] = True
    labels = Labels(truth, ROWS, ["x", "y"], np.repeat([0, 1], 6))
    assert np.isnan(fold_spread(labels, Scores(np.zeros((12, 2)), ROWS, ["x", "y"], "logit")).std)
