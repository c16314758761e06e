"""Classes find a model's labels by name, by synonym or by genus, and what is not found stays flat."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.errors import BadInput
from lib.models.embedder.labels import FLAT_LOGIT, label_coverage, map_labels

TAXA = [
    ("rubthr1", "Turdus rufiventris", "Aves"),
    ("brnowl", "Tyto furcata", "Aves"),
    ("banana", "Coereba flaveola", "Aves"),
    ("1491113", "Adenomera guarani", "Amphibia"),
    ("760266", "Oecanthus lineolatus", "Insecta"),
    ("47158son01", "Insect son01", "Insecta"),
    ("116570", "Caiman yacare", "Reptilia"),
    ("74580", "Mico melanurus", "Mammalia"),
]
LABELS = [
    "Insect",
    "Adenomera hylaedactyla",
    "  TURDUS   Rufiventris ",
    "Tyto alba",
    "Coereba bahamensis",
    "Adenomera andreae",
    "Oecanthus pellucens",
    "Caiman crocodilus",
    "Insect wing",
    "Adenomeran other",
    "Adenomera",
]


def taxonomy(taxa) -> pd.DataFrame:
    return pd.DataFrame(taxa, columns=["primary_label", "scientific_name", "class_name"])


def test_each_class_takes_the_first_kind_of_match():
    found = map_labels(taxonomy(TAXA), LABELS)
    assert found.matched_by == ("name", "synonym", "none", "genus", "genus", "none", "none", "none")
    assert found.columns == ((2,), (3,), (), (1, 5), (6,), (), (), ())


def test_sonotypes_are_no_genus_even_where_labels_begin_alike():
    assert map_labels(taxonomy([("47158son01", "Insect son01", "Insecta")]), ["Insect wing", "Insect"]).flat == (
        "47158son01",
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Tyto furcata", "Tyto alba"),
        ("Rufirallus schomburgkii", "Micropygia schomburgkii"),
        ("Antiurus maculicaudus", "Hydropsalis maculicaudus"),
        ("Daptrius chimachima", "Milvago chimachima"),
    ],
)
def test_synonyms_hold_in_both_directions(ours, theirs):
    for name, label in ((ours, theirs), (theirs, ours)):
        found = map_labels(taxonomy([("x", name, "Aves")]), ["Aves ignota", label])
        assert (found.matched_by, found.columns) == (("synonym",), ((1,),))


def test_the_name_comes_before_its_synonym_and_the_synonym_before_the_genus():
    owl, frog = taxonomy([("x", "Tyto furcata", "Aves")]), taxonomy([("y", "Pithecopus azureus", "Amphibia")])
    assert map_labels(owl, ["Tyto alba", "Tyto furcata"]).columns == ((1,),)
    assert map_labels(frog, ["Pithecopus rohdei", "Phyllomedusa azurea"]).columns == ((1,),)


def test_logits_are_the_largest_of_a_class_and_one_constant_where_there_is_none():
    found = map_labels(taxonomy(TAXA), LABELS)
    raw = np.arange(22, dtype=np.float32).reshape(2, 11)[:, ::-1]
    flat = FLAT_LOGIT
    expected = [[8, 7, flat, 9, 4, flat, flat, flat], [19, 18, flat, 20, 15, flat, flat, flat]]
    np.testing.assert_array_equal(found.logits(raw), expected)
    assert found.logits(raw).dtype == np.float32
    assert found.flat == ("banana", "47158son01", "116570", "74580")


def test_a_flat_logit_is_a_probability_above_zero_in_half_precision():
    probability = np.float16(1 / (1 + np.exp(-FLAT_LOGIT)))
    assert 0 < probability < 1e-4


def test_logits_of_another_model_are_refused():
    with pytest.raises(BadInput, match="do not fit"):
        map_labels(taxonomy(TAXA), LABELS).logits(np.zeros((2, 12), dtype=np.float32))


def test_coverage_counts_every_class_of_a_taxon_once():
    table = label_coverage(map_labels(taxonomy(TAXA), LABELS), taxonomy(TAXA)).set_index("taxon")
    assert table.loc["Aves"].tolist() == [3, 1, 1, 0, 1]
    assert table.loc["Insecta"].tolist() == [2, 0, 0, 1, 1]
    assert table.loc["all"].tolist() == [8, 1, 1, 2, 4]
    assert list(table.columns) == ["classes", "name", "synonym", "genus", "flat"]


WORDS = st.sampled_from(
    ["Tyto", "tyto", "Insect", "Boana", "alba", "furcata", "son01", "rana", "Hypsiboas", "raniceps"]
)
NAMES = st.lists(WORDS, min_size=1, max_size=2).map(" ".join)
KINDS = st.sampled_from(["Aves", "Amphibia", "Insecta", "Mammalia", "Reptilia"])


@given(st.lists(st.tuples(NAMES, KINDS), min_size=1, max_size=6), st.lists(NAMES, max_size=8), st.randoms())
def test_a_map_depends_on_the_labels_and_not_on_their_order(taxa, labels, shuffler):
    frame = taxonomy([(f"c{place}", name, kind) for place, (name, kind) in enumerate(taxa)])
    other = shuffler.sample(range(len(labels)), len(labels))
    raw = np.random.default_rng(0).normal(size=(3, len(labels))).astype(np.float32)
    first, second = map_labels(frame, labels), map_labels(frame, [labels[place] for place in other])
    assert first.matched_by == second.matched_by
    np.testing.assert_array_equal(first.logits(raw), second.logits(raw[:, other]))


@given(st.lists(st.tuples(NAMES, KINDS), min_size=1, max_size=6), st.lists(NAMES, max_size=8))
def test_genera_match_only_frogs_and_insects_and_a_class_is_flat_exactly_when_nothing_was_found(taxa, labels):
    frame = taxonomy([(f"c{place}", name, kind) for place, (name, kind) in enumerate(taxa)])
    found = map_labels(frame, labels)
    for (name, kind), label, columns, match in zip(taxa, found.labels, found.columns, found.matched_by, strict=True):
        assert (label in found.flat) == (match == "none") == (not columns)
        if match == "genus":
            assert kind in ("Amphibia", "Insecta")
            assert not name.lower().startswith("insect")
            assert all(labels[column].lower().startswith(f"{name.lower().split()[0]} ") for column in columns)
