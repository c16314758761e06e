"""Work in processes: every result comes, the first error is raised, and no process outlives its use or its parent."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from build.project import ROOT
from lib.core.errors import BadInput
from lib.core.processes import in_processes


def square(number):
    return number * number, os.getpid()


def fail_at_two(number):
    if number == 2:
        raise BadInput("two", expected="another", got=number, do="take another")
    time.sleep(60)


def die_at_two(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def sleep_with_note(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})


def test_every_part_is_done_once_by_other_processes_which_then_end():
    with in_processes(square, range(20)) as results:
        squares, pids = zip(*results, strict=True)
    assert sorted(squares) == [number**2 for number in range(20)]
    assert os.getpid() not in pids
    assert len(set(pids)) <= 2
    assert not multiprocessing.active_children()


def test_one_part_needs_no_process():
    with in_processes(square, [3]) as results:
        assert list(results) == [(9, os.getpid())]


@pytest.mark.parametrize(("work", "text"), [(fail_at_two, "^two"), (die_at_two, "a worker process died")])
def test_an_error_or_a_death_is_raised_here_and_the_others_end_at_once(work, text):
    begun = time.monotonic()
    with pytest.raises(BadInput, match=text), in_processes(work, [1, 2]) as results:
        list(results)
    assert not multiprocessing.active_children()
    assert time.monotonic() - begun < 40  # the other one sleeps for sixty seconds


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_a_parent_that_is_killed_or_interrupted(tmp_path, end):
    program = f"""
        import os, sys
        sys.path.insert(0, {str(ROOT)!r})
        from lib.core.processes import in_processes
        from tests.lib.core.test_processes import sleep_with_note
        os.sched_getaffinity = lambda pid: {{0, 1}}
        if __name__ == "__main__":
            with in_processes(sleep_with_note, [{str(tmp_path)!r}] * 2) as results:
                list(results)
    """
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(program))
    notes = tmp_path / "notes"
    notes.mkdir()
    script.write_text(script.read_text().replace(repr(str(tmp_path)) + "] * 2", repr(str(notes)) + "] * 2"))
    parent = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, start_new_session=True)
    _until(lambda: len(list(notes.iterdir())) == 2 or parent.poll() is not None)
    parent.send_signal(end)
    parent.communicate(timeout=30)
    assert parent.returncode == -end
    assert len(list(notes.iterdir())) == 2
    _until(lambda: not any(_lives(int(note.name)) for note in notes.iterdir()))


def _until(true):
    for _ in range(300):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("waited for thirty seconds")


def _lives(pid):
    """True while the process runs; a zombie, ended but not reaped, counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
