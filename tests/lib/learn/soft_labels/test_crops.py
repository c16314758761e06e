"""Pseudo-labels: a fold trains on what passes its gate, and on nothing near what it holds out."""

import numpy as np
import pytest

from lib.core.errors import BadInput
from lib.core.records import identity_of
from lib.learn.network.config import NetworkPlan, override
from lib.learn.soft_labels.crops import PseudoLabelSource, crops_that_pass
from lib.learn.soft_labels.settings import LabelGateSettings, PseudoSettings
from tests.support.tinyexamples import CLASSES, EXCLUDED, FREE, LABELLED, RELATED, SAME_DAY, STEMS, tiny_prepared
from tests.support.tinylabels import write_labels

ONE, TWO = STEMS[3], STEMS[4]
TAXA = ("Insecta", "Insecta", "Mammalia")
ABROAD = "abroad_0001"  # no contest recording: its name tells neither site nor day


def table(*marked):
    """(12, 3) probabilities of .125, but for (window, class, probability)."""
    probabilities = np.full((12, 3), 0.125)
    for window, column, probability in marked:
        probabilities[window, column] = probability
    return probabilities


PREDICTED = np.array([table((3, 0, 0.875), (7, 1, 0.625)), table((0, 2, 0.75), (1, 0, 0.25), (11, 1, 0.6875))])


def passing(seconds=5, gate=None, **settings):
    return crops_that_pass(
        PREDICTED, [ONE, TWO], seconds, LabelGateSettings(**(gate or {})), PseudoSettings(**settings), TAXA
    )


def test_crops_that_pass_have_the_teachers_probabilities_as_soft_targets():
    source = passing(pseudo_weight=0.25)
    assert source.items == (ONE, ONE, TWO, TWO)
    assert source.starts_s.tolist() == [15, 35, 0, 55]
    np.testing.assert_array_equal(source.targets, [PREDICTED[0, 3], PREDICTED[0, 7], PREDICTED[1, 0], PREDICTED[1, 11]])
    np.testing.assert_array_equal(source.weights, np.full((4, 3), 0.25))
    assert source.passed_gate.tolist() == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
        [False, True, False],
    ]
    assert source.targets.dtype == source.weights.dtype == np.float32


def test_longer_crops_have_what_any_of_their_windows_has():
    source = passing(seconds=10)
    assert list(zip(source.items, source.starts_s.tolist(), strict=True)) == [
        (ONE, 10),
        (ONE, 15),
        (ONE, 30),
        (ONE, 35),
        (TWO, 0),
        (TWO, 50),
    ]
    np.testing.assert_array_equal(source.targets[4], [0.25, 0.125, 0.75])
    whole = passing(seconds=60, gate={"gate": "none"})
    assert whole.starts_s.tolist() == [0, 0]
    np.testing.assert_array_equal(whole.targets, [[0.875, 0.625, 0.125], [0.25, 0.6875, 0.75]])


def test_the_gates_settings_are_heeded_and_a_taxon_that_is_off_does_not_count():
    source = passing(gate={"by_taxon": "Mammalia=off", "targets": "hard"}, pseudo_weight=0.5)
    assert source.items == (ONE, ONE, TWO)
    assert source.weights.tolist() == [[0.5, 0.5, 0]] * 3
    assert source.targets.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"pseudo_mode": "odd"},
        {"pseudo_loss": "odd"},
        {"pseudo_ratio": -1.0},
        {"pseudo_weight": 0.0},
        {"temperature": 0.0},
        {"pseudo_mode": "substitute", "pseudo_ratio": 1.5},
        {"pseudo_mode": "mixup", "pseudo_loss": "kld"},
    ],
)
def test_settings_that_cannot_be_trained_with_are_refused(wrong):
    with pytest.raises(BadInput, match="pseudo-label settings"):
        PseudoSettings(**wrong)


@pytest.fixture
def labels(tmp_path):
    """Labels in which fold n predicts class n in window 5 + n, of all soundscapes and one from abroad."""
    stems = [*STEMS, ABROAD]
    by_fold = {fold: np.array([table((5 + fold, fold, 0.875))] * len(stems)) for fold in range(3)}
    folder = write_labels(tmp_path / "labels", tiny_prepared(), by_fold, stems, {}, [ABROAD])
    return PseudoLabelSource(folder, False, TAXA)


def crops(labels, fold):
    return labels.crops(tiny_prepared(), fold, 5, LabelGateSettings(), PseudoSettings())


@pytest.mark.parametrize(("fold", "near"), [(0, SAME_DAY), (1, RELATED), (2, None)])
def test_a_fold_trains_on_its_own_teachers_labels_and_nothing_near_what_is_held_out(labels, fold, near):
    source = crops(labels, fold)
    assert set(source.items) == {SAME_DAY, RELATED, FREE, ABROAD} - {near}
    assert set(source.starts_s.tolist()) == {5 * (5 + fold)}
    assert set(np.argmax(source.targets, axis=1)) == {fold}


def test_the_full_data_network_trains_on_the_mean_of_all_folds_where_there_are_no_labels(labels):
    with pytest.raises(BadInput, match="nothing passes the gate, of the full-data network"):
        crops(labels, None)  # two of three folds predict nothing
    source = labels.crops(tiny_prepared(), None, 5, LabelGateSettings(gate_threshold=0.375), PseudoSettings())
    assert set(source.items) == {SAME_DAY, RELATED, FREE, ABROAD}
    assert set(source.starts_s.tolist()) == {25, 30, 35}


def test_the_leak_trains_on_everything_but_bad_sound_by_all_folds(labels):
    leak = PseudoLabelSource(labels.folder, True, TAXA)
    for fold in (0, None):
        source = leak.crops(tiny_prepared(), fold, 5, LabelGateSettings(gate_threshold=0.375), PseudoSettings())
        assert set(source.items) == {*STEMS, ABROAD} - {EXCLUDED}
        assert set(source.starts_s.tolist()) == {25, 30, 35}


def test_what_is_left_out_is_counted(labels):
    prepared = tiny_prepared()
    summary = labels.summary(prepared, 0, crops(labels, 0))
    assert summary == (
        "3 crops of 3 soundscapes pass the gate; left out: 1 excluded, 3 labelled,"
        " 1 of a day and site that are held out"
    )
    assert "1 related to what is held out" in labels.summary(prepared, 1, crops(labels, 1))


def test_labels_without_a_soundscape_that_a_fold_may_use_are_refused(tmp_path):
    stems = [*LABELLED, SAME_DAY]
    by_fold = dict.fromkeys(range(3), np.array([table((5, 0, 0.875))] * len(stems)))
    labels = PseudoLabelSource(write_labels(tmp_path / "labels", tiny_prepared(), by_fold, stems, {}), False, TAXA)
    with pytest.raises(BadInput, match=r"no soundscape for fold 0(.|\n)*3 labelled, 1 of a day"):
        crops(labels, 0)
    assert crops(labels, 2).items == (SAME_DAY,)


def test_labels_are_identified_by_their_manifest(labels):
    assert labels.manifest == identity_of(labels.folder) == labels.load(tiny_prepared()).manifest
    assert len(CLASSES) == len(TAXA)


def test_a_plan_reaches_gate_and_pseudo_labels_by_name():
    plan = override(NetworkPlan(), gate="top_k", targets="hard", pseudo_mode="mixup", temperature=2.0, serve="one")
    assert (plan.gate.gate, plan.gate.targets, plan.targets) == ("top_k", "hard", NetworkPlan().targets)
    assert (plan.pseudo.pseudo_mode, plan.pseudo.temperature, plan.serve) == ("mixup", 2.0, "one")
    with pytest.raises(BadInput, match="unknown serve"):
        override(plan, serve="two")
