"""Gates of soft labels: what passes is what the words say, class by class; one that chooses nothing is an error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib.core.errors import BadInput
from lib.learn.soft_labels.gate import LabelGateSettings, apply_gate, gate_table

TAXA = ("Aves", "Amphibia", "Insecta")
CHANCES = np.array(
    [
        [0.9, 0.1, 0.0],
        [0.2, 0.6, 0.0],
        [0.5, 0.3, 0.0],
        [0.1, 0.2, 0.0],
        [0.4, 0.4, 0.0],
    ],
    dtype=np.float32,
)


def gated(chances=CHANCES, taxa=TAXA, **said):
    return apply_gate(chances, LabelGateSettings(**said), taxa)


def kept(**said):
    return gated(**said).kept.tolist()


@pytest.mark.parametrize(
    ("said", "crops"),
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
def test_a_crop_trains_if_any_class_is_heard_in_it(said, crops):
    assert kept(**said) == crops


def test_which_classes_were_heard_is_told_apart_from_what_the_targets_are():
    found = gated(gate_threshold=0.5)
    np.testing.assert_array_equal(found.heard, [[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(found.targets, CHANCES[:3])
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
    assert not found.heard[:, 0].any()


def test_equals_never_pass_together_where_crops_are_counted():
    same = np.full((60, 1), 0.4, dtype=np.float32)
    same[::2] = 0.3
    assert gated(same, ["Aves"], gate="top_k", top_k=2).kept.tolist() == [1, 3]
    assert gated(same, ["Aves"], gate="percentile", percentile=95).kept.tolist() == [1, 3, 5]


def test_a_chance_of_nothing_passes_no_gate():
    some = np.array([[0.0], [0.2], [0.0]], dtype=np.float32)
    for said in ({"gate_threshold": 0.0}, {"gate": "top_k", "top_k": 3}, {"gate": "percentile", "percentile": 0}):
        assert gated(some, ["Aves"], **said).kept.tolist() == [1]


@pytest.mark.parametrize("number", [0.1, 0.3, 0.6, 0.7, 0.9])
def test_half_precision_does_not_lose_a_chance_that_is_at_the_gate(number):
    chances = np.array([[number], [0.0]], dtype=np.float16)
    assert gated(chances, ["Aves"], gate_threshold=number).kept.tolist() == [0]
    assert gated(chances, ["Aves"], by_taxon=f"Aves={number}").kept.tolist() == [0]


def test_the_table_says_of_each_class_what_passed():
    found = gated(gate_threshold=0.4, by_taxon="Amphibia=off")
    table = gate_table(found, CHANCES, ["a", "b", "c"], TAXA)
    assert table.gate.tolist() == ["open", "off", "empty"]
    assert table.passed.tolist() == [3, 0, 0]
    assert table.share.tolist() == [0.6, 0, 0]
    np.testing.assert_allclose(table.mean_probability, [0.42, 0.32, 0], rtol=1e-6)
    np.testing.assert_allclose(table.lowest, [0.4, np.nan, np.nan], rtol=1e-6)
    assert table.primary_label.tolist() == ["a", "b", "c"]
    assert table.taxon.tolist() == list(TAXA)


def test_the_mean_of_half_precision_chances_does_not_drown():
    chances = np.full((50_000, 2), 0.1, dtype=np.float16)
    table = gate_table(gated(chances, TAXA[:2], gate="top_k", top_k=5), chances, ["a", "b"], TAXA[:2])
    assert table.mean_probability.tolist() == pytest.approx([0.1, 0.1], rel=1e-3)
    assert table.lowest.dtype == table.mean_probability.dtype == np.float64  # pandas cannot print half precision


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"gate_threshold": 0.95}, r"nothing passes(.|\n)*'highest': 0\.9(.|\n)*lower gate_threshold"),
        ({"gate_threshold": 0.05}, r"keeps nothing out(.|\n)*'lowest': 0\.2(.|\n)*raise gate_threshold"),
        ({"gate": "percentile", "percentile": 100}, r"nothing passes(.|\n)*lower percentile"),
        ({"gate": "percentile", "percentile": 0}, r"keeps nothing out(.|\n)*raise percentile"),
        ({"gate": "top_k", "top_k": 0}, r"nothing passes(.|\n)*raise top_k"),
        ({"gate": "top_k", "top_k": 5}, r"keeps nothing out(.|\n)*lower top_k"),
        ({"gate": "none", "by_taxon": "Aves=off,Amphibia=off,Insecta=off"}, r"nothing passes(.|\n)*turn a taxon on"),
    ],
)
def test_a_gate_that_chooses_nothing_says_what_the_chances_are_and_which_way_to_turn(said, message):
    with pytest.raises(BadInput, match=message):
        gated(**said)


@pytest.mark.parametrize(
    "said",
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
def test_settings_that_mean_nothing_are_refused(said):
    with pytest.raises(BadInput, match="gate settings"):
        LabelGateSettings(**said)


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
def test_what_are_no_chances_is_refused(wrong):
    chances = CHANCES.copy()
    chances[3, 1] = wrong
    with pytest.raises(BadInput, match="a gate needs chances"):
        gated(chances)
    with pytest.raises(BadInput, match="a gate needs chances"):
        gated(chances[:0])


chances_of_crops = arrays(
    np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=st.sampled_from([0.0, 0.05, 0.25, 0.5, 0.75, 1.0])
)
settings_of_gates = st.one_of(
    st.builds(LabelGateSettings, gate=st.just("absolute"), gate_threshold=st.floats(0, 1)),
    st.builds(LabelGateSettings, gate=st.just("percentile"), percentile=st.floats(0, 100)),
    st.builds(LabelGateSettings, gate=st.just("top_k"), top_k=st.integers(0, 12)),
)


def heard(chances, said, taxa=TAXA):
    """(crops, classes) what is heard; None where the gate chooses nothing."""
    try:
        found = apply_gate(chances, said, taxa)
    except BadInput:
        return None
    every = np.zeros(chances.shape, dtype=bool)
    every[found.kept] = found.heard
    return every


@given(chances_of_crops, st.sampled_from(["gate_threshold", "percentile", "top_k"]), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_a_looser_gate_never_passes_less(chances, name, one, other):
    low, high = sorted((one, other))
    kinds = {
        "gate_threshold": ("absolute", high, low),
        "percentile": ("percentile", 100 * high, 100 * low),
        "top_k": ("top_k", round(12 * low), round(12 * high)),
    }
    kind, strict, loose = kinds[name]
    less, more = (heard(chances, LabelGateSettings(gate=kind, **{name: number})) for number in (strict, loose))
    if less is not None and more is not None:
        assert (more | ~less).all()


@given(chances_of_crops, settings_of_gates, st.permutations(range(3)))
@settings(max_examples=150, deadline=None)
def test_the_order_of_the_classes_does_not_matter(chances, said, order):
    one, other = heard(chances, said), heard(chances[:, order], said, [TAXA[n] for n in order])
    assert (one is None) == (other is None)
    if one is not None:
        np.testing.assert_array_equal(one[:, order], other)


@given(chances_of_crops, settings_of_gates, st.floats(0.2, 3.0))
@settings(max_examples=100, deadline=None)
def test_a_power_keeps_every_order_and_argmax_has_one_positive_a_crop(chances, said, power):
    if heard(chances, said) is None:
        return
    numbers = {
        "gate": said.gate,
        "gate_threshold": said.gate_threshold,
        "percentile": said.percentile,
        "top_k": said.top_k,
    }
    plain, bent = gated(chances, **numbers).targets, gated(chances, **numbers, soft_power=power).targets
    np.testing.assert_array_equal(np.sign(np.diff(plain, axis=0)), np.sign(np.diff(bent, axis=0)))
    alone = gated(chances, **numbers, targets="argmax").targets
    assert alone.sum(axis=1).tolist() == [1] * len(alone)
    assert (plain[alone == 1] == plain.max(axis=1)).all()
