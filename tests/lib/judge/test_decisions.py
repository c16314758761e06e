"""Each verdict comes with its decisive reason."""

from dataclasses import replace

import pytest

from lib.judge.bootstrap import Interval
from lib.judge.compare import Difference, SubgroupGain
from lib.judge.decisions import Evidence, decide


def evidence(low, gain, high, **other):
    sure = Interval(low, high)
    known = Evidence(
        name="new",
        score=0.8 + gain,
        interval=Interval(0.75, 0.85),
        difference=Difference("new", "safe", gain, sure, sure, by_chance=0.2),
        fold_std=0.02,
        reference_fold_std=0.02,
        subgroups=(),
        budget_share=0.1,
        correlation=0.95,
    )
    return replace(known, **other)


HARMED = (
    SubgroupGain("time of day", "night", -0.03, Interval(-0.05, -0.01)),
    SubgroupGain("site group", "S22", -0.03, Interval(-0.07, 0.01)),
)

CASES = {
    "a clear gain that harms nothing": (evidence(0.01, 0.02, 0.03), "promote", "harms no subgroup"),
    "a clear gain that harms the night": (evidence(0.01, 0.02, 0.03, subgroups=HARMED), "park", "'night' loses 0.0300"),
    "a clear gain on unstable folds": (evidence(0.01, 0.02, 0.03, fold_std=0.06), "park", "vary by 0.060"),
    "too slow to be submitted": (evidence(0.01, 0.02, 0.03, budget_share=0.9), "kill", "90% of the 90 minutes"),
    "not better than chance": (evidence(-0.3, -0.2, 0.1, interval=Interval(0.49, 0.6)), "kill", "chance"),
    "unclear and different": (evidence(-0.01, 0.0, 0.01, correlation=0.6), "merge", "joins the pool"),
    "unclear, alike and promising": (evidence(-0.01, 0.01, 0.03), "park", "replay first"),
    "unclear, alike and flat": (evidence(-0.01, 0.001, 0.01), "kill", "no relevant gain"),
    "worse and alike": (evidence(-0.05, -0.03, -0.01), "kill", "clearly below safe"),
    "worse and different": (evidence(-0.05, -0.03, -0.01, correlation=0.3), "park", "only useful in a blend"),
    "worse, but in the reference": (evidence(-0.05, -0.03, -0.01, weight_in_reference=0.4), "merge", "weight 0.40"),
    "the reference": (evidence(0, 0, 0, difference=None), "promote", "the reference"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_verdict_and_its_reason(case):
    known, verdict, reason = CASES[case]
    decision = decide(known)
    assert decision.verdict == verdict
    assert reason in decision.reasons[0]


def test_a_loss_that_may_be_noise_blocks_nothing():
    assert decide(evidence(0.01, 0.02, 0.03, subgroups=HARMED[1:])).verdict == "promote"


def test_a_gain_that_many_would_show_by_chance_is_not_replayed():
    known = evidence(-0.01, 0.01, 0.03)
    by_chance = replace(known, difference=replace(known.difference, by_chance=1.5))
    assert decide(by_chance).verdict == "kill"


def test_a_gain_is_judged_by_the_interval_that_holds_for_all_compared():
    known = evidence(0.001, 0.02, 0.04)
    tried_many = replace(known, difference=replace(known.difference, adjusted=Interval(-0.01, 0.05)))
    assert decide(known).verdict == "promote"
    assert decide(tried_many).verdict == "park"


def test_folds_without_a_spread_block_nothing():
    assert decide(evidence(0.01, 0.02, 0.03, fold_std=float("nan"))).verdict == "promote"


def test_a_slow_candidate_is_watched_and_a_harmful_one_is_named():
    slow = decide(evidence(0.01, 0.02, 0.03, budget_share=0.6))
    assert slow.verdict == "promote"
    assert slow.reasons[1].startswith("watch the clock")
    assert "'night' loses" in decide(evidence(-0.01, 0.0, 0.01, subgroups=HARMED)).reasons[1]
