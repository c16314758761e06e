"""The figures hold what the tables hold: bars and cells count, titles name the numbers, nothing stays open."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from lib.show import eda as figures
from lib.show.plots import TAXON_COLOURS
from tests.support.tinymemo import CLIPS, ONE, PREPARED, TAXONOMY, TWO, WINDOWS, labelled, prepared, qa_line, sounds

TRIAL = pd.DataFrame(
    {
        "case": ["louder", "trimmed", "drowned"],
        "recall": [1.0, 0.5, 0.0],
        "found": [8, 4, 0],
        "planted": 8,
        "mistaken": [0, 1, 0],
        "lowest_copy": [0.9, 0.61, np.nan],
        "highest_other": [np.nan, 0.55, 0.0],
    }
)
NO_QA = pd.DataFrame(columns=["detail"], dtype=str)


@pytest.fixture(autouse=True)
def closed():
    yield
    assert not plt.get_fignums()


def heights(axis) -> list[float]:
    return [patch.get_height() for patch in axis.patches]


def histogram(axis) -> dict[float, float]:
    """The heights of the bars that there are, by their middles."""
    bars = [bar for bar in axis.patches if bar.get_height()]
    return {round(bar.get_x() + bar.get_width() / 2, 2): bar.get_height() for bar in bars}


def test_durations_count_every_clip_once_and_add_minutes():
    lengths, minutes = figures.durations(CLIPS).axes
    assert sum(heights(lengths)) == len(CLIPS)
    assert lengths.get_title() == "1 of 5 clips are shorter than a window of 5 s"
    assert [text.get_text() for text in lengths.get_legend().get_texts()] == ["XC", "iNat"]
    bars = {
        text.get_text(): bar.get_width() for text, bar in zip(minutes.get_yticklabels(), minutes.patches, strict=True)
    }
    assert bars == {"Amphibia": 0.5, "Aves": 81 / 60}


def test_quality_separates_clips_from_soundscapes_and_leaves_the_unusable_out():
    clips = sounds(["1", "2", "3"], snr_db=[20.0, 30.0, 99.0], silent=[0.0, 0.5, 1.0], problem=["", "", "no samples"])
    scenes = sounds(["4", "5"], snr_db=[2.0, 4.0], clipped=[0.5, 0.0])
    rating, peak, silent, snr = figures.quality(CLIPS, clips, scenes).axes
    assert rating.get_title().endswith("(40% have none: grey)")
    assert sum(heights(rating)) == len(CLIPS)
    grey = [bar for bar in rating.patches if bar.get_facecolor() == to_rgba("#bbb")]
    assert [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in grey] == [(0, 2)]
    assert peak.get_title().endswith("clipped: 0% and 50%")
    assert silent.get_title().endswith("any: 50% and 0%")
    assert snr.get_title().endswith("medians: 25 and 3")
    for axis in (peak, silent, snr):
        assert sum(heights(axis)) == pytest.approx(2)  # each kind's shares add up to one


def test_activity_is_the_mean_number_of_classes_and_leaves_unlabelled_hours_empty():
    classes, taxa = figures.activity(WINDOWS, TAXONOMY).axes[:2]
    assert [tick.get_text() for tick in classes.get_yticklabels()] == ["S01", "S02"]
    by_site = classes.images[0].get_array()
    assert by_site[0, 5] == pytest.approx(4 / 3)
    assert by_site[1, 20] == 1
    assert by_site.mask.sum() == 2 * 24 - 2
    assert [tick.get_text() for tick in taxa.get_yticklabels()] == ["Aves", "Amphibia", "Insecta"]
    share = taxa.images[0].get_array()
    np.testing.assert_allclose(share[:, 5].filled(9), [2 / 3, 2 / 3, 0])
    np.testing.assert_allclose(share[:, 20].filled(9), [1, 0, 0])
    assert share.mask[:, 6].all()


def test_cooccurrence_is_red_where_classes_meet_more_often_and_marks_mirrors():
    rows = [(stem, end_s, labels) for stem, labels in ((ONE, ("a", "b")), (TWO, ("c",))) for end_s in (5, 10, 15)]
    labels = prepared(windows=labelled(*rows)).labels
    axis = figures.cooccurrence_matrix(labels, TAXONOMY, [["a", "b"]]).axes[0]
    names = [tick.get_text() for tick in axis.get_yticklabels()]
    codes = [tick.get_text() for tick in axis.get_xticklabels()]
    assert sorted(names) == ["Ani ≡", "Bananaquit ≡", "Chorus frog"]  # d is never present
    assert axis.get_xticklabels()[codes.index("c")].get_color() == TAXON_COLOURS["Amphibia"]
    assert axis.get_title().endswith("(3 classes, all; ≡ present in just the same windows as another: 2)")
    lift = axis.images[0].get_array()
    a, b, c = (codes.index(label) for label in "abc")
    assert lift[a, b] == pytest.approx(np.log2(3.5 / 2))
    assert lift[a, c] == lift[c, b] == pytest.approx(np.log2(0.5 / 2))
    assert lift.mask.sum() == 3  # the diagonal


def test_classes_that_cooccur_lie_together():
    rows = [(stem, end_s, labels) for stem, labels in ((ONE, ("a", "c")), (TWO, ("b", "d"))) for end_s in (5, 10, 15)]
    axis = figures.cooccurrence_matrix(prepared(windows=labelled(*rows)).labels, TAXONOMY, []).axes[0]
    order = "".join(tick.get_text() for tick in axis.get_xticklabels())
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset("ac"), frozenset("bd")}


def test_of_many_classes_the_most_frequent_are_shown(monkeypatch):
    monkeypatch.setattr(figures, "_MOST_CLASSES", 2)
    axis = figures.cooccurrence_matrix(PREPARED.labels, TAXONOMY, []).axes[0]
    assert {tick.get_text() for tick in axis.get_xticklabels()} == {"a", "c"}
    assert axis.get_title().endswith("(2 classes, most frequent)")


def test_copies_show_recall_similarity_and_clusters():
    lines = [qa_line(f"a/{n}", "clip", "near copy", "group", f"b/{n}", f"similarity 0.{n}9") for n in (6, 9, 9)]
    found, similarities, clusters = figures.duplicates_figure(pd.DataFrame(lines), pd.Series({2: 3, 5: 1}), TRIAL).axes
    assert [bar.get_width() for bar in found.patches] == [1.0, 0.5, 0.0]
    assert [text.get_text() for text in found.texts] == [
        "8 of 8, 0 mistaken; similarity 0.90 or more",
        "4 of 8, 1 mistaken; similarity 0.61 or more, others 0.55 or less",
        "0 of 8, 0 mistaken",
    ]
    assert similarities.get_title() == "near copies in the data: 3, by similarity"
    assert histogram(similarities) == {0.69: 1, 0.99: 2}
    assert clusters.get_title() == "clusters of copies: 4, by number of items"
    assert histogram(clusters) == {2: 3, 5: 1}


def test_without_copies_the_frames_show_none_and_have_no_ticks():
    empty = pd.Series(dtype=int)
    for axis in figures.duplicates_figure(NO_QA, empty, TRIAL).axes[1:]:
        assert [text.get_text() for text in axis.texts] == ["none"]
        assert not [*axis.get_xticks(), *axis.get_yticks(), *axis.patches]
