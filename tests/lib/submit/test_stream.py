"""The stream gives the same bits however it runs; who breaks is left out for all rows, or costs few of them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lib.blend.recipe import Ingredient
from lib.core.errors import BadInput
from lib.models.member.open import Member
from lib.submit import stream
from lib.submit.budget import GUARD_MINUTES, Clock
from lib.submit.engine import execute
from lib.submit.stream import score_soundscapes
from tests.support.fakemachine import Machine, optional, recipe_of, scores_of, soundscapes, table_of

FILES = soundscapes(40)
INGREDIENTS = [Ingredient("prior", "m", 0.0), Ingredient("anchor", "m", 1.0), optional("side", 1.0, 0.01)]
NAMES = [member.name for member in INGREDIENTS]


@pytest.fixture
def machine(monkeypatch):
    return Machine().installed(monkeypatch)


def heard_by(machine, files=FILES, clock=None, keep=None, **others):
    """What is heard when these members replace those that do as they should."""
    members = {name: machine.member(name, 1.0) for name in NAMES} | {
        name: Member(None, True, score) for name, score in others.items()
    }
    return score_soundscapes(
        files, members, INGREDIENTS, scores_of("prior", files), clock or Clock(now=machine.now), keep
    )


def check_whole(heard, names, files=FILES):
    assert set(heard.parts) == set(names)
    for name in names:
        expected = scores_of(name, files)
        assert heard.parts[name].row_ids == expected.row_ids
        np.testing.assert_array_equal(heard.parts[name].values, expected.values)


def test_every_member_has_every_row_and_nothing_gives_alarm(machine):
    heard = heard_by(machine)
    check_whole(heard, NAMES)
    assert (heard.alarms, heard.dropped) == ((), {})
    assert len(machine.calls) == len(FILES) * len(NAMES)


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_real_threads_in_any_number_and_order_give_the_same_bits(machine, monkeypatch, threads):
    monkeypatch.setattr(stream, "ThreadPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(stream, "cpu_count", lambda: threads)

    def member(name):
        def score(hearing):
            time.sleep(0.0005 * (int(hearing.soundscape.number) * 7 % 4))  # so that they overtake each other
            return table_of(name, hearing.soundscape.stem)

        return Member(None, True, score)

    members = {name: member(name) for name in NAMES}
    heard = score_soundscapes(FILES[::-1], members, INGREDIENTS, scores_of("prior", FILES), Clock())
    check_whole(heard, NAMES, FILES[::-1])
    recipe = recipe_of(INGREDIENTS)
    monkeypatch.setattr(stream, "ThreadPoolExecutor", machine.pool)
    np.testing.assert_array_equal(
        execute(recipe, heard).scores.values, execute(recipe, heard_by(machine)).scores.values
    )


def test_no_more_soundscapes_are_begun_than_threads(machine, monkeypatch):
    monkeypatch.setattr(stream, "ThreadPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(stream, "cpu_count", lambda: 3)
    alive, most = set(), []

    def score(hearing):
        alive.add(hearing.soundscape.stem)
        most.append(len(alive))
        time.sleep(0.001)
        alive.discard(hearing.soundscape.stem)
        return table_of("anchor", hearing.soundscape.stem)

    heard = heard_by(
        machine, clock=Clock(), anchor=score, **dict.fromkeys(("prior", "side"), lambda h: table_of("x", "y"))
    )
    assert len(heard.parts["anchor"].row_ids) == 12 * len(FILES)
    assert max(most) <= 3


def breaking(name, from_file, to_file=40):
    def score(hearing):
        broken = from_file <= int(hearing.soundscape.number) < to_file
        return np.full((12, 5), np.nan) if broken else table_of(name, hearing.soundscape.stem)

    return score


def test_an_optional_member_that_breaks_in_the_middle_is_left_out_of_all_rows(machine):
    heard = heard_by(machine, side=breaking("side", 20))
    check_whole(heard, ["prior", "anchor"])
    assert list(heard.dropped) == ["side"]
    assert "not finite, twice on BC2026_Test_0020" in heard.dropped["side"].why
    assert len(heard.alarms) == 1
    both = execute(recipe_of(INGREDIENTS), heard).scores
    alone = execute(recipe_of(INGREDIENTS[:2]), heard_by(machine)).scores
    np.testing.assert_array_equal(both.values, alone.values)


def test_a_required_member_that_fails_on_few_soundscapes_leaves_them_to_the_prior(machine):
    heard = heard_by(machine, anchor=breaking("anchor", 20, 22))
    kept = [file for file in FILES if file not in FILES[20:22]]
    check_whole(heard, NAMES, kept)
    assert len(heard.alarms) == 2
    assert all("anchor failed" in alarm for alarm in heard.alarms)
    assert execute(recipe_of(INGREDIENTS), heard).scores.row_ids == heard.prior.row_ids


def test_a_required_member_that_fails_on_more_is_an_error(machine):
    with pytest.raises(BadInput, match=r"anchor, which the recipe requires(.|\n)*3 by now"):
        heard_by(machine, anchor=breaking("anchor", 20, 23))


def starving(times, on=FILES[3].stem):
    """An anchor that meets the end of the memory so many times on one soundscape."""
    left = [times]

    def score(hearing):
        if hearing.soundscape.stem == on and left[0]:
            left[0] -= 1
            raise MemoryError
        return table_of("anchor", hearing.soundscape.stem)

    return score


def test_too_little_memory_halves_the_workers_and_the_soundscape_is_heard_again(machine):
    heard = heard_by(machine, anchor=starving(1))
    check_whole(heard, NAMES)
    assert heard.workers == 2
    assert len(heard.alarms) == 1
    assert "2 at once" in heard.alarms[0]


def test_a_soundscape_that_never_fits_the_memory_is_left_to_the_prior(machine):
    heard = heard_by(machine, anchor=starving(9))
    check_whole(heard, NAMES, [file for file in FILES if file is not FILES[3]])
    assert heard.workers == 2
    assert "anchor failed" in heard.alarms[1]
    assert "MemoryError" in heard.alarms[1]


def test_an_optional_member_that_never_fits_the_memory_is_left_out(machine):
    def score(hearing):
        raise MemoryError

    heard = heard_by(machine, side=score)
    check_whole(heard, ["prior", "anchor"])
    assert list(heard.dropped) == ["side"]
    assert heard.workers == 2


def test_better_and_better_is_kept_every_quarter_of_an_hour(machine):
    kept = []
    clock = Clock(now=machine.now)

    def slow(hearing):
        machine.spend(200.0)
        return table_of("anchor", hearing.soundscape.stem)

    heard_by(machine, clock=clock, keep=lambda heard: kept.append((clock.minutes, heard)), anchor=slow)
    minutes = [at for at, _ in kept]
    assert len(kept) == 2  # 40 soundscapes, 4 at once, of 200 s and a second for each other: 33.7 minutes
    assert minutes[0] >= 15
    assert minutes[1] - minutes[0] >= 15
    early = kept[0][1]
    assert 0 < len(early.parts["anchor"].row_ids) < 12 * len(FILES)
    assert execute(recipe_of(INGREDIENTS), early).scores.row_ids == early.prior.row_ids


def test_what_cannot_be_kept_early_gives_alarm_and_listening_goes_on(machine):
    def keep(heard):
        raise BadInput("too few rows", expected="more", got="few", do="wait")

    def slow(hearing):
        machine.spend(200.0)
        return table_of("anchor", hearing.soundscape.stem)

    heard = heard_by(machine, keep=keep, anchor=slow)
    check_whole(heard, NAMES)
    assert "too few rows" in heard.alarms[0]


def test_a_task_that_hangs_is_given_up_at_the_guard(machine, monkeypatch):
    monkeypatch.setattr(stream, "ThreadPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(stream, "cpu_count", lambda: 2)
    end, hands = threading.Event(), iter([0.0])
    clock = Clock(now=lambda: next(hands, 60 * GUARD_MINUTES - 0.5))  # half a second is left, and is waited for

    def hanging(hearing):
        if hearing.soundscape.number == "0004":
            end.wait(30)
        return table_of("anchor", hearing.soundscape.stem)

    ignored = dict.fromkeys(("prior", "side"), lambda hearing: table_of("x", "y"))
    try:
        heard = heard_by(machine, clock=clock, anchor=hanging, **ignored)
    finally:
        end.set()
    assert len(heard.parts["anchor"].row_ids) == 12 * (len(FILES) - 1)
    assert heard.alarms == ("1 of 40 soundscapes were not heard in time: the prior's ranks",)


def test_nothing_to_hear_is_heard(machine):
    heard = heard_by(machine, files=[])
    assert heard.alarms == ()
    assert heard.parts["anchor"].values.shape == (0, 5)
