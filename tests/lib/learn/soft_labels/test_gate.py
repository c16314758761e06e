"""Gates of soft labels: each rule passes what it promises, class by class; one that selects nothing is an error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib.core.errors import BadInput
from lib.learn.soft_labels.gate import apply_gate, gate_table
from lib.learn.soft_labels.settings import LabelGateSettings

TAXA = ("Aves", "Amphibia", "Insecta")
PROBABILITIES = np.array(
    [
        [0.9, 0.1, 0.0],
        [0.2, 0.6, 0.0],
        [0.5, 0.3, 0.0],
        [0.1, 0.2, 0.0],
        [0.4, 0.4, 0.0],
    ],
    dtype=np.float32,
)


def gated(probabilities=PROBABILITIES, taxa=TAXA, **chosen):
    return apply_gate(probabilities, LabelGateSettings(**chosen), taxa)


def kept(**chosen):
    return gated(**chosen).kept.tolist()


@pytest.mark.parametrize(
    ("chosen", "crops"),
    [
        ({"gate_threshold": 0.5}, [0, 1, 2]),
        ({"gate_threshold": 0.6}, [0, 1]),
        ({"gate": "percentile", "percentile": 80}, [0, 1]),
        ({"gate": "percentile", "percentile": 60}, [0, 1, 2, 4]),
        ({"gate": "percentile", "percentile": 99}, [0, 1]),  # one of five is the least there is
        ({"gate": "top_k", "top_k": 1}, [0, 1]),
        ({"gate": "top_k", "top_k": 2}, [0, 1, 2, 4]),
        ({"gate": "none"}, [0, 1, 2, 3, 4]),
        ({"gate_threshold": 0.5, "by_taxon": "Aves=off"}, [1]),
        ({"gate_threshold": 0.5, "by_taxon": " Amphibia = 0.3 , Aves=0.9"}, [0, 1, 2, 4]),
        ({"gate": "top_k", "top_k": 1, "by_taxon": "Amphibia=3"}, [0, 1, 2, 4]),
        ({"gate": "percentile", "percentile": 80, "by_taxon": "Amphibia=100"}, [0]),
    ],
)
def test_a_crop_is_kept_if_any_class_passes_in_it(chosen, crops):
    assert kept(**chosen) == crops


def test_the_classes_that_passed_are_kept_apart_from_the_targets():
    found = gated(gate_threshold=0.5)
    np.testing.assert_array_equal(found.passed_gate, [[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(found.targets, PROBABILITIES[:3])
    np.testing.assert_array_equal(found.weights, np.ones((3, 3)))
    assert found.targets.dtype == found.weights.dtype == np.float32


def test_targets_are_soft_to_a_power_hard_or_the_likeliest_class_alone():
    np.testing.assert_allclose(
        gated(gate_threshold=0.6, soft_power=2.0).targets, [[0.81, 0.01, 0], [0.04, 0.36, 0]], rtol=1e-6
    )
    np.testing.assert_array_equal(
        gated(gate_threshold=0.4, targets="hard").targets, [[1, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0]]
    )
    np.testing.assert_array_equal(gated(gate_threshold=0.6, targets="argmax").targets, [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(gated(gate="none", targets="argmax").targets[3], [0, 1, 0])


def test_a_taxon_that_is_off_opens_no_gate_weighs_nothing_and_is_no_crops_likeliest():
    found = gated(gate_threshold=0.2, by_taxon="Aves=off", targets="argmax")
    assert found.kept.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(found.weights, np.tile([0, 1, 1], (4, 1)))
    np.testing.assert_array_equal(found.targets, np.tile([0, 1, 0], (4, 1)))
    assert not found.passed_gate[:, 0].any()


def test_equals_never_pass_together_where_crops_are_counted():
    same = np.full((60, 1), 0.4, dtype=np.float32)
    same[::2] = 0.3
    assert gated(same, ["Aves"], gate="top_k", top_k=2).kept.tolist() == [1, 3]
    assert gated(same, ["Aves"], gate="percentile", percentile=95).kept.tolist() == [1, 3, 5]


def test_a_probability_of_zero_passes_no_gate():
    some = np.array([[0.0], [0.2], [0.0]], dtype=np.float32)
    for chosen in (
        {"gate_threshold": 0.0},
        {"gate": "top_k", "top_k": 3},
        {"gate": "percentile", "percentile": 0},
    ):
        assert gated(some, ["Aves"], **chosen).kept.tolist() == [1]


@pytest.mark.parametrize("number", [0.1, 0.3, 0.6, 0.7, 0.9])
def test_half_precision_does_not_lose_a_probability_at_the_threshold(number):
    probabilities = np.array([[number], [0.0]], dtype=np.float16)
    assert gated(probabilities, ["Aves"], gate_threshold=number).kept.tolist() == [0]
    assert gated(probabilities, ["Aves"], by_taxon=f"Aves={number}").kept.tolist() == [0]


def test_the_table_counts_what_passed_of_each_class():
    found = gated(gate_threshold=0.4, by_taxon="Amphibia=off")
    table = gate_table(found, PROBABILITIES, ["a", "b", "c"], TAXA)
    assert table.gate.tolist() == ["open", "off", "empty"]
    assert table.passed.tolist() == [3, 0, 0]
    assert table.share.tolist() == [0.6, 0, 0]
    np.testing.assert_allclose(table.mean_probability, [0.42, 0.32, 0], rtol=1e-6)
    np.testing.assert_allclose(table.lowest, [0.4, np.nan, np.nan], rtol=1e-6)
    assert table.primary_label.tolist() == ["a", "b", "c"]
    assert table.taxon.tolist() == list(TAXA)


def test_the_mean_of_half_precision_probabilities_does_not_drown():
    probabilities = np.full((50_000, 2), 0.1, dtype=np.float16)
    table = gate_table(gated(probabilities, TAXA[:2], gate="top_k", top_k=5), probabilities, ["a", "b"], TAXA[:2])
    assert table.mean_probability.tolist() == pytest.approx([0.1, 0.1], rel=1e-3)
    assert table.lowest.dtype == table.mean_probability.dtype == np.float64  # pandas cannot print half precision


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"gate_threshold": 0.95}, r"nothing passes(.|\n)*'highest': 0\.9(.|\n)*lower gate_threshold"),
        ({"gate_threshold": 0.05}, r"rejects nothing(.|\n)*'lowest': 0\.2(.|\n)*raise gate_threshold"),
        ({"gate": "percentile", "percentile": 100}, r"nothing passes(.|\n)*lower percentile"),
        ({"gate": "percentile", "percentile": 0}, r"rejects nothing(.|\n)*raise percentile"),
        ({"gate": "top_k", "top_k": 0}, r"nothing passes(.|\n)*raise top_k"),
        ({"gate": "top_k", "top_k": 5}, r"rejects nothing(.|\n)*lower top_k"),
        ({"gate": "none", "by_taxon": "Aves=off,Amphibia=off,Insecta=off"}, r"nothing passes(.|\n)*turn a taxon on"),
    ],
)
def test_a_gate_that_selects_nothing_reports_the_probabilities_and_how_to_change_it(chosen, message):
    with pytest.raises(BadInput, match=message):
        gated(**chosen)


@pytest.mark.parametrize(
    "chosen",
    [
        {"gate": "wide"},
        {"targets": "best"},
        {"soft_power": 0.0},
        {"gate": "none", "targets": "hard"},
        {"gate_threshold": 1.5},
        {"gate": "percentile", "percentile": 101},
        {"gate": "top_k", "top_k": -1},
    ],
)
def test_settings_that_mean_nothing_are_refused(chosen):
    with pytest.raises(BadInput, match="gate settings"):
        LabelGateSettings(**chosen)


@pytest.mark.parametrize(
    ("by_taxon", "kind"),
    [
        ("Fungi=0.3", "absolute"),
        ("Aves", "absolute"),
        ("Aves=loud", "absolute"),
        ("Aves=1.2", "absolute"),
        ("Aves=nan", "absolute"),
        ("Aves=-1", "top_k"),
        ("Aves=0.3", "none"),
    ],
)
def test_rules_for_a_taxon_that_cannot_be_meant_are_refused(by_taxon, kind):
    with pytest.raises(BadInput, match=r"by_taxon(.|\n)*off"):
        gated(gate=kind, by_taxon=by_taxon)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, np.nan])
def test_numbers_that_are_no_probabilities_are_refused(wrong):
    probabilities = PROBABILITIES.copy()
    probabilities[3, 1] = wrong
    with pytest.raises(BadInput, match="a gate needs probabilities"):
        gated(probabilities)
    with pytest.raises(BadInput, match="a gate needs probabilities"):
        gated(probabilities[:0])


crops_drawn = arrays(
    np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=st.sampled_from([0.0, 0.05, 0.25, 0.5, 0.75, 1.0])
)
settings_of_gates = st.one_of(
    st.builds(LabelGateSettings, gate=st.just("absolute"), gate_threshold=st.floats(0, 1)),
    st.builds(LabelGateSettings, gate=st.just("percentile"), percentile=st.floats(0, 100)),
    st.builds(LabelGateSettings, gate=st.just("top_k"), top_k=st.integers(0, 12)),
)


def passed_by(probabilities, chosen, taxa=TAXA):
    """(crops, classes) mask of what passed; None where the gate selects nothing."""
    try:
        found = apply_gate(probabilities, chosen, taxa)
    except BadInput:
        return None
    every = np.zeros(probabilities.shape, dtype=bool)
    every[found.kept] = found.passed_gate
    return every


@given(crops_drawn, st.sampled_from(["gate_threshold", "percentile", "top_k"]), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_a_looser_gate_never_passes_less(probabilities, name, one, other):
    low, high = sorted((one, other))
    kinds = {
        "gate_threshold": ("absolute", high, low),
        "percentile": ("percentile", 100 * high, 100 * low),
        "top_k": ("top_k", round(12 * low), round(12 * high)),
    }
    kind, strict, loose = kinds[name]
    less, more = (
        passed_by(probabilities, LabelGateSettings(gate=kind, **{name: number})) for number in (strict, loose)
    )
    if less is not None and more is not None:
        assert (more | ~less).all()


@given(crops_drawn, settings_of_gates, st.permutations(range(3)))
@settings(max_examples=150, deadline=None)
def test_the_order_of_the_classes_does_not_matter(probabilities, chosen, order):
    one, other = (
        passed_by(probabilities, chosen),
        passed_by(probabilities[:, order], chosen, [TAXA[n] for n in order]),
    )
    assert (one is None) == (other is None)
    if one is not None:
        np.testing.assert_array_equal(one[:, order], other)


@given(crops_drawn, settings_of_gates, st.floats(0.2, 3.0))
@settings(max_examples=100, deadline=None)
def test_a_power_keeps_every_order_and_argmax_has_one_positive_a_crop(probabilities, chosen, power):
    if passed_by(probabilities, chosen) is None:
        return
    numbers = {
        "gate": chosen.gate,
        "gate_threshold": chosen.gate_threshold,
        "percentile": chosen.percentile,
        "top_k": chosen.top_k,
    }
    plain, bent = gated(probabilities, **numbers).targets, gated(probabilities, **numbers, soft_power=power).targets
    np.testing.assert_array_equal(np.sign(np.diff(plain, axis=0)), np.sign(np.diff(bent, axis=0)))
    alone = gated(probabilities, **numbers, targets="argmax").targets
    assert alone.sum(axis=1).tolist() == [1] * len(alone)
    assert (plain[alone == 1] == plain.max(axis=1)).all()
