"""Figures draw what they are given and are not left open; pages are whole, escaped and self-contained."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lib.competition.prepared import load_prepared
from lib.competition.tables import Findings, read_taxonomy
from lib.judge.leakage import judge_member
from lib.show import plots as figures
from lib.show.html import write_page


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
    assert len(figure.axes[0].collections[0].get_offsets()) == len(report.scored)


def test_a_page_escapes_what_it_shows_and_loads_nothing_from_elsewhere(tmp_path):
    rows = pd.DataFrame({"name": ["a<b"], "score": [0.7], "low": [0.6], "high": [0.8]})
    write_page(tmp_path / "p.html", "Title & more", ["# Head", "plain <text>", rows, figures.ladder(rows)])
    page = (tmp_path / "p.html").read_text()
    assert "<h2>Head</h2>" in page
    assert "plain &lt;text&gt;" in page
    assert "a&lt;b" in page
    assert "<svg" in page
    assert 'src="http' not in page
    assert "<?xml" not in page
