"""The clock counts from when it was made, by the clock it is given."""

import pytest

from lib.submit.budget import BUDGET_MINUTES, GUARD_MINUTES, TARGET_MINUTES, Clock


class Hand:
    at = 1000.0

    def __call__(self):
        return self.at


def test_minutes_count_from_the_start_and_none_is_left_after_the_guard():
    hand = Hand()
    clock = Clock(now=hand)
    assert (clock.minutes, clock.minutes_left) == (0.0, GUARD_MINUTES)
    hand.at += 60 * 80
    assert (clock.minutes, clock.minutes_left) == (80.0, GUARD_MINUTES - 80)
    hand.at += 60 * 80
    assert clock.minutes_left == 0.0


def test_a_stage_takes_what_passes_inside(capsys):
    hand = Hand()
    clock = Clock(now=hand)
    with clock.stage("opening"):
        hand.at += 7.0
    assert clock.stages == {"opening": 7.0}
    assert "opening: 7.0 s" in capsys.readouterr().out


def test_only_the_scaled_stage_grows_with_the_contest():
    clock = Clock({"opening": 30.0, "scoring": 10.0, "writing": 30.0})
    assert clock.projected_minutes(0.5, "scoring") == pytest.approx((60 + 300) / 60)


def test_the_target_comes_before_the_guard_and_the_guard_before_the_end():
    assert (TARGET_MINUTES, GUARD_MINUTES, BUDGET_MINUTES) == (75.0, 85.0, 90.0)
