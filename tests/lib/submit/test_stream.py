"""The stream gives the same bits however it runs; a failing member is left out for all rows, or costs few of them."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from build.project import ROOT
from lib.blend.recipe import RecipeMember
from lib.core.daemon_threads import in_daemon_thread
from lib.core.errors import BadInput
from lib.models.member.open import Member
from lib.submit import soundscape, stream
from lib.submit.budget import GUARD_MINUTES, Clock
from lib.submit.engine import execute
from lib.submit.stream import score_soundscapes
from lib.submit.timing import SoundscapeSeconds
from lib.submit.workers import Workers
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
    monkeypatch.setattr(stream, "in_daemon_thread", in_daemon_thread)
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
    monkeypatch.setattr(stream, "in_daemon_thread", machine.submit)
    np.testing.assert_array_equal(
        execute(recipe, result).scores.values, execute(recipe, run_stream(machine)).scores.values
    )


def test_no_more_soundscapes_are_begun_than_threads(machine, monkeypatch):
    monkeypatch.setattr(stream, "in_daemon_thread", in_daemon_thread)
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
    assert all("is scored by the prior, members failed: anchor: a score" in alarm for alarm in result.alarms)
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
    result = run_stream(machine, files=FILES[:16], anchor=starving(1))
    check_whole(result, NAMES, FILES[:16])
    assert result.workers == 2
    assert len(result.alarms) == 1
    assert "2 soundscapes at once" in result.alarms[0]


def test_the_workers_come_back_after_a_calm_and_later_each_time(machine):
    result = run_stream(machine, anchor=starving(1))
    assert result.workers == 4
    assert len(result.alarms) == 1
    workers = Workers(4)
    for trouble, calm in enumerate((16, 32, 64)):
        assert workers.halve(FILES[trouble])
        assert not workers.halve(FILES[20 + trouble])  # those that run out together halve once
        workers.done(FILES[20 + trouble])
        for _ in range(calm - 2):
            workers.done(FILES[trouble])
        assert workers.now == 2
        workers.done(FILES[trouble])
        assert workers.now == 4
    assert [workers.is_final(file) for file in (FILES[0], FILES[5])] == [True, False]


def test_a_soundscape_that_never_fits_the_memory_is_left_to_the_prior(machine):
    result = run_stream(machine, anchor=starving(9))
    check_whole(result, NAMES, [file for file in FILES if file is not FILES[3]])
    assert result.workers == 4
    assert "is scored by the prior, members failed: anchor: MemoryError" in result.alarms[1]


def test_an_optional_member_that_never_fits_the_memory_is_left_out(machine):
    def score(inputs):
        raise MemoryError

    result = run_stream(machine, side=score)
    check_whole(result, ["prior", "anchor"])
    assert list(result.dropped) == ["side"]
    assert result.workers == 4


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


@pytest.mark.parametrize("error", [BadInput("too few rows", expected="more", got="few", do="wait"), OSError("too few")])
def test_a_partial_result_that_cannot_be_saved_gives_an_alarm_and_scoring_goes_on(machine, error):
    def fail(result):
        raise error

    def slow(inputs):
        machine.spend(200.0)
        return table_of("anchor", inputs.soundscape.stem)

    result = run_stream(machine, save_partial=fail, anchor=slow)
    check_whole(result, NAMES)
    assert "too few" in result.alarms[0]


HANGING = "BC2026_Test_0004"


@pytest.fixture
def hanging(machine, monkeypatch):
    """A way to run with two real threads and members that wait for ever on some files; all are released at the end."""
    monkeypatch.setattr(stream, "in_daemon_thread", in_daemon_thread)
    monkeypatch.setattr(stream, "cpu_count", lambda: 2)
    end = threading.Event()

    def run(waits=0.4, clock=None, files=FILES, **on):
        """`on` names members and the beginnings of the files on which they hang."""
        monkeypatch.setattr(stream, "_HANG_S", waits)
        monkeypatch.setattr(stream, "_HANG_TIMES", 0)
        monkeypatch.setattr(stream, "_LOOK_S", 0.05)

        def member(name):
            def score(inputs):
                if name in on and inputs.soundscape.stem.startswith(on[name]):
                    end.wait(30)
                return table_of(name, inputs.soundscape.stem)

            return score

        return run_stream(machine, clock=clock or Clock(), files=files, **{name: member(name) for name in NAMES})

    yield run
    end.set()


def test_an_optional_member_that_hangs_is_dropped_by_name_and_every_soundscape_is_scored(hanging):
    result = hanging(side="BC2026_Test")  # on every file: each thread hangs once
    check_whole(result, ["prior", "anchor"])
    assert list(result.dropped) == ["side"]
    assert result.dropped["side"].reason == f"no answer in 0 s on {FILES[0].name}"
    assert len(result.alarms) == 1


def test_a_required_member_that_hangs_leaves_its_soundscape_to_the_prior(hanging):
    result = hanging(anchor=HANGING)
    check_whole(result, NAMES, [file for file in FILES if not file.stem.startswith(HANGING)])
    assert result.alarms == (f"{FILES[4].name} is scored by the prior, members failed: anchor: no answer in 0 s",)
    with pytest.raises(BadInput, match=r"anchor, which the recipe requires, fails(.|\n)*3 by now"):
        hanging(anchor="BC2026_Test_000")


def test_a_file_whose_reading_hangs_is_unreadable(hanging, monkeypatch):
    read = soundscape.read_soundscape

    def reading(file):
        if file == FILES[4]:
            time.sleep(5)
        return read(file)

    monkeypatch.setattr(soundscape, "read_soundscape", reading)
    result = hanging()
    check_whole(result, NAMES, [file for file in FILES if file != FILES[4]])
    assert result.alarms == (f"unreadable, scored by the prior: {FILES[4].name}: no answer in 0 s",)


def test_patience_is_a_minute_or_twenty_times_what_a_member_usually_takes(machine):
    machine = Machine(slow=10.0)  # ten seconds a member: nothing hangs, though all are slow
    watched = stream._Stream(FILES, {}, RECIPE_MEMBERS, scores_of("prior", FILES), Clock(now=machine.now), None)
    assert watched._patience_s("prior") == 60
    assert watched._patience_s("anchor") == 60  # a second by the recipe
    watched.meter.add(SoundscapeSeconds(1.0, {"anchor": 5.0}, {"mel": 4.0}, {"mel": {"anchor"}}))
    assert watched._patience_s("anchor") == 20 * 10
    assert watched._patience_s("") == 60


def test_a_task_that_hangs_is_given_up_at_the_guard(hanging):
    start = time.perf_counter()
    clock = Clock(now=lambda: time.perf_counter() - start)
    start -= 60 * GUARD_MINUTES - 0.5  # half a second is left, and is waited for
    result = hanging(waits=60.0, clock=clock, files=FILES[:8], anchor=HANGING)
    assert len(result.member_scores["anchor"].row_ids) == 12 * 7
    assert result.alarms == ("1 of 8 soundscapes were not scored in time: the prior's ranks",)


def test_a_process_ends_while_a_thread_hangs():
    code = (
        "import threading\n"
        "from lib.core.daemon_threads import in_daemon_thread\n"
        "in_daemon_thread(threading.Event().wait); print(in_daemon_thread(sum, [1, 2]).result())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (0, "3\n")


def test_a_file_on_which_all_that_read_it_fail_is_to_blame_unless_there_are_many(machine, monkeypatch):
    """The prior needs the name alone, so it cannot fail; two members that do on one file prove the file."""
    both = {"anchor": breaking("anchor", 20, 22), "side": breaking("side", 20, 22)}
    result = run_stream(machine, **both)
    check_whole(result, NAMES, [file for file in FILES if file not in FILES[20:22]])
    assert result.dropped == {}
    assert "members failed: anchor: a score that is not finite, twice; side: a score" in result.alarms[0]
    optional_ones = [RECIPE_MEMBERS[0], optional("anchor", 1.0, 0.02), RECIPE_MEMBERS[2]]
    members = {name: Member(None, True, score) for name, score in both.items()}
    members["prior"] = Member(None, False, lambda inputs: table_of("prior", inputs.soundscape.stem))
    result = score_soundscapes(FILES, members, optional_ones, scores_of("prior", FILES), Clock(now=machine.now))
    assert result.dropped == {}
    assert len(result.member_scores["side"].row_ids) == 12 * 38
    many = {name: Member(None, True, breaking(name, 20, 30)) for name in both} | {"prior": members["prior"]}
    result = score_soundscapes(FILES, many, optional_ones, scores_of("prior", FILES), Clock(now=machine.now))
    assert list(result.dropped) == ["anchor", "side"]


def test_no_files_give_an_empty_result(machine):
    result = run_stream(machine, files=[])
    assert result.alarms == ()
    assert result.member_scores["anchor"].values.shape == (0, 5)
