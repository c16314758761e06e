"""Soft labels come back as they were saved, in half precision, and are refused where classes or folds are others."""

from dataclasses import replace

import numpy as np
import pytest

from lib.competition.classes import ClassList
from lib.core.errors import BadInput
from lib.core.fingerprint import of_file
from lib.core.records import identity_of, read_json
from lib.learn.soft_labels.store import SoftLabelsCard, open_soft_labels, save_soft_labels
from tests.support.tinyexamples import CLASSES, STEMS, tiny_prepared

FOLDS = tiny_prepared().folds
CARD = SoftLabelsCard(
    "owls", CLASSES.hash, FOLDS.version, {"owl": "m1"}, {"weights": {"owl": 1.0}}, STEMS, FOLDS.numbers, STEMS[-1:]
)


def probabilities(seed=0):
    return np.random.default_rng(seed).random((len(STEMS), 12, 3))


BY_FOLD = {fold: probabilities(fold) for fold in FOLDS.numbers}


@pytest.fixture
def folder(tmp_path):
    save_soft_labels(tmp_path / "owls", CARD, BY_FOLD)
    return tmp_path / "owls"


def test_each_folds_probabilities_come_back_in_half_precision_and_are_not_read_whole(folder):
    labels = open_soft_labels(folder, CLASSES, FOLDS)
    for fold, saved in BY_FOLD.items():
        read = labels.of_fold(fold)
        assert isinstance(read, np.memmap)
        assert read.dtype == np.float16
        np.testing.assert_array_equal(read, saved.astype(np.float16))
    assert labels.card == CARD
    assert labels.manifest == identity_of(folder)
    assert read_json(folder / "manifest.json")["kind"] == "labels"


@pytest.mark.parametrize("block", [1, 3, 100])
def test_pooled_labels_are_the_mean_of_all_folds(folder, monkeypatch, block):
    monkeypatch.setattr("lib.learn.soft_labels.store._BLOCK", block)
    halves = [saved.astype(np.float16).astype(np.float32) for saved in BY_FOLD.values()]
    pooled = open_soft_labels(folder, CLASSES, FOLDS).of_fold(None)
    assert pooled.dtype == np.float16
    np.testing.assert_array_equal(pooled, np.mean(halves, axis=0).astype(np.float16))


def test_a_fold_without_labels_is_named(folder):
    with pytest.raises(BadInput, match="no predictions for fold 7"):
        open_soft_labels(folder, CLASSES, FOLDS).of_fold(7)


def test_other_classes_other_folds_damage_and_an_empty_place_are_refused(folder, tmp_path):
    with pytest.raises(BadInput, match="another class list"):
        open_soft_labels(folder, ClassList(("bee", "ant", "cow")), FOLDS)
    table = FOLDS.table.assign(fold=(FOLDS.table.fold + 1) % 3)
    with pytest.raises(BadInput, match="owls were made on other folds"):
        open_soft_labels(folder, CLASSES, replace(FOLDS, table=table))
    with pytest.raises(BadInput, match="no soft labels"):
        open_soft_labels(tmp_path / "nowhere", CLASSES, FOLDS)
    saved = bytearray((folder / "fold1.npy").read_bytes())
    saved[-1] ^= 1
    (folder / "fold1.npy").write_bytes(saved)
    with pytest.raises(BadInput, match=r"changed or damaged(.|\n)*fold1\.npy"):
        open_soft_labels(folder, CLASSES, FOLDS)


def test_the_same_labels_are_the_same_bytes_whatever_lay_there_before(folder):
    before = of_file(folder / "manifest.json")
    (folder / "fold9.npy").write_bytes(b"of before")
    save_soft_labels(folder, CARD, BY_FOLD)
    assert of_file(folder / "manifest.json") == before
    assert not (folder / "fold9.npy").exists()


@pytest.mark.parametrize(
    ("card", "by_fold", "fault"),
    [
        ({"stems": []}, dict.fromkeys(FOLDS.numbers, np.zeros((0, 12, 3))), "no soundscape"),
        ({"stems": [*STEMS[:-1], STEMS[0]], "external": []}, BY_FOLD, "twice"),
        ({"external": ["crow"]}, BY_FOLD, "external.*crow"),
        ({}, {0: probabilities()}, r"folds \[0\]"),
        ({"folds": []}, {}, r"folds \[\]"),
        ({}, BY_FOLD | {1: probabilities()[1:]}, "fold 1 of shape"),
        ({}, BY_FOLD | {1: probabilities()[:, :11]}, "fold 1 of shape"),
        ({}, BY_FOLD | {1: probabilities() + 0.1}, "fold 1 from"),
        ({}, BY_FOLD | {1: probabilities() - 0.1}, "fold 1 from"),
        ({}, BY_FOLD | {2: np.full((len(STEMS), 12, 3), np.nan)}, "fold 2 from nan"),
    ],
)
def test_what_no_student_could_trust_is_not_written(tmp_path, card, by_fold, fault):
    with pytest.raises(BadInput, match=fault):
        save_soft_labels(tmp_path / "owls", replace(CARD, **card), by_fold)
    assert not (tmp_path / "owls").exists()
