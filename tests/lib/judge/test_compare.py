"""Differences pair up, many comparisons widen them, and gains by chance are counted at their rate."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from lib.competition.row_ids import row_ids
from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.judge.bootstrap import bootstrap
from lib.judge.compare import (
    SAME_MODEL_CORRELATION,
    compare_all,
    gains_by_subgroup,
    minimum_effect,
    paired_interval,
    rank_correlation,
    seed_spread,
)
from lib.judge.metric import judge
from lib.judge.subgroups import Subgroup

STEMS = [f"BC2026_Train_{n:04d}_S0{n % 5}_202501{n + 1:02d}_000000" for n in range(20)]
ROWS = [row for stem in STEMS for row in row_ids(stem)]


def draws(rng, count, spread=0.01):
    shared = rng.normal(size=2000)
    return {f"m{n}": 0.7 + spread * (shared + rng.normal(size=2000)) for n in range(count)}


def test_a_score_differs_from_itself_by_nothing():
    drawn = draws(np.random.default_rng(0), 1)
    same = {"a": drawn["m0"], "b": drawn["m0"]}
    found = compare_all({"a": 0.7, "b": 0.7}, same, "a")["b"]
    assert (found.gain, found.interval.low, found.interval.high) == (0, 0, 0)
    assert (found.adjusted.low, found.adjusted.high) == (0, 0)


def test_noise_that_both_share_cancels_in_a_paired_interval():
    shared = np.random.default_rng(0).normal(size=1000)
    drawn = {"a": shared, "b": shared + 0.5}
    assert paired_interval({"a": 0.0, "b": 0.5}, drawn, "b", "a").low == pytest.approx(0.5)


def test_the_more_are_compared_the_wider_the_adjusted_intervals_and_the_plain_ones_stay():
    drawn = draws(np.random.default_rng(1), 41)
    scored = dict.fromkeys(drawn, 0.7)
    few = compare_all(scored, {name: drawn[name] for name in ("m0", "m1")}, "m0")["m1"]
    many = compare_all(scored, drawn, "m0")["m1"]
    width = many.adjusted.high - many.adjusted.low
    assert many.interval == few.interval
    assert few.adjusted.high - few.adjusted.low == pytest.approx(few.interval.high - few.interval.low, rel=0.1)
    assert width > 1.4 * (few.adjusted.high - few.adjusted.low)


def test_adjusted_intervals_hold_all_at_once_nine_times_out_of_ten():
    rng, held = np.random.default_rng(2), 0
    for _ in range(200):  # 12 members equal in truth; the observed gain is off by noise of the size of the draws
        drawn = draws(rng, 12)
        shared, own = rng.normal(), rng.normal(size=12)
        scored = {f"m{n}": 0.7 + 0.01 * (shared + own[n]) for n in range(12)}
        held += all(one.adjusted.low <= 0 <= one.adjusted.high for one in compare_all(scored, drawn, "m0").values())
    assert 0.84 <= held / 200 <= 0.96


def test_by_chance_is_how_many_would_gain_as_much():
    rng = np.random.default_rng(3)
    drawn = {"ref": np.zeros(20_000)} | {f"m{n}": rng.normal(size=20_000) for n in range(10)}
    scored = dict.fromkeys(drawn, 0.0) | {"m3": 1.6449}
    found = compare_all(scored, drawn, "ref")
    assert found["m3"].by_chance == pytest.approx(10 * 0.05, rel=0.1)
    assert found["m0"].by_chance == pytest.approx(10 * 0.5, rel=0.05)


def test_a_reference_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match="nothing to compare"):
        compare_all({"a": 0.5}, {"a": np.zeros(3)}, "b")


def test_the_minimum_effect_is_the_half_width_of_a_paired_interval():
    drawn = draws(np.random.default_rng(4), 6)
    effect = minimum_effect(drawn)
    sure = paired_interval(dict.fromkeys(drawn, 0.7), drawn, "m0", "m1")
    assert effect.correlation == pytest.approx(0.5, abs=0.05)
    assert effect.these_scores == pytest.approx((sure.high - sure.low) / 2, rel=0.1)
    assert effect.same_model == pytest.approx(
        effect.these_scores * np.sqrt((1 - SAME_MODEL_CORRELATION) / (1 - effect.correlation))
    )
    assert minimum_effect({"m0": drawn["m0"]}).correlation == SAME_MODEL_CORRELATION


def test_a_part_is_judged_alone():
    rng = np.random.default_rng(5)
    truth = rng.random((len(ROWS), 2)) < 0.3
    labels = Labels(truth, ROWS, ["x", "y"])
    base = Scores(rng.random(truth.shape), ROWS, ["x", "y"], "logit")
    values = base.values + truth * np.array([0.0, 1.0])  # better on y alone
    better = base.with_values(values)
    rows = np.ones(len(ROWS), bool)
    parts = [Subgroup("class", name, rows, np.array([name == "x", name == "y"])) for name in "xy"]
    named = {"base": base, "better": better}
    parts.append(Subgroup("none", "none", ~rows, np.array([True, True])))
    x, y = gains_by_subgroup(labels, named, "base", parts, seed=0)["better"]
    assert (x.gain, x.interval.low, x.interval.high) == (0, 0, 0)
    assert y.interval.low > 0
    both = judge(labels, better).macro - judge(labels, base).macro
    assert y.gain == pytest.approx(2 * both)


def test_gains_of_the_bootstrap_and_of_the_judge_agree():
    rng = np.random.default_rng(6)
    truth = rng.random((len(ROWS), 3)) < 0.3
    labels = Labels(truth, ROWS, ["x", "y", "z"])
    named = {
        name: Scores(rng.random(truth.shape) + lift * truth, ROWS, labels.classes, "logit")
        for name, lift in (("low", 0.1), ("high", 0.6))
    }
    scored = {name: judge(labels, scores).macro for name, scores in named.items()}
    found = compare_all(scored, bootstrap(labels, named), "low")["high"]
    assert found.gain == scored["high"] - scored["low"]
    assert found.adjusted.low > 0
    assert found.by_chance < 0.01


def test_rank_correlation_is_the_mean_of_spearmans_within_folds_and_skips_what_does_not_vary():
    rng = np.random.default_rng(7)
    rows, strata = ROWS[:24], np.repeat([0, 1], 12)
    labels = Labels(rng.random((24, 2)) < 0.5, rows, ["x", "y"], strata)
    values = rng.random((2, 24, 2))
    values[0, :12, 1] = 0.5  # a constant column in the first fold
    one, other = (Scores(table, rows, ["x", "y"], "prob") for table in values)
    expected = [
        spearmanr(values[0, at, c], values[1, at, c])[0]
        for at, c in ((slice(0, 12), 0), (slice(12, 24), 0), (slice(12, 24), 1))
    ]
    assert rank_correlation(labels, one, other) == pytest.approx(np.mean(expected))
    assert rank_correlation(labels, other, other) == pytest.approx(1)


def test_seeds_spread_only_where_there_are_several():
    assert seed_spread({"a": [0.7], "b": [0.7, 0.72]}) == {"b": pytest.approx(0.02 / np.sqrt(2))}
