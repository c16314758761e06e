"""Figures of training hold the numbers they are given, and none is left open."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lib.show.training import attention_over_time, learning_curves, spectrogram_row

HISTORY = pd.DataFrame(
    {
        "fold": [3, 3, 1, 1, 1],
        "epoch": [1, 2, 1, 2, 3],
        "loss": [0.5, 0.4, 0.6, 0.3, 0.2],
        "soundscapes": [0.6, None, 0.5, 0.7, 0.8],
    }
)
CLASSES = ("ant", "bee", "cow", "dog")
PROBABILITIES = np.array([[0.1, 0.2, 0.1], [0.9, 0.1, 0.3], [0.0, 0.1, 0.0], [0.4, 0.5, 0.6]])


@pytest.fixture(autouse=True)
def nothing_left_open():
    yield
    assert not plt.get_fignums()


def test_a_panel_a_measure_and_a_line_a_fold():
    figure = learning_curves(HISTORY, {"loss": "Loss", "soundscapes": "AUC"})
    assert [axis.get_title() for axis in figure.axes] == ["Loss", "AUC"]
    one, three = figure.axes[0].lines
    assert (one.get_label(), three.get_label()) == ("fold 1", "fold 3")
    np.testing.assert_array_equal(one.get_xydata(), [[1, 0.6], [2, 0.3], [3, 0.2]])
    np.testing.assert_array_equal(three.get_xydata(), [[1, 0.5], [2, 0.4]])
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_ydata(), [0.6, np.nan])
    assert one.get_color() == figure.axes[1].lines[0].get_color() != three.get_color()


def rows_of(figure):
    """The classes of the lower panel from top to bottom, and their probabilities."""
    return [label.get_text() for label in figure.axes[1].get_yticklabels()], figure.axes[1].images[0].get_array()


def test_attention_has_the_labelled_classes_first_then_the_likeliest():
    spectrogram = np.arange(12.0).reshape(3, 4)
    figure = attention_over_time(spectrogram, PROBABILITIES, CLASSES, {10: ["cow"], 60: []}, most=3)
    names, probabilities = rows_of(figure)
    assert names == ["cow", "bee", "dog"]
    np.testing.assert_array_equal(probabilities, PROBABILITIES[[2, 1, 3]])
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), spectrogram)
    for axis in figure.axes[:2]:
        assert axis.images[0].get_extent()[:2] == [0, 60]


def test_each_label_of_a_window_is_framed_in_its_row():
    figure = attention_over_time(np.zeros((3, 4)), PROBABILITIES, CLASSES, {5: ["bee"], 60: ["ant", "bee"]})
    assert rows_of(figure)[0] == ["ant", "bee", "dog", "cow"]
    frames = sorted((frame.get_x(), frame.get_y(), frame.get_width()) for frame in figure.axes[1].patches)
    assert frames == [(0, 1, 5), (55, 0, 5), (55, 1, 5)]


def test_no_labelled_class_is_left_out_however_few_are_shown_and_none_may_be_labelled():
    labelled = {5: ["ant", "bee"], 10: ["cow"]}
    assert rows_of(attention_over_time(np.zeros((3, 4)), PROBABILITIES, CLASSES, labelled, most=1))[0] == [
        "ant",
        "bee",
        "cow",
    ]
    assert rows_of(attention_over_time(np.zeros((3, 4)), PROBABILITIES, CLASSES, {}, most=2))[0] == ["bee", "dog"]


def test_spectrograms_side_by_side_share_one_scale():
    low, high = np.array([[0.0, 1.0]]), np.array([[2.0, 7.0]])
    figure = spectrogram_row({"before": low, "after": high})
    assert [axis.get_title() for axis in figure.axes] == ["before", "after"]
    for axis, spectrogram in zip(figure.axes, (low, high), strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), spectrogram)
        assert axis.images[0].get_clim() == (0, 7)
