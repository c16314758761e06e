"""The meter separates a member's own seconds from those of what it shares, and forgets a stall."""

import pytest

from lib.competition.row_ids import parse_soundscape
from lib.submit.timing import Meter, SoundscapeSeconds, TimedInputs


class Timed:
    """Inputs whose clock moves only when set."""

    def __init__(self):
        self.at = 0.0
        soundscape = parse_soundscape("BC2026_Test_0001_S05_20250227_010002.ogg")
        self.inputs = TimedInputs(soundscape, None, now=lambda: self.at, seconds=SoundscapeSeconds())

    def spend(self, seconds):
        self.at += seconds


def test_shared_seconds_are_not_the_first_users_own():
    timed = Timed()

    def head(own_s):
        def score(inputs):
            inputs.get_or_compute("tokens", lambda: timed.spend(8.0))
            timed.spend(own_s)

        return score

    timed.inputs.time_member("a", head(1.0))
    timed.inputs.time_member("b", head(2.0))
    spent = timed.inputs.seconds
    assert spent.own == {"a": 1.0, "b": 2.0}
    assert spent.shared == {"tokens": 8.0}
    assert spent.requested_by == {"tokens": {"a", "b"}}


def test_what_is_computed_on_the_way_counts_once_towards_the_outer_key():
    timed = Timed()

    def tokens():
        timed.inputs.get_or_compute("windows", lambda: timed.spend(1.0))
        timed.spend(4.0)

    timed.inputs.time_member("a", lambda inputs: inputs.get_or_compute("tokens", tokens))
    assert timed.inputs.seconds.own == {"a": 0.0}
    assert timed.inputs.seconds.shared == {"tokens": 5.0}


def test_time_is_counted_though_the_member_raises():
    timed = Timed()

    def broken(inputs):
        timed.spend(3.0)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        timed.inputs.time_member("a", broken)
    assert timed.inputs.seconds.own == {"a": 3.0}


def spent(seconds, decoding=0.25):
    return SoundscapeSeconds(decoding, {"a": seconds}, {("mels", 1): 1.0, ("mels", 2): 2.0}, {("mels", 1): {"a"}})


def test_one_stall_moves_the_mean_but_not_the_pace():
    meter = Meter()
    for seconds in (2.0, 2.0, 600.0, 2.0, 2.0):
        meter.add(spent(seconds))
    assert meter.costs().own == {"a": 2.0}
    assert meter.costs().decoding == 0.25
    assert meter.mean_costs().own["a"] == 608 / 5
    assert meter.mean_costs().shared == {("mels", 1): 1.0, ("mels", 2): 2.0}
    assert meter.busy_s() == 608 + 5 * 3.25


def test_a_slower_machine_is_noticed_after_half_of_the_last():
    meter = Meter()
    for _ in range(32):
        meter.add(spent(2.0))
    paces = []
    for _ in range(17):
        meter.add(spent(6.0))
        paces.append(meter.costs().own["a"])
    assert (paces[14], paces[15], paces[16]) == (2.0, 4.0, 6.0)


def test_of_what_several_need_all_are_named():
    meter = Meter()
    meter.add(SoundscapeSeconds(0.0, {}, {"tokens": 1.0}, {"tokens": {"a"}}))
    meter.add(SoundscapeSeconds(0.0, {}, {"tokens": 1.0}, {"tokens": {"b"}}))
    assert meter.costs().needed_by == {"tokens": frozenset("ab")}
