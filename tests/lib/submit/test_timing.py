"""The meter tells a member's own seconds from those of what it shares, and forgets a stall."""

import pytest

from lib.competition.row_ids import parse_soundscape
from lib.submit.timing import Meter, Spent, TimedInputs


class Timed:
    """A hearing whose clock moves only when told."""

    def __init__(self):
        self.at = 0.0
        soundscape = parse_soundscape("BC2026_Test_0001_S05_20250227_010002.ogg")
        self.hearing = TimedInputs(soundscape, None, now=lambda: self.at, spent=Spent())

    def spend(self, seconds):
        self.at += seconds


def test_shared_seconds_are_not_the_first_askers_own():
    timed = Timed()

    def head(own_s):
        def score(hearing):
            hearing.once("tokens", lambda: timed.spend(8.0))
            timed.spend(own_s)

        return score

    timed.hearing.by("a", head(1.0))
    timed.hearing.by("b", head(2.0))
    spent = timed.hearing.spent
    assert spent.own == {"a": 1.0, "b": 2.0}
    assert spent.shared == {"tokens": 8.0}
    assert spent.asked_by == {"tokens": {"a", "b"}}


def test_what_is_made_on_the_way_counts_once_as_part_of_what_it_is_made_for():
    timed = Timed()

    def tokens():
        timed.hearing.once("windows", lambda: timed.spend(1.0))
        timed.spend(4.0)

    timed.hearing.by("a", lambda hearing: hearing.once("tokens", tokens))
    assert timed.hearing.spent.own == {"a": 0.0}
    assert timed.hearing.spent.shared == {"tokens": 5.0}


def test_time_is_counted_though_the_member_raises():
    timed = Timed()

    def broken(hearing):
        timed.spend(3.0)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        timed.hearing.by("a", broken)
    assert timed.hearing.spent.own == {"a": 3.0}


def spent(seconds, decoding=0.25):
    return Spent(decoding, {"a": seconds}, {("pictures", 1): 1.0, ("pictures", 2): 2.0}, {("pictures", 1): {"a"}})


def test_one_stall_moves_the_mean_but_not_the_pace():
    meter = Meter()
    for seconds in (2.0, 2.0, 600.0, 2.0, 2.0):
        meter.add(spent(seconds))
    assert meter.costs().own == {"a": 2.0}
    assert meter.costs().decoding == 0.25
    assert meter.means()["a"] == 608 / 5
    assert meter.means()["pictures"] == 3.0
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
    meter.add(Spent(0.0, {}, {"tokens": 1.0}, {"tokens": {"a"}}))
    meter.add(Spent(0.0, {}, {"tokens": 1.0}, {"tokens": {"b"}}))
    assert meter.costs().needed_by == {"tokens": frozenset("ab")}
