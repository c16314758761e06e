"""The blend's figures show their numbers: bars and marks are where the tables have them."""

import numpy as np
import pandas as pd
import pytest

from lib.blend.ablation import ablate
from lib.blend.recipe import Step
from lib.blend.search.nested import search
from lib.blend.search.space import SearchSpace
from lib.show.blend import optimism_figure, sidecar_gate_figure, waterfall, weights_by_fold
from tests.support.tinyblend import labels_of, noisy_scores, recipe_of


@pytest.fixture(scope="module")
def searched():
    labels = labels_of()
    parts = {name: noisy_scores(labels, noise, n) for n, (name, noise) in enumerate((("p", 1.0), ("q", 1.5)))}
    recipe = recipe_of("pq", steps=[Step("smooth_windows", {"sigma": 0.5})])
    return search(SearchSpace(recipe, "all"), parts, labels), ablate(recipe, parts, labels, draws=30)


def texts(axis):
    return [text.get_text().strip() for text in axis.texts]


def test_the_waterfall_climbs_to_the_score(searched):
    table = searched[1]
    climb, missed = waterfall(table).axes
    joining = table[table.order == "in order"]
    assert [bar.get_x() + bar.get_width() for bar in climb.patches] == pytest.approx(joining.score.tolist())
    assert climb.patches[0].get_x() == pytest.approx(0.5)
    assert texts(climb) == [f"{gain:+.3f}" for gain in joining.gain]
    assert [tick.get_text() for tick in missed.get_yticklabels()] == ["p", "q", "smooth_windows"]


def test_weights_are_marked_with_what_each_fold_would_have_chosen(searched):
    found = searched[0]
    axis = weights_by_fold(found, ["p", "q"]).axes[0]
    *folds, chosen = [line.get_xdata().tolist() for line in axis.lines]
    assert chosen == list(found.candidate.weights)
    assert folds == [list(choice.weights) for choice in found.by_fold.values()]


def test_searched_and_nested_stand_side_by_side_with_the_references(searched):
    found = searched[0]
    axis = optimism_figure({"greedy": found}, {"safe": 0.6}).axes[0]
    assert texts(axis) == [f"{found.searched_score:.3f}", f"{found.nested_score:.3f}"]
    assert "safe 0.600, nothing searched" in [text.get_text() for text in axis.get_legend().get_texts()]
    low, high = axis.get_xlim()
    assert low < 0.6 < found.searched_score < high


def test_the_gate_shows_open_classes_first_with_their_weights_and_no_class_without_a_gain():
    table = pd.DataFrame(
        {
            "primary_label": ["a", "b", "c"],
            "gate_weight": [0.0, 0.02, 0.0],
            "delta": [0.05, 0.03, np.nan],
            "low": [-0.01, 0.01, np.nan],
            "positives": [3, 40, 0],
            "opened": [False, True, False],
        }
    )
    axis = sidecar_gate_figure(table, "a sidecar").axes[0]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["b (40)", "a (3)"]
    assert [bar.get_height() for bar in axis.patches] == [0.03, 0.05]
    assert axis.patches[0].get_facecolor() != axis.patches[1].get_facecolor()
    assert texts(axis) == ["0.020"]
    assert axis.get_title(loc="left") == "a sidecar: 1 of 3 classes open"
