"""Two kinds of labels of the same soundscapes become one, by a share and fold by fold."""

from dataclasses import replace

import numpy as np
import pytest

from lib.core.errors import BadInput
from lib.core.records import seal, write_json
from lib.learn.soft_labels.store import open_soft_labels
from lib.pseudo.label import mix_labels
from tests.support.tinyexamples import CLASSES, STEMS, tiny_prepared
from tests.support.tinylabels import write_labels

PREPARED = tiny_prepared()
ORDER = [2, 0, 1]
ABROAD = "abroad_0001"


def open_labels(folder):
    return open_soft_labels(folder, CLASSES, PREPARED.folds)


@pytest.fixture
def labels(tmp_path):
    """Labels by hens, then by owls: in fold n hens give n / 8 of the first class, owls 1 - n / 4; of the rest .5."""

    def by(name, of_fold):
        write_json(tmp_path / name / "training.json", {})
        seal(tmp_path / name, "member")
        probabilities = {fold: np.full((len(STEMS) + 1, 12, 3), 0.5) for fold in ORDER}
        for fold, table in probabilities.items():
            table[:, :, 0] = of_fold(fold)
        teachers = {name: tmp_path / name}
        return open_labels(
            write_labels(tmp_path / f"by {name}", PREPARED, probabilities, [*STEMS, ABROAD], teachers, [ABROAD])
        )

    return by("hen", lambda fold: fold / 8), by("owl", lambda fold: 1 - fold / 4)


def test_the_last_have_their_share_of_every_probability_in_each_fold(labels, tmp_path):
    both = open_labels(mix_labels(*labels, 0.25, tmp_path / "both"))
    assert both.card.folds == ORDER
    for fold in ORDER:
        probabilities = both.of_fold(fold)
        assert probabilities.dtype == np.float16
        np.testing.assert_array_equal(probabilities[:, :, 0], 0.75 * fold / 8 + 0.25 * (1 - fold / 4))
        np.testing.assert_array_equal(probabilities[:, :, 1:], 0.5)
    for share, alone in ((0.0, labels[0]), (1.0, labels[1])):
        folder = mix_labels(*labels, share, tmp_path / "alone")
        np.testing.assert_array_equal(open_labels(folder).of_fold(1), alone.of_fold(1))


def test_the_card_names_all_teachers_and_the_mix(labels, tmp_path):
    card, (first, last) = open_labels(mix_labels(*labels, 0.25, tmp_path / "both")).card, labels
    assert card.name == "both"
    assert card.teachers == first.card.teachers | last.card.teachers
    assert set(card.teachers) == {"hen", "owl"}
    assert card.mixed == {"labels": {"by hen": 0.75, "by owl": 0.25}, "made by": [first.manifest, last.manifest]}
    assert (card.stems, card.external) == ([*STEMS, ABROAD], [ABROAD])
    assert (card.class_hash, card.fold_version) == (CLASSES.hash, PREPARED.folds.version)


@pytest.mark.parametrize(
    "other",
    [
        {"stems": [ABROAD, *STEMS]},
        {"stems": [*STEMS]},
        {"folds": [0, 1, 2]},
        {"class_hash": "owl"},
        {"fold_version": "owl"},
    ],
    ids=["stems in another order", "fewer stems", "folds in another order", "class_hash", "fold_version"],
)
def test_labels_of_anything_else_are_refused(labels, tmp_path, other):
    first, last = labels
    with pytest.raises(BadInput, match=f"labels of other {next(iter(other))} cannot be mixed"):
        mix_labels(first, replace(last, card=replace(last.card, **other)), 0.5, tmp_path / "both")
    assert not (tmp_path / "both").exists()
