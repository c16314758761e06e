"""Scores are checked when made, and functions refuse what is not aligned."""

import numpy as np
import pytest

from lib.competition.scores import Labels, Scores, check_same, concat_scores, load_scores
from lib.core.errors import BadInput

ROWS, CLASSES = ("a_5", "a_10"), ("x", "y", "z")
VALUES = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])


def test_scores_survive_a_file(tmp_path):
    scores = Scores(VALUES, ROWS, CLASSES, "prob")
    scores.save(tmp_path / "s.parquet")
    again = load_scores(tmp_path / "s.parquet")
    np.testing.assert_array_equal(again.values, scores.values)
    assert (again.row_ids, again.classes, again.kind) == (ROWS, CLASSES, "prob")


@pytest.mark.parametrize(
    ("values", "rows", "classes", "kind", "message"),
    [
        (VALUES[:1], ROWS, CLASSES, "prob", "shape"),
        (VALUES, ("a_5", "a_5"), CLASSES, "prob", "row ids repeat"),
        (VALUES, ROWS, ("x", "y", "x"), "prob", "classes repeat"),
        (np.where(VALUES > 0.5, np.nan, VALUES), ROWS, CLASSES, "prob", "row a_10, class z"),
        (VALUES * 3, ROWS, CLASSES, "prob", "outside"),
        (VALUES, ROWS, CLASSES, "probability", "unknown kind"),
    ],
)
def test_a_bad_table_is_refused(values, rows, classes, kind, message):
    with pytest.raises(BadInput, match=message):
        Scores(values, rows, classes, kind)


def test_logits_may_lie_anywhere_and_nothing_can_be_changed():
    scores = Scores(VALUES * 100 - 50, ROWS, CLASSES, "logit")
    with pytest.raises(ValueError, match="read-only"):
        scores.values[0, 0] = 1


def test_rows_are_taken_by_name_and_missing_ones_named():
    scores = Scores(VALUES, ROWS, CLASSES, "prob")
    np.testing.assert_array_equal(scores.take(["a_10", "a_5"]).values, VALUES[::-1].astype(np.float32))
    with pytest.raises(BadInput, match="b_5"):
        scores.take(["b_5"])
    with pytest.raises(BadInput, match="b_5"):
        Labels(VALUES > 0.3, ROWS, CLASSES).take(["b_5"])


def test_unaligned_scores_are_refused():
    scores = Scores(VALUES, ROWS, CLASSES, "prob")
    with pytest.raises(BadInput, match="not aligned"):
        check_same([scores, scores.take(["a_10", "a_5"])])
    with pytest.raises(BadInput, match="kinds are mixed"):
        check_same([scores, scores.with_values(VALUES, "rank")])
    with pytest.raises(BadInput, match="classes differ"):
        check_same([scores, Scores(VALUES, ROWS, ("x", "y", "q"), "prob")])


def test_joining_keeps_rows_in_order_and_refuses_doubles():
    scores = Scores(VALUES, ROWS, CLASSES, "prob")
    other = Scores(VALUES, ("b_5", "b_10"), CLASSES, "prob")
    assert concat_scores([scores, other]).row_ids == (*ROWS, "b_5", "b_10")
    with pytest.raises(BadInput, match="repeat"):
        concat_scores([scores, scores])


def test_labels_restricted_to_scores_are_the_rows_that_both_have_in_the_labels_order():
    labels = Labels([[True], [False], [True]], ("a", "b", "c"), ("x",), strata=np.array([0, 1, 2]))
    held = labels.restrict_to(Scores([[0.5], [0.1]], ("c", "a"), ("x",), "prob"))
    assert held.row_ids == ("a", "c")
    assert held.strata.tolist() == [0, 2]
