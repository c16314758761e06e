"""Figures of frozen networks hold the numbers they are given, and none is left open."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from lib.core.errors import BadInput
from lib.learn.block_probe.probe import BlockReport
from lib.show.block_probe import block_bars, cost_bars, coverage_bars, trajectories

BEST, RIVAL, BEHIND = "#e9a03b", "#f3d19e", "#2a6f97"
ROWS = pd.DataFrame(
    {
        "block": ["block:MBConv_0", "block:MBConv_24", "block:MBConv_25"],
        "accuracy": [0.2, 0.65, 0.6],
        "low": [0.15, 0.55, 0.52],
        "high": [0.3, 0.7, 0.68],
        "behind": [0.45, 0, 0.05],
        "behind_low": [0.4, 0, -0.01],
        "behind_high": [0.5, 0, 0.1],
    }
)
REPORT = BlockReport(ROWS, "block:MBConv_24", ("block:MBConv_25",), 0.03, 30, (20, 20), ())
COVERAGE = pd.DataFrame(
    {
        "taxon": ["Aves", "Insecta"],
        "classes": [160, 20],
        "name": [156, 2],
        "synonym": [4, 0],
        "genus": [0, 3],
        "flat": [0, 15],
    }
)


@pytest.fixture(autouse=True)
def nothing_left_open():
    yield
    assert not plt.get_fignums()


def test_a_bar_a_block_with_its_interval_the_best_and_its_rivals_in_colour_and_chance_as_a_line():
    (axis,) = block_bars(REPORT).axes
    assert [bar.get_height() for bar in axis.patches] == [0.2, 0.65, 0.6]
    assert [to_hex(bar.get_facecolor()) for bar in axis.patches] == [BEHIND, BEST, RIVAL]
    (reach,) = [item for item in axis.collections if hasattr(item, "get_segments")]
    ends = np.array([segment[:, 1] for segment in reach.get_segments()])
    np.testing.assert_allclose(ends, [[0.15, 0.3], [0.55, 0.7], [0.52, 0.68]])
    assert [0.03, 0.03] in [list(line.get_ydata()) for line in axis.lines]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["MBConv_0", "MBConv_24", "MBConv_25"]
    legend = [text.get_text() for text in axis.get_legend().get_texts()]
    assert legend == ["best", "not significantly worse", "behind", "chance"]


def test_learned_shares_stand_under_their_blocks_and_others_are_refused():
    top, below = block_bars(REPORT, {"block:MBConv_25": 0.4, "block:MBConv_24": 0.6}).axes
    assert [bar.get_height() for bar in below.patches] == [0, 0.6, 0.4]
    assert [bar.get_x() for bar in below.patches] == [bar.get_x() for bar in top.patches]
    with pytest.raises(BadInput, match="MBConv_21"):
        block_bars(REPORT, {"block:MBConv_21": 1.0})


def panels(figure) -> list:
    return [axis for axis in figure.axes if axis.get_visible()]


def test_a_species_keeps_its_colour_and_its_line_begins_where_it_was_in_the_block_before():
    species = np.array(["a", "a", "a", "b", "b"])
    first = np.array([[0, 0], [2, 2], [1, 1], [5, 0], [7, 0]], dtype=float)
    figure = trajectories({"block:x": first, "block:y": first + 10}, "PCA", species)
    left, right = panels(figure)
    assert [axis.get_title() for axis in (left, right)] == ["x", "y"]
    trail, dot, *_ = right.lines
    np.testing.assert_array_equal(trail.get_xydata(), [[1, 1], [11, 11]])
    np.testing.assert_array_equal(dot.get_xydata(), [[11, 11]])
    np.testing.assert_array_equal(right.lines[2].get_xydata(), [[6, 0], [16, 10]])
    np.testing.assert_array_equal(left.lines[0].get_xydata(), [[1, 1], [1, 1]])  # nowhere before
    assert left.lines[0].get_color() == right.lines[0].get_color() != right.lines[2].get_color()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert figure.legends[0].get_title().get_text().startswith("PCA")


def test_the_species_of_most_clips_are_coloured_and_the_others_grey():
    counts = [1, 1, *range(2, 12)]  # twelve species; the two of one clip are too many
    species = np.repeat([f"s{number:02d}" for number in range(12)], counts)
    figure = trajectories({"x": np.random.default_rng(0).normal(size=(len(species), 2))}, "UMAP", species)
    (axis,) = panels(figure)
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {f"s{number:02d}" for number in range(2, 12)}
    grey, *coloured = [len(item.get_offsets()) for item in axis.collections]
    assert (grey, sorted(coloured)) == (2, list(range(2, 12)))


def test_many_blocks_take_several_lines():
    places = np.random.default_rng(0).normal(size=(4, 2))
    figure = trajectories({f"b{number}": places for number in range(8)}, "PCA", np.array(["a", "a", "b", "b"]))
    assert [axis.get_title() for axis in panels(figure)] == [f"b{number}" for number in range(8)]
    assert len({round(axis.get_position().y0, 2) for axis in panels(figure)}) == 2


def test_coverage_shares_sum_to_one_with_counts_written_where_they_fit():
    (axis,) = coverage_bars(COVERAGE).axes
    widths = np.array([bar.get_width() for bar in axis.patches]).reshape(4, 2)  # by name, synonym, genus, flat
    np.testing.assert_allclose(widths.T, [[156 / 160, 4 / 160, 0, 0], [0.1, 0, 0.15, 0.75]])
    starts = np.array([bar.get_x() for bar in axis.patches]).reshape(4, 2)
    np.testing.assert_allclose(starts[3], [1, 0.25])
    assert [text.get_text() for text in axis.texts] == ["156", "2", "3", "15"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["Aves, 160", "Insecta, 20"]
    assert axis.get_yticks()[0] > axis.get_yticks()[1]  # read from the top


def test_costs_are_written_in_milliseconds_and_in_per_cent_of_the_embedder():
    (axis,) = cost_bars("perch", {"perch": 800.0, "linear": 0.2, "proto": 12.0}).axes
    assert [bar.get_width() for bar in axis.patches] == [800, 0.2, 12]
    assert [text.get_text() for text in axis.texts] == [
        " 800 ms",
        " 0.2 ms, 0.025 % of perch",
        " 12 ms, 1.5 % of perch",
    ]
    assert [to_hex(bar.get_facecolor()) for bar in axis.patches] == [BEST, BEHIND, BEHIND]
    assert axis.get_xscale() == "log"
