"""Gains are differences of judged scores on the same rows, and what is sure of them decides alone."""

import numpy as np
import pytest

from lib.competition.row_ids import row_ids
from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.judge.bootstrap import Interval, bootstrap, interval
from lib.judge.metric import judge
from lib.pseudo.student_gain import StudentGain, gain_over, verdict_on

STEMS = [f"BC2026_Train_{n:04d}_S{n:02d}_20250101_000000" for n in range(6)]
ROWS = [row for stem in STEMS for row in row_ids(stem)]
CALLS = np.arange(12) < 2
LABELS = Labels(np.tile(CALLS, 6)[:, None], ROWS, "a", np.repeat([0, 1], 36))
SILENT = (np.arange(10) + 0.5) / 10


def scores_of(*aucs):
    """Scores in which calls have this probability, in each of as many parts of the recordings: it is the AUC there."""
    windows = [np.concatenate([[auc, auc], SILENT]) for auc in np.repeat(aucs, 6 // len(aucs))]
    return Scores(np.concatenate(windows)[:, None], ROWS, "a", "prob")


@pytest.mark.parametrize(
    ("student", "word"), [(0.9, "keep"), (0.7, "stop"), (0.4, "discard")], ids=["better", "alike", "worse"]
)
def test_a_gain_that_every_recording_shows_is_sure_and_decides(student, word):
    gained = gain_over(LABELS, scores_of(0.7), scores_of(student))
    assert (gained.student, gained.control, gained.rows) == pytest.approx((student, 0.7, 72))
    assert (gained.gain, gained.interval.low, gained.interval.high) == pytest.approx((student - 0.7,) * 3, abs=1e-6)
    assert verdict_on(gained).word == word
    assert str(gained) in verdict_on(gained).why


def test_only_rows_that_the_student_scored_are_compared():
    control, rows = scores_of(0.9, 0.1), ROWS[36:]  # the control is at its worst in the second fold
    gained = gain_over(LABELS, control, scores_of(0.5).take(rows))
    assert (gained.student, gained.control, gained.rows) == pytest.approx((0.5, 0.1, 36))
    with pytest.raises(BadInput, match="rows are missing"):
        gain_over(LABELS, control.take(rows), scores_of(0.5))


def test_the_interval_is_of_the_difference_on_the_same_redrawn_recordings():
    random = np.random.default_rng(0)
    one, other = (Scores(random.random((72, 1)), ROWS, "a", "prob") for _ in "ab")
    gained, drawn = gain_over(LABELS, one, other), bootstrap(LABELS, {"one": one, "other": other})
    gain = judge(LABELS, other).macro - judge(LABELS, one).macro
    assert gained.gain == gain
    assert gained.interval == interval(gain, drawn["other"] - drawn["one"])


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.0, 0.1, "stop"), (1e-9, 0.1, "keep"), (-0.1, 0.0, "stop"), (-0.1, -1e-9, "discard"), (-0.1, 0.1, "stop")],
)
def test_what_may_be_nothing_is_no_gain_and_no_loss(low, high, word):
    assert verdict_on(StudentGain(0.6, 0.6, Interval(low, high), 12)).word == word


def test_a_gain_is_printed_with_both_scores():
    assert str(StudentGain(0.75, 0.5, Interval(0.2, 0.3), 12)) == "+0.250 [0.200, 0.300] (0.750 against 0.500, 12 rows)"
