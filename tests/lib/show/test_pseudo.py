"""Figures of pseudo-labels show what their tables hold; the review plays the very windows that it names."""

from dataclasses import replace
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from lib.competition.row_ids import SOUNDSCAPE_SAMPLES, WINDOW_SAMPLES
from lib.learn.soft_labels.gate import apply_gate
from lib.learn.soft_labels.settings import LabelGateSettings
from lib.show import pseudo as figures
from lib.show.plots import TAXON_COLOURS
from tests.support.tinyexamples import LABELLED, STEMS, tiny_prepared

GAINS = pd.DataFrame(
    [
        (1, "leaky", 0.12, 0.09, 0.15, None),
        (1, "student", 0.02, 0.01, 0.04, "keep"),
        (2, "student", -0.03, -0.05, -0.01, "discard"),
    ],
    columns=["round", "kind", "gain", "low", "high", "verdict"],
)
KEPT = pd.DataFrame(
    [
        ("overall", "all", 60, 9, 0.5, 0.7, 0.68, 0.9),
        ("site", "S01", 30, 4, 0.6, 0.605, 0.6, np.nan),
        ("site", "S02", 30, 5, 0.4, 0.8, 0.3, -0.25),
        ("site", "S03", 2, 0, np.nan, np.nan, np.nan, np.nan),
    ],
    columns=["grouping", "subgroup", "windows", "classes", "floor", "teacher", "student", "kept"],
)


@pytest.fixture(autouse=True)
def closed():
    yield
    assert not plt.get_fignums()


def texts(axis):
    return [text.get_text() for text in axis.texts]


def ticks(axis):
    return [(tick.get_text(), to_hex(tick.get_color())) for tick in axis.get_yticklabels()]


def test_each_round_has_its_leaky_gain_left_of_the_students_and_the_verdict_below():
    axis = figures.gains_by_round(GAINS).axes[0]
    leaky, first, second = axis.patches
    assert [bar.get_height() for bar in axis.patches] == [0.12, 0.02, -0.03]
    assert leaky.get_x() + leaky.get_width() < first.get_x() < 1 < second.get_x() + second.get_width()
    assert leaky.get_facecolor() != first.get_facecolor() == second.get_facecolor()
    assert texts(axis) == ["+0.120", "+0.020", "-0.030"]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["R1\nkeep", "R2\ndiscard"]
    assert len({to_hex(tick.get_color()) for tick in axis.get_xticklabels()}) == 2
    assert [text.xy[1] for text in axis.texts] == [0.15, 0.04, -0.05]


def test_a_figure_without_a_leaky_control_does_not_speak_of_one():
    legend = figures.gains_by_round(GAINS[GAINS.kind == "student"]).axes[0].get_legend()
    assert [text.get_text().partition(":")[0] for text in legend.get_texts()] == ["student"]


def table_of(states):
    """A gate's table: class n has passed n crops where its gate is open."""
    rows = [
        (f"c{n}", "Aves" if n % 2 else "Insecta", state, n if state == "open" else 0)
        for n, state in enumerate(states, start=1)
    ]
    return pd.DataFrame(rows, columns=["primary_label", "taxon", "gate", "passed"])


def test_the_gate_shows_most_crops_first_and_then_what_stayed_empty_or_is_off():
    figure = figures.label_gate_figure(table_of(["open", "off", "empty", "open"]))
    axis = figure.axes[0]
    assert [name for name, _ in ticks(axis)] == ["c4", "c1", "c3", "c2"]
    assert len({colour for _, colour in ticks(axis)}) == 3
    assert [bar.get_width() for bar in axis.patches] == [4, 1, 0, 0]
    assert to_hex(axis.patches[0].get_facecolor()) == TAXON_COLOURS["Insecta"]
    assert texts(axis) == ["4", "1", "empty", "off"]
    assert figure.get_suptitle() == "4 classes: 2 open, 1 empty, 1 off"


def test_bars_that_would_all_be_equal_are_a_sentence_instead():
    alike = table_of(["open"] * 36).assign(passed=306)
    assert figures.show_label_gate(alike).html == "<p>All 36 classes alike: open, 306 crops of each passed.</p>"
    assert figures.show_label_gate(table_of(["open", "open"])).axes


def test_as_many_classes_as_the_contest_has_all_stand_there_and_none_on_another():
    figure = figures.label_gate_figure(table_of(["open", "empty"] * 117))
    names = [name for axis in figure.axes for name, _ in ticks(axis)]
    assert len(names) == len(set(names)) == 234
    figure.draw_without_rendering()
    for axis in figure.axes:
        heights = [tick.get_window_extent() for tick in axis.get_yticklabels()]
        assert all(upper.y0 > lower.y0 + 0.8 * lower.height for upper, lower in pairwise(heights))
        assert min(box.x0 for box in heights) >= 0


class Sound:
    """Window n of soundscape s is one level of its own, and requests are recorded."""

    def __init__(self):
        self.requested = []

    def __call__(self, stem):
        self.requested.append(stem)
        levels = 100 * STEMS.index(stem) + np.arange(12)
        return np.repeat(levels, WINDOW_SAMPLES).astype(np.float32)[:SOUNDSCAPE_SAMPLES]


def probabilities_of(*cells):
    """(2, 12, 3) probabilities of .01, but for (soundscape, window, class, probability)."""
    probabilities = np.full((2, 12, 3), 0.01, dtype=np.float16)
    for stem, window, column, probability in cells:
        probabilities[stem, window, column] = probability
    return probabilities


@pytest.fixture
def reviewed(monkeypatch):
    """The cards that a review would draw."""
    monkeypatch.setattr(figures, "gallery", list)

    def cards(probabilities, prepared=None, **settings):
        gated = apply_gate(
            probabilities.reshape(-1, 3), LabelGateSettings(**settings), ("Insecta", "Insecta", "Mammalia")
        )
        return figures.review_label_gate(prepared or tiny_prepared(), STEMS[:2], probabilities, gated, Sound())

    return cards


def test_the_rarest_classes_come_first_with_what_passed_and_what_just_did_not(reviewed):
    probabilities = probabilities_of(
        (0, 3, 2, 0.9), (1, 5, 2, 0.8), (1, 6, 2, 0.7), (0, 1, 2, 0.4), (1, 11, 2, 0.3), (0, 0, 0, 0.6)
    )
    cow, bee, ant = reviewed(probabilities)
    assert [card.heading for card in (cow, bee, ant)] == ["cow", "bee", "ant"]
    assert cow.reason == "labelled windows: 1, clips: 0; windows that passed: 3, none below 0.700"
    one, two = LABELLED[:2]
    assert list(cow.sounds) == [
        f"passed, 0.900: {one}, 15–20 s",
        f"passed, 0.800: {two}, 25–30 s",
        f"just below, 0.400: {one}, 5–10 s",
        f"just below, 0.300: {two}, 55–60 s",
    ]
    assert [float(audio[0]) for audio in cow.sounds.values()] == [3, 105, 1, 111]
    assert {len(audio) for audio in cow.sounds.values()} == {WINDOW_SAMPLES}
    assert bee.reason == "labelled windows: 0, clips: 3; windows that passed: 0"
    assert all(name.startswith("just below") for name in bee.sounds)


def test_of_one_soundscape_no_second_window_fills_the_card(reviewed):
    cow = reviewed(probabilities_of((0, 3, 2, 0.9), (0, 4, 2, 0.85), (1, 5, 2, 0.6)))[0]
    assert [name.split(":")[0] for name in cow.sounds][:2] == ["passed, 0.900", "passed, 0.600"]


def test_rare_is_what_has_few_clips_and_windows_together(reviewed):
    prepared = tiny_prepared()
    clips = prepared.clips[prepared.clips.filename.isin(["ant/0.ogg", "bee/0.ogg", "bee/1.ogg"])]
    cards = reviewed(probabilities_of((0, 3, 2, 0.9)), replace(prepared, clips=clips))
    assert [card.heading for card in cards] == ["cow", "bee", "ant"]  # 1, 2 and, with two windows, 3


def test_a_taxon_that_is_off_is_not_reviewed(reviewed):
    cards = reviewed(probabilities_of((0, 3, 0, 0.9)), by_taxon="Mammalia=off")
    assert [card.heading for card in cards] == ["bee", "ant"]


def test_the_review_is_a_gallery_with_a_player_for_each_window():
    probabilities = probabilities_of((0, 3, 2, 0.9))
    gated = apply_gate(
        probabilities.reshape(-1, 3), LabelGateSettings(by_taxon="Insecta=off"), ("Insecta", "Insecta", "Mammalia")
    )
    noise = np.random.default_rng(0).normal(0, 0.1, SOUNDSCAPE_SAMPLES).astype(np.float32)
    html = figures.review_label_gate(tiny_prepared(), STEMS[:2], probabilities, gated, lambda stem: noise).html
    assert html.count("<audio controls") == html.count("data:image/jpeg") == 3


def test_a_line_leads_from_each_teacher_to_its_student_and_shows_the_share_that_is_kept():
    axis = figures.kept_by_subgroup(KEPT).axes[0]
    floor, teacher, student = axis.lines[:3]
    assert floor.get_xdata().tolist() == [0.5, 0.6, 0.4]
    assert teacher.get_xdata().tolist() == [0.7, 0.605, 0.8]
    assert student.get_xdata().tolist() == [0.68, 0.6, 0.3]
    assert len({tuple(line.get_ydata()) for line in (floor, teacher, student)}) == 1
    assert texts(axis) == ["keeps 90%", "no sure gain to keep", "keeps nothing"]
    names = dict(zip(axis.get_yticks().tolist(), [name for name, _ in ticks(axis)], strict=True))
    assert [names[place] for place in teacher.get_ydata()] == [
        "overall, all (60 windows, 9 classes)",
        "S01 (30 windows, 4 classes)",
        "S02 (30 windows, 5 classes)",
    ]
    assert "site" in names.values()
    (lines,) = axis.collections
    assert [sorted(line[:, 0]) for line in lines.get_segments()] == [[0.68, 0.7], [0.6, 0.605], [0.3, 0.8]]


def test_cost_and_score_names_every_point_and_no_name_hides_another():
    names = [f"member number {n}" for n in range(7)]
    rows = pd.DataFrame(
        {
            "name": names,
            "seconds": [0.1, 1.0, 1.0, 1.05, 1.1, 0.9, 6.0],
            "score": [0.6, 0.7, 0.701, 0.699, 0.7, 0.7, 0.8],
        }
    )
    rows = rows.assign(low=rows.score - 0.02, high=rows.score + 0.01)
    figure = figures.cost_and_score(rows)
    axis = figure.axes[0]
    assert axis.get_xscale() == "log"
    np.testing.assert_allclose(axis.lines[0].get_xydata(), rows[["seconds", "score"]])
    assert texts(axis) == names
    assert [text.xy[0] for text in axis.texts] == rows.seconds.tolist()
    boxes = [text.get_window_extent() for text in axis.texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(axis.bbox.x0 <= box.x0 and box.x1 <= axis.bbox.x1 for box in boxes)
