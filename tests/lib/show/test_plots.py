"""Figures draw what they are given and are not left open."""

import matplotlib.pyplot as plt
import pytest

from lib.competition.prepared import load_prepared
from lib.competition.tables import Findings, read_taxonomy
from lib.judge.leakage import judge_member
from lib.show import plots as figures


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


@pytest.fixture(scope="module")
def taxonomy(public, classes):
    return read_taxonomy(public, classes, Findings())


def test_the_long_tail_has_a_bar_a_class(prepared, taxonomy):
    figure = figures.long_tail(prepared, taxonomy)
    clips = sorted((bar.get_height() for bar in figure.axes[0].patches), reverse=True)
    assert len(clips) == len(prepared.classes)
    assert sum(clips) == len(prepared.clips)
    assert not plt.get_fignums()


def test_fold_coverage_sums_to_all_windows(prepared):
    figure = figures.fold_coverage(prepared)
    assert sum(bar.get_height() for bar in figure.axes[1].patches) == len(prepared.windows)


def test_site_hours_counts_each_soundscape_once():
    figure = figures.site_hours(["S01", "S01", "S02"], [5, 5, 23], "x")
    counts = figure.axes[0].images[0].get_array()
    assert counts.sum() == 3
    assert counts[0, 5] == 2
    assert counts[1, 23] == 1


def test_auc_against_clips_has_a_point_a_scored_class(prepared, members):
    report = judge_member(members / "l1_statistics", prepared.labels, prepared.folds)
    figure = figures.auc_against_clips({"l1": report}, prepared)
    axis = figure.axes[0]
    assert len(axis.collections[0].get_offsets()) == len(report.scored)
    figure.canvas.draw()
    low, high = axis.get_xlim()
    ticks = [text.get_text() for at, text in zip(axis.get_xticks(), axis.get_xticklabels(), strict=True) if low <= at]
    assert ticks[:2] == ["0", "1"]
    assert -1 < low < 0 < high
