"""Steps over windows, on single calls whose results can be counted by hand, and against plain loops."""

import numpy as np
import pytest

from lib.blend.steps.windows import lift_to_neighbours, scale_by_file, smooth_by_kernel, smooth_unsure_windows
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores

ROWS = row_ids("BC2026_Test_0001_S01_20250101_010000") + row_ids("BC2026_Test_0002_S02_20250101_020000")


def scores(kind="prob", **calls):
    """Two files; each class has its values by window number, 12 and on in the second file; the rest is zero."""
    values = np.zeros((24, len(calls)))
    for column, at in enumerate(calls.values()):
        for window, value in at.items():
            values[window, column] = value
    return Scores(values, ROWS, list(calls), kind)


def column(part, label):
    """The values of a class that are not zero, by window."""
    values = part.values[:, part.classes.index(label)]
    return {int(window): pytest.approx(float(values[window]), abs=1e-6) for window in np.flatnonzero(values)}


def test_a_kernel_is_in_time_order_and_its_edges_repeat_within_the_file():
    after = smooth_by_kernel(scores(a={3: 1.0, 11: 1.0}), kernel=[0.2, 0.5, 0.3])
    assert column(after, "a") == {2: 0.3, 3: 0.5, 4: 0.2, 10: 0.3, 11: 0.8}


def test_a_kernel_on_labels_leaves_the_other_classes():
    before = scores(choir={3: 0.8}, bird={3: 0.8})
    after = smooth_by_kernel(before, kernel=[0.175, 0.65, 0.175], labels=["choir"])
    assert column(after, "choir") == {2: 0.14, 3: 0.52, 4: 0.14}
    assert column(after, "bird") == {3: 0.8}


def test_a_shifted_pass_comes_back_to_the_rows_windows():
    """A call fills seconds 10 to 15. Windows that begin 1.25 s late hold three quarters and a quarter of it."""
    shifted = scores(a={1: 0.25, 2: 0.75})
    after = smooth_by_kernel(shifted, kernel=[0.25, 0.75, 0.0])
    assert column(after, "a") == {1: 0.1875, 2: 0.625, 3: 0.1875}


def test_an_event_lends_its_peak_to_its_neighbours_and_keeps_it():
    after = lift_to_neighbours(scores(bird={3: 0.8, 11: 0.4}, choir={3: 0.8}), labels=["bird"], share=0.5)
    assert column(after, "bird") == {2: 0.4, 3: 0.8, 4: 0.4, 10: 0.2, 11: 0.4}
    assert column(after, "choir") == {3: 0.8}


def test_unsure_windows_are_smoothed_and_sure_ones_are_not():
    after = smooth_unsure_windows(scores(a={3: 0.8}, b={4: 1.0, 0: 0.4}), share=0.5)
    # window 2: share .5 × (1 − 0), mean of neighbours .4; window 3: .5 × .2 towards 0; window 4 is sure: untouched
    assert column(after, "a") == {2: 0.2, 3: 0.72}
    # windows 3 and 5 lean on the call of window 4; window 0 has itself for a neighbour: .4 + .3 × (.2 − .4)
    assert column(after, "b") == {0: 0.34, 1: 0.1, 3: 0.05, 4: 1.0, 5: 0.25}


def test_unsure_windows_follow_the_formula_window_by_window():
    values = np.random.default_rng(0).random((24, 5))
    expected = values.copy()
    for row in range(24):
        first = row // 12 * 12
        before, after = max(row - 1, first), min(row + 1, first + 11)
        alpha = 0.2 * (1 - values[row].max())
        expected[row] = (1 - alpha) * values[row] + alpha * (values[before] + values[after]) / 2
    part = smooth_unsure_windows(Scores(values, ROWS, list("abcde"), "prob"), share=0.2)
    np.testing.assert_allclose(part.values, expected, atol=1e-6)


def test_a_file_scales_its_windows_by_its_highest_ones():
    part = scores(a={1: 0.64, 5: 0.36, 6: 0.16, 12: 0.25})
    by_one = scale_by_file(part, top_windows=1, power=0.5)
    assert column(by_one, "a") == {1: 0.512, 5: 0.288, 6: 0.128, 12: 0.125}
    by_two = scale_by_file(part, top_windows=2, power=1.0)
    assert column(by_two, "a") == {1: 0.32, 5: 0.18, 6: 0.08, 12: 0.03125}


@pytest.mark.parametrize("top", [1, 2, 12])
def test_file_scaling_follows_the_formula(top):
    values = np.random.default_rng(top).random((24, 3)).astype(np.float32)
    highest = np.sort(values.reshape(2, 12, 3), axis=1)[:, ::-1][:, :top].mean(axis=1).repeat(12, axis=0)
    part = scale_by_file(Scores(values, ROWS, list("abc"), "rank"), top_windows=top, power=0.4)
    np.testing.assert_allclose(part.values, values * highest**0.4, rtol=1e-5)
