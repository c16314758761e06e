"""A sidecar moves the anchor only within mask, cap and budget, and keeps it bit for bit wherever it may not."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.blend.mix import percentile_ranks, percentiles
from lib.blend.sidecar.apply import AnchorKept, SidecarSettings, allowed_move, correct, sidecar
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.core.records import to_json

CLASSES = tuple(f"c{n}" for n in range(12))
LOOSE = SidecarSettings(
    anchor_top=4, side_top=3, tau=0.5, cap=0.3, budget=1.0, max_active_share=1.0, min_top3=0.0, min_top10=0.0
)


def scores(seed, levels=10**6, rows=24):
    values = np.random.default_rng(seed).integers(0, levels, (rows, len(CLASSES))) / levels
    return Scores(values, [f"r{n}" for n in range(rows)], CLASSES, "prob")


def among_top(ranks, top):
    """By sorting each row, unlike the code: at least as high as the row's `top`-th."""
    return ranks >= np.sort(ranks, axis=1)[:, ::-1][:, [top - 1]]


def test_the_formula_by_hand():
    """Two rows, three classes: the anchor's first class a row may move, or the side's first where A is at least .75."""
    anchor = Scores([[0.1, 0.5, 0.9], [0.2, 0.6, 0.8]], ["r", "s"], ["a", "b", "c"], "prob")  # ranks .5 .5 1 / 1 1 .5
    side = Scores([[0.9, 0.1, 0.2], [0.1, 0.2, 0.9]], ["r", "s"], ["a", "b", "c"], "prob")  # ranks 1 .5 .5 / .5 1 1
    one = replace(LOOSE, anchor_top=1, side_top=1, tau=0.75)
    result = correct(anchor, side, {"a": 0.1, "b": 0.1, "c": 0.2}, one)
    np.testing.assert_allclose(result.scores.values, [[0.5, 0.5, 0.9], [0.95, 1.0, 0.5]], rtol=1e-6)
    assert result.movement == pytest.approx((0.1 + 0.05) / 6)
    assert result.active_share == pytest.approx(2 / 6)
    assert result.enabled_classes == ("a", "c")
    assert result.weight_scale == 1.0
    lower = correct(anchor, side, {"a": 0.1, "b": 0.1, "c": 0.2}, replace(one, tau=0.5))
    np.testing.assert_allclose(lower.scores.values, [[0.55, 0.5, 0.9], [0.95, 1.0, 0.6]], rtol=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 9999),
    levels=st.sampled_from([3, 20, 10**6]),
    budget=st.sampled_from([0.0005, 0.004, 0.05]),
    scalar=st.booleans(),
)
def test_it_never_moves_outside_mask_cap_and_budget(seed, levels, budget, scalar):
    anchor, side = scores(seed, levels), scores(seed + 1, levels)
    chosen = replace(LOOSE, budget=budget)
    gate = 0.9 if scalar else dict(zip(CLASSES[::2], np.random.default_rng(seed).random(6).tolist(), strict=True))
    result = correct(anchor, side, gate, chosen)
    before, towards, after = percentiles(anchor), percentiles(side), result.scores.values.astype(np.float64)
    mask = among_top(before, 4) | (among_top(towards, 3) & (before >= 0.5))
    open_to = np.ones(12) if scalar else np.array([label in gate for label in CLASSES])
    np.testing.assert_array_equal(
        result.scores.values[~mask | (open_to == 0)], percentile_ranks(anchor).values[~mask | (open_to == 0)]
    )
    assert (np.abs(after - before) <= 0.3 * np.abs(towards - before) + 1e-6).all()
    weights = np.full(12, 0.3) if scalar else np.array([min(gate.get(label, 0.0), 0.3) for label in CLASSES])
    expected = before + result.weight_scale * weights * mask * (towards - before)
    np.testing.assert_allclose(after, expected, atol=1e-7)
    assert np.abs(after - before).mean() <= budget + 1e-7
    assert result.movement == pytest.approx(np.abs(after - before).mean(), abs=1e-7)
    assert result.scores.kind == "rank"


def test_the_budget_scales_all_weights_alike():
    anchor, side = scores(0), scores(1)
    free = correct(anchor, side, 0.2, LOOSE)
    held = correct(anchor, side, 0.2, replace(LOOSE, budget=free.movement / 4))
    assert held.weight_scale == pytest.approx(0.25)
    assert held.movement == pytest.approx(free.movement / 4)
    ranks = percentiles(anchor)
    np.testing.assert_allclose(held.scores.values - ranks, (free.scores.values - ranks) / 4, atol=1e-6)
    assert free.weight_scale == 1.0


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 9999), levels=st.sampled_from([4, 10**6]))
def test_permuting_rows_and_columns_commutes(seed, levels):
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(24), rng.permutation(12)

    def permuted(part):
        return Scores(
            part.values[rows][:, columns],
            [part.row_ids[row] for row in rows],
            [CLASSES[column] for column in columns],
            part.kind,
        )

    anchor, side = scores(seed, levels), scores(seed + 1, levels)
    gate = dict(zip(CLASSES, rng.random(12).tolist(), strict=True))
    tight = replace(LOOSE, budget=0.004)
    one, other = correct(anchor, side, gate, tight), correct(permuted(anchor), permuted(side), gate, tight)
    np.testing.assert_allclose(permuted(one.scores).values, other.scores.values, atol=1e-7)
    assert (one.top3, one.top10) == pytest.approx((other.top3, other.top10))
    assert set(one.enabled_classes) == set(other.enabled_classes)


def test_only_ranks_count_whatever_the_kinds():
    anchor, side = scores(0), scores(1)
    as_logits = side.with_values(np.log(side.values + 1e-9) * 3, "logit")
    np.testing.assert_array_equal(
        correct(anchor, side, 0.1, LOOSE).scores.values, correct(anchor, as_logits, 0.1, LOOSE).scores.values
    )


def test_a_class_in_which_the_side_is_flat_stays_put():
    values = scores(1).values.copy()
    values[:, 3] = 0.5
    result = correct(scores(0), scores(1).with_values(values), 0.3, LOOSE)
    np.testing.assert_array_equal(result.scores.values[:, 3], percentile_ranks(scores(0)).values[:, 3])
    assert "c3" not in result.enabled_classes
    assert len(result.enabled_classes) == 11


def test_where_all_may_move_the_move_is_the_whole_way():
    anchor, side = percentiles(scores(0)), percentiles(scores(1))
    np.testing.assert_array_equal(allowed_move(anchor, side, replace(LOOSE, anchor_top=99)), side - anchor)


SHUFFLED = scores(1).take(scores(1).row_ids[::-1])
OTHER = Scores(scores(1).values[:, :11], scores(1).row_ids, CLASSES[:11], "prob")


@pytest.mark.parametrize(
    ("side", "gate", "chosen", "reason"),
    [
        (scores(1), 0.0, LOOSE, "nothing would move"),
        (scores(1), {}, LOOSE, "nothing would move"),
        (scores(0), 0.3, LOOSE, "nothing would move"),
        (scores(1).take(scores(1).row_ids[:20]), 0.3, LOOSE, "other rows: 4 missing, 0 extra"),
        (scores(1, rows=30), 0.3, LOOSE, "other rows: 0 missing, 6 extra"),
        (SHUFFLED, 0.3, LOOSE, "other rows: 0 missing, 0 extra, or another order"),
        (OTHER, 0.3, LOOSE, "other classes: 1 missing, 0 extra"),
        (scores(1), {"c1": 0.1, "unknown": 0.1}, LOOSE, "unknown"),
        (scores(1), {"c1": -0.1}, LOOSE, "negative or not finite"),
        (scores(1), {"c1": float("nan")}, LOOSE, "negative or not finite"),
        (scores(1), float("inf"), LOOSE, "negative or not finite"),
        (scores(1), 0.3, replace(LOOSE, max_active_share=0.3), "of all cells would move"),
        (scores(1), 0.3, replace(LOOSE, min_top3=0.95), "first 3 classes"),
        (scores(1), 0.3, replace(LOOSE, anchor_top=12, min_top10=0.99), "first 10 classes"),
    ],
)
def test_a_mismatch_or_a_broken_guard_keeps_the_anchor_with_the_reason(side, gate, chosen, reason):
    with pytest.raises(AnchorKept, match=reason) as kept:
        correct(scores(0), side, gate, chosen)
    assert pickle.loads(pickle.dumps(kept.value)).reason == kept.value.reason


def test_an_empty_table_is_kept():
    empty = scores(0).take([])
    with pytest.raises(AnchorKept, match="no cells"):
        correct(empty, empty, 0.3, LOOSE)


def test_overlap_is_the_share_of_the_first_classes_that_were_first_before():
    """One class of the first three falls out in one of two rows: five of six stay."""
    values = np.array([[4, 4, 4, 1], [3, 3, 3, 2], [2, 2, 2, 3], [1, 1, 1, 4]]) / 4
    anchor = Scores(values, list("rstu"), list("abcd"), "prob")
    turned = values.copy()
    turned[[0, 3], 3] = turned[[3, 0], 3]
    side = Scores(turned, list("rstu"), list("abcd"), "prob")
    full = replace(LOOSE, anchor_top=4, cap=1.0)
    result = correct(anchor, side, {"d": 1.0}, full)
    before, after = percentiles(anchor), result.scores.values
    shares = []
    for old, new in zip(before, after, strict=True):
        first = {n for n in range(4) if new[n] >= sorted(new)[-3]}
        shares.append(len(first & {n for n in range(4) if old[n] >= sorted(old)[-3]}) / len(first))
    assert result.top3 == pytest.approx(np.mean(shares))
    assert 0 < result.top3 < 1
    assert result.top10 == 1.0


def test_the_defaults_are_those_of_the_source():
    assert to_json(SidecarSettings()) == {
        "anchor_top": 48,
        "side_top": 32,
        "tau": 0.55,
        "cap": 0.03,
        "budget": 0.004,
        "max_active_share": 0.25,
        "min_top3": 0.75,
        "min_top10": 0.80,
    }


@pytest.mark.parametrize("change", [{"cap": 1.5}, {"budget": 0.0}, {"anchor_top": 0}, {"tau": float("nan")}])
def test_unusable_settings_are_refused(change):
    with pytest.raises(BadInput):
        replace(LOOSE, **change)


def test_the_step_is_the_correction_and_its_settings_are_strict():
    anchor, side, gate = scores(0), scores(1), {"c1": 0.2, "c7": 0.1}
    stepped = sidecar(anchor, member=side, gate=gate, settings=to_json(LOOSE))
    np.testing.assert_array_equal(stepped.values, correct(anchor, side, gate, LOOSE).scores.values)
    with pytest.raises(BadInput, match="wieght"):
        sidecar(anchor, member=side, gate=gate, settings={"wieght": 1})
