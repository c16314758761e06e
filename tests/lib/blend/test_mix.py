"""Mixes are the means they are named after, take the kinds they should, and keep rows, classes and range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gmean, pmean, rankdata

from lib.blend.mix import SPACES, mix, percentile_ranks
from lib.competition.scores import Scores
from lib.core.errors import BadInput

WEIGHTS = [0.5, 0.3, 0.2]
VALUED = ["prob", "geometric", "rms", "vlom"]


def scores(seed, kind="prob", rows=20, classes=4):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, classes)) if kind == "logit" else rng.random((rows, classes))
    return Scores(values, [f"r{n}" for n in range(rows)], list("abcdefgh")[:classes], kind)


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, dtype=np.float64)))


PARTS = [scores(seed) for seed in range(3)]
STACK = np.stack([part.values.astype(np.float64) for part in PARTS])
SHARES = np.broadcast_to(np.array(WEIGHTS)[:, None, None], STACK.shape)
REFERENCE = {
    "prob": np.average(STACK, axis=0, weights=WEIGHTS),
    "geometric": gmean(STACK, axis=0, weights=SHARES),
    "rms": pmean(STACK, 2, axis=0, weights=SHARES),
    "vlom": (gmean(STACK, axis=0, weights=SHARES) + pmean(STACK, 2, axis=0, weights=SHARES)) / 2,
}


@pytest.mark.parametrize("space", VALUED)
def test_probabilities_are_averaged_as_the_space_says(space):
    mixed = mix(PARTS, WEIGHTS, space=space)
    np.testing.assert_allclose(mixed.values, REFERENCE[space], rtol=1e-6)
    assert mixed.kind == "prob"


def test_vlom_of_two_numbers_by_hand():
    low, high = (PARTS[0].with_values(np.full((20, 4), value)) for value in (0.2, 0.8))
    np.testing.assert_allclose(mix([low, high], [0.5, 0.5], space="vlom").values, (0.4 + 0.34**0.5) / 2, rtol=1e-6)


def test_the_mean_of_logits_is_taken_of_logits_and_of_probabilities_alike():
    logits = [scores(seed, "logit") for seed in range(3)]
    expected = np.average(np.stack([part.values for part in logits]), axis=0, weights=WEIGHTS)
    probabilities = [part.with_values(sigmoid(part.values), "prob") for part in logits]
    for parts in (logits, probabilities, [logits[0], *probabilities[1:]]):
        mixed = mix(parts, WEIGHTS, space="logit")
        np.testing.assert_allclose(mixed.values, expected, atol=2e-6)
        assert mixed.kind == "logit"


def test_a_probability_of_nought_or_one_has_a_finite_logit():
    sure = PARTS[0].with_values(np.round(PARTS[0].values))
    assert 16 < np.abs(mix([sure], [1.0], space="logit").values).max() < 17


@pytest.mark.parametrize("space", VALUED)
def test_logits_come_into_a_mix_of_probabilities_by_their_sigmoid(space):
    logits = scores(5, "logit")
    same = logits.with_values(sigmoid(logits.values), "prob")
    np.testing.assert_allclose(
        mix([logits, PARTS[0]], [0.4, 0.6], space=space).values,
        mix([same, PARTS[0]], [0.4, 0.6], space=space).values,
        atol=1e-6,
    )


def test_rank_space_takes_all_kinds_and_averages_percentiles():
    parts = [scores(0, "logit"), scores(1), scores(2, "rank")]
    expected = np.average([rankdata(part.values, axis=0) / 20 for part in parts], axis=0, weights=WEIGHTS)
    mixed = mix(parts, WEIGHTS, space="rank")
    np.testing.assert_allclose(mixed.values, expected, atol=1e-6)
    assert mixed.kind == "rank"


@pytest.mark.parametrize("space", VALUED)
def test_ranks_alone_stay_ranks(space):
    ranks = [percentile_ranks(part) for part in PARTS]
    assert mix(ranks, WEIGHTS, space=space).kind == "rank"
    with pytest.raises(BadInput, match="space rank"):
        mix([ranks[0], *PARTS[1:]], WEIGHTS, space=space)


def test_ranks_have_no_logit():
    with pytest.raises(BadInput, match="cannot take"):
        mix([percentile_ranks(part) for part in PARTS], WEIGHTS, space="logit")


def test_a_part_without_weight_has_no_influence_not_even_by_a_zero():
    silent = PARTS[1].with_values(np.zeros((20, 4)))
    np.testing.assert_allclose(
        mix([PARTS[0], silent], [1.0, 0.0], space="geometric").values, PARTS[0].values, rtol=1e-6
    )
    assert (mix([PARTS[0], silent], [0.5, 0.5], space="geometric").values == 0).all()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), space=st.sampled_from(sorted(SPACES)), kind=st.sampled_from(["prob", "logit"]))
def test_a_mix_lies_between_its_parts_and_permuting_rows_classes_or_parts_commutes(seed, space, kind):
    rng = np.random.default_rng(seed)
    parts = [scores(seed + n, kind) for n in range(3)]
    mixed = mix(parts, WEIGHTS, space=space)
    if space == "rank":
        bounds = np.stack([percentile_ranks(part).values for part in parts])
    else:
        bounds = np.stack(
            [part.values if space == "logit" or kind == "prob" else sigmoid(part.values) for part in parts]
        )
        bounds = np.log(bounds / (1 - bounds)) if space == "logit" and kind == "prob" else bounds
    assert (mixed.values <= bounds.max(axis=0) + 1e-5).all()
    assert (mixed.values >= bounds.min(axis=0) - 1e-5).all()
    rows, columns, order = rng.permutation(20), rng.permutation(4), rng.permutation(3)

    def permuted(part):
        names = [part.classes[column] for column in columns]
        return Scores(part.values[rows][:, columns], [part.row_ids[row] for row in rows], names, part.kind)

    turned = mix([permuted(parts[n]) for n in order], [WEIGHTS[n] for n in order], space=space)
    np.testing.assert_allclose(turned.values, permuted(mixed).values, atol=1e-6)
    assert (turned.row_ids, turned.classes) == (permuted(mixed).row_ids, permuted(mixed).classes)


@pytest.mark.parametrize("space", sorted(SPACES))
def test_class_weights_overrule_in_their_class_and_nowhere_else(space):
    everywhere, alone = mix(PARTS, WEIGHTS, space=space), mix(PARTS, [0.0, 0.0, 1.0], space=space)
    mixed = mix(PARTS, WEIGHTS, space=space, class_weights={"b": [0.0, 0.0, 1.0]})
    np.testing.assert_array_equal(mixed.values[:, 1], alone.values[:, 1])
    np.testing.assert_array_equal(mixed.values[:, [0, 2, 3]], everywhere.values[:, [0, 2, 3]])


@pytest.mark.parametrize(
    "class_weights", [{"z": WEIGHTS}, {"a": [0.5, 0.4, 0.2]}, {"a": [0.5, 0.5]}, {"a": [1.5, -0.5, 0.0]}]
)
def test_unusable_class_weights_are_refused(class_weights):
    with pytest.raises(BadInput):
        mix(PARTS, WEIGHTS, space="prob", class_weights=class_weights)


def test_what_cannot_be_mixed_is_refused():
    for parts, weights, space in (
        (PARTS, [0.5, 0.6, 0.2], "prob"),
        (PARTS, [0.5, 0.5], "prob"),
        (PARTS, WEIGHTS, "median"),
        ([PARTS[0], PARTS[1].take(PARTS[1].row_ids[::-1])], [0.5, 0.5], "rank"),
        ([PARTS[0], scores(1, classes=3)], [0.5, 0.5], "rank"),
    ):
        with pytest.raises((BadInput, ValueError), match=r"weights|unknown space|not aligned|classes differ|zip"):
            mix(parts, weights, space=space)
