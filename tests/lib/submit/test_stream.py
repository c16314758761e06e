"""The stream gives the same bits however it runs; a failing member is left out for all rows, or costs few of them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lib.blend.recipe import RecipeMember
from lib.core.errors import BadInput
from lib.models.member.open import Member
from lib.submit import stream
from lib.submit.budget import GUARD_MINUTES, Clock
from lib.submit.engine import execute
from lib.submit.stream import score_soundscapes
from tests.support.fakemachine import Machine, optional, recipe_of, scores_of, soundscapes, table_of

FILES = soundscapes(40)
RECIPE_MEMBERS = [RecipeMember("prior", "m", 0.0), RecipeMember("anchor", "m", 1.0), optional("side", 1.0, 0.01)]
NAMES = [member.name for member in RECIPE_MEMBERS]


@pytest.fixture
def machine(monkeypatch):
    return Machine().installed(monkeypatch)


def run_stream(machine, files=FILES, clock=None, save_partial=None, **others):
    """The result when these members replace those that work."""
    members = {name: machine.member(name, 1.0) for name in NAMES} | {
        name: Member(None, True, score) for name, score in others.items()
    }
    return score_soundscapes(
        files, members, RECIPE_MEMBERS, scores_of("prior", files), clock or Clock(now=machine.now), save_partial
    )


def check_whole(result, names, files=FILES):
    assert set(result.member_scores) == set(names)
    for name in names:
        expected = scores_of(name, files)
        assert result.member_scores[name].row_ids == expected.row_ids
        np.testing.assert_array_equal(result.member_scores[name].values, expected.values)


def test_every_member_has_every_row_and_there_is_no_alarm(machine):
    result = run_stream(machine)
    check_whole(result, NAMES)
    assert (result.alarms, result.dropped) == ((), {})
    assert len(machine.calls) == len(FILES) * len(NAMES)


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_real_threads_in_any_number_and_order_give_the_same_bits(machine, monkeypatch, threads):
    monkeypatch.setattr(stream, "ThreadPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(stream, "cpu_count", lambda: threads)

    def member(name):
        def score(inputs):
            time.sleep(0.0005 * (int(inputs.soundscape.number) * 7 % 4))  # so that they overtake each other
            return table_of(name, inputs.soundscape.stem)

        return Member(None, True, score)

    members = {name: member(name) for name in NAMES}
    result = score_soundscapes(FILES[::-1], members, RECIPE_MEMBERS, scores_of("prior", FILES), Clock())
    check_whole(result, NAMES, FILES[::-1])
    recipe = recipe_of(RECIPE_MEMBERS)
    monkeypatch.setattr(stream, "ThreadPoolExecutor", machine.pool)
    np.testing.assert_array_equal(
        execute(recipe, result).scores.values, execute(recipe, run_stream(machine)).scores.values
    )


def test_no_more_soundscapes_are_begun_than_threads(machine, monkeypatch):
    monkeypatch.setattr(stream, "ThreadPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(stream, "cpu_count", lambda: 3)
    alive, most = set(), []

    def score(inputs):
        alive.add(inputs.soundscape.stem)
        most.append(len(alive))
        time.sleep(0.001)
        alive.discard(inputs.soundscape.stem)
        return table_of("anchor", inputs.soundscape.stem)

    result = run_stream(
        machine, clock=Clock(), anchor=score, **dict.fromkeys(("prior", "side"), lambda h: table_of("x", "y"))
    )
    assert len(result.member_scores["anchor"].row_ids) == 12 * len(FILES)
    assert max(most) <= 3


def breaking(name, from_file, to_file=40):
    def score(inputs):
        broken = from_file <= int(inputs.soundscape.number) < to_file
        return np.full((12, 5), np.nan) if broken else table_of(name, inputs.soundscape.stem)

    return score


def test_an_optional_member_that_breaks_in_the_middle_is_left_out_of_all_rows(machine):
    result = run_stream(machine, side=breaking("side", 20))
    check_whole(result, ["prior", "anchor"])
    assert list(result.dropped) == ["side"]
    assert "not finite, twice on BC2026_Test_0020" in result.dropped["side"].reason
    assert len(result.alarms) == 1
    both = execute(recipe_of(RECIPE_MEMBERS), result).scores
    alone = execute(recipe_of(RECIPE_MEMBERS[:2]), run_stream(machine)).scores
    np.testing.assert_array_equal(both.values, alone.values)


def test_a_required_member_that_fails_on_few_soundscapes_leaves_them_to_the_prior(machine):
    result = run_stream(machine, anchor=breaking("anchor", 20, 22))
    kept = [file for file in FILES if file not in FILES[20:22]]
    check_whole(result, NAMES, kept)
    assert len(result.alarms) == 2
    assert all("anchor failed" in alarm for alarm in result.alarms)
    assert execute(recipe_of(RECIPE_MEMBERS), result).scores.row_ids == result.prior.row_ids


def test_a_required_member_that_fails_on_more_is_an_error(machine):
    with pytest.raises(BadInput, match=r"anchor, which the recipe requires(.|\n)*3 by now"):
        run_stream(machine, anchor=breaking("anchor", 20, 23))


def starving(times, on=FILES[3].stem):
    """An anchor that runs out of memory so many times on one soundscape."""
    left = [times]

    def score(inputs):
        if inputs.soundscape.stem == on and left[0]:
            left[0] -= 1
            raise MemoryError
        return table_of("anchor", inputs.soundscape.stem)

    return score


def test_too_little_memory_halves_the_workers_and_the_soundscape_is_scored_again(machine):
    result = run_stream(machine, anchor=starving(1))
    check_whole(result, NAMES)
    assert result.workers == 2
    assert len(result.alarms) == 1
    assert "2 soundscapes at once" in result.alarms[0]


def test_a_soundscape_that_never_fits_the_memory_is_left_to_the_prior(machine):
    result = run_stream(machine, anchor=starving(9))
    check_whole(result, NAMES, [file for file in FILES if file is not FILES[3]])
    assert result.workers == 2
    assert "anchor failed" in result.alarms[1]
    assert "MemoryError" in result.alarms[1]


def test_an_optional_member_that_never_fits_the_memory_is_left_out(machine):
    def score(inputs):
        raise MemoryError

    result = run_stream(machine, side=score)
    check_whole(result, ["prior", "anchor"])
    assert list(result.dropped) == ["side"]
    assert result.workers == 2


def test_partial_results_are_saved_every_quarter_of_an_hour(machine):
    kept = []
    clock = Clock(now=machine.now)

    def slow(inputs):
        machine.spend(200.0)
        return table_of("anchor", inputs.soundscape.stem)

    run_stream(machine, clock=clock, save_partial=lambda result: kept.append((clock.minutes, result)), anchor=slow)
    minutes = [at for at, _ in kept]
    assert len(kept) == 2  # 40 soundscapes, 4 at once, of 200 s and a second for each other member: 33.7 minutes
    assert minutes[0] >= 15
    assert minutes[1] - minutes[0] >= 15
    early = kept[0][1]
    assert 0 < len(early.member_scores["anchor"].row_ids) < 12 * len(FILES)
    assert execute(recipe_of(RECIPE_MEMBERS), early).scores.row_ids == early.prior.row_ids


def test_a_partial_result_that_cannot_be_saved_gives_an_alarm_and_scoring_goes_on(machine):
    def fail(result):
        raise BadInput("too few rows", expected="more", got="few", do="wait")

    def slow(inputs):
        machine.spend(200.0)
        return table_of("anchor", inputs.soundscape.stem)

    result = run_stream(machine, save_partial=fail, anchor=slow)
    check_whole(result, NAMES)
    assert "too few rows" in result.alarms[0]


def test_a_task_that_hangs_is_given_up_at_the_guard(machine, monkeypatch):
    monkeypatch.setattr(stream, "ThreadPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(stream, "cpu_count", lambda: 2)
    end, hands = threading.Event(), iter([0.0])
    clock = Clock(now=lambda: next(hands, 60 * GUARD_MINUTES - 0.5))  # half a second is left, and is waited for

    def hanging(inputs):
        if inputs.soundscape.number == "0004":
            end.wait(30)
        return table_of("anchor", inputs.soundscape.stem)

    ignored = dict.fromkeys(("prior", "side"), lambda inputs: table_of("x", "y"))
    try:
        result = run_stream(machine, clock=clock, anchor=hanging, **ignored)
    finally:
        end.set()
    assert len(result.member_scores["anchor"].row_ids) == 12 * (len(FILES) - 1)
    assert result.alarms == ("1 of 40 soundscapes were not scored in time: the prior's ranks",)


def test_no_files_give_an_empty_result(machine):
    result = run_stream(machine, files=[])
    assert result.alarms == ()
    assert result.member_scores["anchor"].values.shape == (0, 5)
