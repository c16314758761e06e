"""The meter: on a terminal a block of lines that moves, elsewhere a line at intervals; in it what the cell posts."""

import os
import re
from contextlib import contextmanager, redirect_stdout
from select import select

import pytest

from build.notebooks.meter import Meter, Screen


@contextmanager
def terminal(columns=60):
    """A real terminal as standard output; yields a function that returns what has been written to it since."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as file, redirect_stdout(file), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("LINES", "24")
        yield lambda: _read_all(ours).replace("\r\n", "\n")
    os.close(ours)


def _read_all(terminal):
    """What has arrived at the terminal, which takes its time."""
    read = b""
    while select([terminal], [], [], 0.2)[0]:
        read += os.read(terminal, 65536)
    return read.decode()


def test_on_a_terminal_a_notebook_has_a_line_and_each_fold_below(tmp_path):
    (tmp_path / "b").write_text("fold1: step 3/9, 4 s left, loss 0.1")
    (tmp_path / "a").write_text("fold0: step 4/9, 3 s left, loss 0.2" + 60 * ".")
    (tmp_path / "c").write_text("")  # just being written
    with terminal() as written, Meter("02_toy", 8, tmp_path) as meter:
        meter.update({"what": "completed", "own": True})
        meter.update({"what": "started", "heading": "Training"})
        meter._screen._shown -= 1.0
        meter.tick()
        meter.tick()  # not due again
        head, *folds = written().splitlines()[1:]
        meter._screen.clear()
        assert written() == "\x1b[3F\x1b[J"
    assert re.fullmatch(r"02_toy: 1/8 code cells, 0\.\d s, at “Training”", head)
    assert [fold[:20] for fold in folds] == ["  fold0: step 4/9, 3", "  fold1: step 3/9, 4"]
    assert max(map(len, folds)) == 59  # a longer one would wrap, and be there twice


def test_a_line_that_stays_goes_above_the_block():
    with terminal() as written:
        screen = Screen(1e9)
        screen.show(["head", "more"])
        screen.say("run 1 is done")
        screen.show(["head"])
        assert written() == "head\n  more\n\x1b[2F\x1b[Jrun 1 is done\nhead\n"


def test_elsewhere_all_is_one_line_at_intervals(capsys, tmp_path):
    (tmp_path / "a").write_text("fold0: step 4/9")
    with Meter("02_toy", 8, tmp_path) as meter:
        meter.tick()
        meter._screen._shown -= 31
        meter.tick()
    assert capsys.readouterr().out.splitlines() == [
        "02_toy: 8 code cells, starting",
        "02_toy: 0/8 code cells, 0.0 s; fold0: step 4/9",
    ]
