"""A sweep's figures draw every run and every value, where they belong."""

import numpy as np
import pandas as pd
import pytest

from lib.judge.bootstrap import Interval
from lib.judge.effects import Effect
from lib.judge.gains import Gain
from lib.show.sweeps import effect_dots, parallel_coordinates


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_every_run_is_a_line_through_its_values_to_its_score():
    table = pd.DataFrame({"loss": ["bce", "focal", "bce"], "rate": [1.0, 2.0, 4.0]})
    axis = parallel_coordinates(table, np.array([0.7, 0.8, 0.6])).axes[0]
    worst, middle, best = sorted(
        (line.get_ydata() for line in axis.lines if len(line.get_ydata()) == 3), key=lambda y: y[2]
    )
    assert (worst[2], middle[2], best[2]) == pytest.approx((0, 0.5, 1))
    assert (middle[1], best[1], worst[1]) == pytest.approx((0, 1 / 3, 1))
    assert best[0] == pytest.approx(1)
    assert worst[0] < middle[0] < 0.1  # two runs of one value lie apart
    assert {"bce", "focal", "1", "2", "4", "0.8"} <= set(texts(axis))


def test_numbers_over_decades_are_placed_by_magnitude():
    axis = parallel_coordinates(pd.DataFrame({"rate": [1e-4, 1e-3, 1e-2]}), np.array([0.5, 0.6, 0.7])).axes[0]
    starts = [line.get_ydata()[0] for line in axis.lines if list(line.get_xdata()) == [0, 1]]
    assert sorted(starts) == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("runs", [1, 12, 200])
def test_any_number_of_runs_can_be_drawn_and_what_is_not_set_too(runs):
    table = pd.DataFrame({"a": [n if n % 2 else "not set" for n in range(runs)], "b": ["x"] * runs}, dtype=object)
    figure = parallel_coordinates(table, np.full(runs, 0.7))
    figure.canvas.draw()
    assert "not set" in texts(figure.axes[0])


def test_a_gain_is_coloured_by_its_significance():
    spans = {"sure": (0.01, 0.03), "unsure": (-0.01, 0.05), "lost": (-0.05, -0.01)}
    gains = [Gain((low + high) / 2, Interval(low, high), Interval(low, high), 2, 5) for low, high in spans.values()]
    found = [Effect("p", name, "ref", 2, 0.7, gain) for name, gain in zip(spans, gains, strict=True)]
    axis = effect_dots([Effect("p", "ref", "ref", 2, 0.7, None), *found]).axes[0]
    dots = [line.get_color() for line in axis.lines if line.get_marker() == "o"]
    assert len(set(dots)) == 3
    assert [label.get_text() for label in axis.get_yticklabels()] == ["p = ref", "p = sure", "p = unsure", "p = lost"]
