"""A gate opens where a side reliably helps, nowhere else, and is never judged on what it was fitted on."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.blend.mix import percentile_ranks
from lib.blend.sidecar.apply import SidecarSettings, correct
from lib.blend.sidecar.gate import SidecarGateSettings, coverage_caps, fit_gate
from lib.competition.row_ids import row_ids
from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.judge.leakage import refuse_self_judged
from lib.judge.metric import class_auc

CLASSES = tuple("abcdef")  # a: the side helps; b: it harms; c, d: it is noise; e: too few positives; f: none
STEMS = [f"BC2026_Train_{n:04d}_S{n % 5:02d}_2025{1 + n // 25:02d}{1 + n // 5 % 5:02d}_000000" for n in range(40)]
ROWS = [row for stem in STEMS for row in row_ids(stem)]
STRATA = np.repeat([n % 5 for n in range(40)], 12)  # by site, so no site and day is in two folds
LOOSE = SidecarSettings(cap=0.3, budget=1.0, max_active_share=1.0, min_top3=0.0, min_top10=0.0)
FEW = SidecarGateSettings(draws=200)


def simulated(seed=0, strata=STRATA):
    rng = np.random.default_rng(seed)
    truth = rng.random((len(ROWS), 6)) < 0.3
    truth[:, 4] = False
    truth[STRATA == 2, 4] = np.arange((STRATA == 2).sum()) < 3
    truth[:, 5] = False
    noise = rng.normal(size=(2, *truth.shape))
    anchor = noise[0] + 1.0 * truth
    side = noise[1] + truth * np.array([3.0, -2.0, 0.0, 0.0, 3.0, 3.0])
    labels = Labels(truth, ROWS, CLASSES, strata)
    return labels, Scores(anchor, ROWS, CLASSES, "logit"), Scores(side, ROWS, CLASSES, "logit")


def test_a_side_that_helps_one_class_and_harms_another_opens_just_the_first():
    labels, anchor, side = simulated()
    gate = fit_gate(labels, anchor, side, LOOSE, FEW)
    assert list(gate.table.columns) == ["primary_label", "gate_weight", "delta", "low", "positives", "opened"]
    assert gate.table.primary_label.tolist() == list(CLASSES)
    assert gate.table.opened.tolist() == [True, False, False, False, False, False]
    assert list(gate.weights) == ["a"]
    assert (gate.table.gate_weight[1:] == 0).all()
    assert gate.table.positives.tolist() == labels.values.sum(axis=0).tolist()
    corrected = correct(anchor, side, gate.weights, LOOSE)
    assert corrected.enabled_classes == ("a",)
    np.testing.assert_array_equal(corrected.scores.values[:, 1:], percentile_ranks(anchor).values[:, 1:])


def test_the_gain_is_the_auc_with_the_move_less_the_auc_without_where_all_choose_alike():
    """With one weight to try, which all choices of strata take, the cross-fitted gain is the plain one in strata."""
    labels, anchor, side = simulated()
    only = SidecarGateSettings(shares=(1.0,), draws=50)
    gate = fit_gate(labels, anchor, side, LOOSE, only).table.set_index("primary_label")
    before, after = np.empty((2, len(ROWS)))
    for stratum in range(5):
        rows = [row for row, own in zip(ROWS, STRATA, strict=True) if own == stratum]
        before[stratum == STRATA] = percentile_ranks(anchor.take(rows)).values[:, 0]
        moved = correct(anchor.take(rows), side.take(rows), {"a": 0.3}, LOOSE)
        after[stratum == STRATA] = moved.scores.values[:, 0]
    truth = labels.values[:, [0]]
    gain = class_auc(truth, after[:, None], STRATA)[0] - class_auc(truth, before[:, None], STRATA)[0]
    assert gate.delta["a"] == pytest.approx(gain, abs=1e-4)
    assert 0 < gate.low["a"] < gate.delta["a"]
    positives = gate.positives["a"]
    assert gate.gate_weight["a"] == pytest.approx(
        0.3 * positives / (positives + only.half_at) * gate.low["a"] / gate.delta["a"]
    )


def test_a_class_whose_positives_lie_in_one_fold_stays_shut():
    """Nothing outside that fold can choose its weight, so there is no gain that was not chosen on."""
    labels, anchor, side = simulated()
    row = fit_gate(labels, anchor, side, LOOSE, FEW).table.set_index("primary_label").loc["e"]
    assert (row.delta, row.gate_weight, row.opened) == (0.0, 0.0, False)


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 999))
def test_a_gate_never_opens_a_class_without_positives_and_never_beyond_the_cap(seed):
    labels, anchor, side = simulated(seed)
    table = fit_gate(labels, anchor, side, LOOSE, SidecarGateSettings(draws=50)).table
    assert not table.opened[5]
    assert np.isnan(table.delta[5])
    assert table.gate_weight.between(0, LOOSE.cap).all()
    assert ((table.gate_weight > 0) == table.opened).all()


def test_folds_of_other_scales_change_nothing():
    labels, anchor, side = simulated()
    tilt = (STRATA * 10.0 + 1.0)[:, None]
    scaled = [part.with_values(part.values * tilt + tilt) for part in (anchor, side)]
    one, other = fit_gate(labels, anchor, side, LOOSE, FEW), fit_gate(labels, *scaled, LOOSE, FEW)
    pd.testing.assert_frame_equal(one.table, other.table, atol=1e-3)


def test_pure_noise_seldom_opens():
    opened = []
    for seed in range(10):
        labels, anchor, _ = simulated(seed)
        noise = Scores(np.random.default_rng(seed + 50).normal(size=anchor.values.shape), ROWS, CLASSES, "logit")
        opened += fit_gate(labels, anchor, noise, LOOSE, FEW).table.opened[:4].tolist()
    assert np.mean(opened) <= 0.05


def test_more_positives_are_believed_more():
    labels, anchor, side = simulated()
    shrunk = {
        k: fit_gate(labels, anchor, side, LOOSE, SidecarGateSettings(half_at=k, draws=50)).weights["a"]
        for k in (20.0, 1e4)
    }
    positives = labels.values[:, 0].sum()
    assert shrunk[1e4] * (positives + 1e4) == pytest.approx(shrunk[20.0] * (positives + 20))


def test_the_gate_records_what_it_was_fitted_on():
    labels, anchor, side = simulated()
    rows = [row for row, stratum in zip(ROWS, STRATA, strict=True) if stratum > 0]
    gate = fit_gate(labels.take(rows), anchor, side, LOOSE, SidecarGateSettings(draws=50))
    refuse_self_judged(gate.fitted, [row for row in ROWS if row not in set(rows)])
    with pytest.raises(BadInput, match="sidecar gate would be judged on rows it was fitted on"):
        refuse_self_judged(gate.fitted, ROWS)


def test_one_stratum_is_not_enough_to_choose_and_to_score():
    labels, anchor, side = simulated(strata=np.zeros(len(ROWS), int))
    with pytest.raises(BadInput, match="strata"):
        fit_gate(labels, anchor, side, LOOSE)


def test_other_classes_are_refused():
    labels, anchor, side = simulated()
    renamed = Scores(side.values, ROWS, CLASSES[::-1], "logit")
    with pytest.raises(BadInput, match="other classes"):
        fit_gate(labels, anchor, renamed, LOOSE)


def test_a_gate_survives_its_file_the_same_bytes_each_time(tmp_path):
    labels, anchor, side = simulated()
    for name in ("one.csv", "other.csv"):
        fit_gate(labels, anchor, side, LOOSE, FEW).save(tmp_path / name)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()


def test_caps_follow_coverage():
    names = {"known": "Aves", "weak": "Aves", "unheard": "Aves", "frog": "Amphibia"}
    caps = coverage_caps(names, covered={"known", "weak", "frog"}, well_mapped={"known", "unheard", "frog"})
    assert caps == {"known": 0.015, "weak": 0.06, "unheard": 0.0, "frog": 0.0}
