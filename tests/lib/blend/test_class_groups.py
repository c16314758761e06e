"""Groups for a recipe: genera that are genera, and mirrors that are not made by chance or by one file."""

import numpy as np
import pandas as pd
import pytest

from lib.blend.class_groups import learn_mirror_groups, taxonomy_groups
from lib.competition.row_ids import row_ids
from lib.competition.scores import Labels
from lib.competition.tables import TAXONOMY
from lib.core.errors import BadInput

ROWS = [row for n in range(6) for row in row_ids(f"BC2026_Train_{n:04d}_S{n:02d}_20250101_000000")]


@pytest.fixture(scope="module")
def taxonomy():
    names = [
        ("frog1", "Leptodactylus fuscus", "Amphibia"),
        ("son01", "Insect son01", "Insecta"),
        ("bird1", "Turdus rufiventris", "Aves"),
        ("son02", "Insect son02", "Insecta"),
        ("frog2", "Leptodactylus podicipinus", "Amphibia"),
        ("noise", "Insect", "Insecta"),
        ("hum", "Insect", "Insecta"),
        ("caiman", "Caiman yacare", "Reptilia"),
    ]
    return pd.DataFrame([(label, "1", latin, "x", taxon) for label, latin, taxon in names], columns=list(TAXONOMY))


def test_relatives_are_found_and_sonotypes_are_no_genus(taxonomy):
    assert taxonomy_groups(taxonomy) == {
        "genus": [["frog1", "frog2"]],
        "class": [["frog1", "frog2"], ["son01", "son02", "noise", "hum"]],
    }


def test_the_public_behaviour_takes_every_first_word_for_a_genus(taxonomy):
    found = taxonomy_groups(taxonomy, pseudo_genera=True)["genus"]
    assert found == [["frog1", "frog2"], ["son01", "son02", "noise", "hum"]]


def labels(**windows):
    """Labels of six soundscapes, class by class the numbers of the windows where it is present."""
    values = np.zeros((len(ROWS), len(windows)), dtype=bool)
    for column, present in enumerate(windows.values()):
        values[list(present), column] = True
    return Labels(values, ROWS, list(windows))


TWO_FILES = {1, 2, 3, 13, 14}


def test_classes_present_in_the_same_windows_are_mirrors():
    present = labels(a=TWO_FILES, b={40, 50}, c=TWO_FILES, d={40, 50}, e={40, 51}, silent=set(), mute=set())
    assert learn_mirror_groups(present, agreement=1.0, soundscapes=2) == [["a", "c"], ["b", "d"]]


def test_windows_of_one_soundscape_are_one_piece_of_evidence():
    present = labels(a=range(12), b=range(12))
    assert learn_mirror_groups(present, agreement=1.0, soundscapes=1) == [["a", "b"]]
    assert learn_mirror_groups(present, agreement=1.0, soundscapes=2) == []


def test_the_evidence_is_where_both_are_present():
    present = labels(a=[*range(10), 13], b=[*range(10), 26])
    assert learn_mirror_groups(present, agreement=0.8, soundscapes=1) == [["a", "b"]]
    assert learn_mirror_groups(present, agreement=0.8, soundscapes=2) == []


def test_agreement_is_the_share_of_windows_where_either_is_present():
    present = labels(a={1, 2, 3, 13}, b=TWO_FILES)  # four of five
    assert learn_mirror_groups(present, agreement=0.8, soundscapes=2) == [["a", "b"]]
    assert learn_mirror_groups(present, agreement=0.81, soundscapes=2) == []


def test_a_chain_of_near_duplicates_is_no_group():
    first, second, third = ({1, 13, 25, 2, 3, *more} for more in ({4}, {4, 5}, {5}))
    found = learn_mirror_groups(labels(a=first, b=second, c=third), agreement=0.8, soundscapes=3)
    assert len(found) == 1
    assert len(found[0]) == 2
    assert "b" in found[0]


def test_four_mirrors_are_one_group():
    present = labels(a=TWO_FILES, b=TWO_FILES, c=TWO_FILES, x={60}, d=TWO_FILES)
    assert learn_mirror_groups(present, agreement=1.0, soundscapes=2) == [["a", "b", "c", "d"]]


def test_mirrors_are_learned_from_the_given_rows_alone():
    present = labels(a=TWO_FILES | {60}, b=TWO_FILES | {61})
    assert learn_mirror_groups(present, agreement=1.0, soundscapes=2) == []
    assert learn_mirror_groups(present.take(ROWS[:24]), agreement=1.0, soundscapes=2) == [["a", "b"]]


def test_nothing_to_pair_gives_no_group_and_unusable_settings_are_refused():
    assert learn_mirror_groups(labels(a=TWO_FILES), agreement=1.0, soundscapes=1) == []
    assert learn_mirror_groups(labels(a={1}, b={1}).take([]), agreement=1.0, soundscapes=1) == []
    for agreement, soundscapes in ((0.0, 1), (1.1, 1), (1.0, 0)):
        with pytest.raises(BadInput, match="mirror groups"):
            learn_mirror_groups(labels(a={1}, b={1}), agreement=agreement, soundscapes=soundscapes)
