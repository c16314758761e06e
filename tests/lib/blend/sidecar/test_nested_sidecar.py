"""A recipe's sidecar has a gate of its own without each fold's labels, and only those gates are judged."""

import numpy as np
import pytest

from lib.blend.evaluate import evaluate
from lib.blend.search.nested import variant_scores, with_fold_variants
from lib.blend.sidecar.apply import SidecarSettings
from lib.blend.sidecar.gate import SidecarGateSettings
from lib.blend.sidecar.nested import nested_sidecar, with_sidecar
from lib.competition.scores import Labels
from lib.core.errors import BadInput
from lib.judge.metric import judge
from tests.support.tinyblend import CLASSES, labels_of, noisy_scores, recipe_of

LOOSE = SidecarSettings(cap=0.5, budget=1.0, max_active_share=1.0, min_top3=0.0, min_top10=0.0)
FEW = SidecarGateSettings(draws=50)
LABELS = labels_of(files=6, rate=0.3)
ANCHOR = noisy_scores(LABELS, 1.0)
HELPS = np.array([3.0, -2.0, 0.0, 0.0])  # in class a, and harms b
SIDE = noisy_scores(LABELS, 1.0, seed=1)
SIDE = SIDE.with_values(SIDE.values + (HELPS - 1.0) * LABELS.values)
PARTS = {"anchor": ANCHOR, "side": SIDE}
PLAIN = recipe_of(["anchor", "side"], weights=[1.0, 0.0])


def with_side(labels):
    return nested_sidecar(PLAIN, dict.fromkeys(range(3), PLAIN), "side", PARTS, labels, LOOSE, FEW)


@pytest.fixture(scope="module")
def made():
    return with_side(LABELS)


def test_a_side_that_helps_one_class_moves_that_class_alone_and_for_the_better(made):
    before, after = (judge(LABELS, scores).per_class for scores in (evaluate(PLAIN, PARTS, LABELS), made.nested))
    assert after["a"] > before["a"] + 0.02
    assert [after[label] for label in "bcd"] == [before[label] for label in "bcd"]
    assert list(made.recipe.mixes[-1].steps[-1].parameters["gate"]) == ["a"]


def test_a_folds_own_labels_have_no_part_in_its_gate(made):
    turned = np.where(LABELS.strata[:, None] == 0, ~LABELS.values, LABELS.values)
    after = with_side(Labels(turned, LABELS.row_ids, LABELS.classes, LABELS.strata))
    assert [fold for fold in range(3) if made.by_fold[fold] == after.by_fold[fold]] == [0]
    assert made.recipe != after.recipe


def test_a_gate_fitted_on_all_rows_does_not_lift_the_judged_score(made):
    """The leak, planted: a gate with its full weight in each class where the side gains on the judged rows."""
    alone = {name: judge(LABELS, part).per_class for name, part in PARTS.items()}
    better = [label for label in CLASSES if alone["side"][label] > alone["anchor"][label]]
    leaky = with_sidecar(PLAIN, "side", dict.fromkeys(better, 0.5), LOOSE)
    assert judge(LABELS, evaluate(leaky, PARTS, LABELS)).macro > judge(LABELS, made.nested).macro
    judged = variant_scores(with_fold_variants(leaky, made.by_fold), PARTS, LABELS)
    np.testing.assert_array_equal(judged.values, made.nested.values)


def test_a_side_that_helps_nowhere_leaves_the_recipe_as_it_is():
    made = nested_sidecar(PLAIN, dict.fromkeys(range(3), PLAIN), "anchor", PARTS, LABELS, LOOSE, FEW)
    assert made.recipe.mixes == PLAIN.mixes
    assert list(made.by_fold.values()) == [PLAIN] * 3


def test_folds_that_split_a_recording_are_refused():
    split = Labels(LABELS.values, LABELS.row_ids, LABELS.classes, np.arange(len(LABELS.row_ids)) % 3)
    with pytest.raises(BadInput, match="judged on rows it was fitted on"):
        with_side(split)
