"""Progress passes the items through and prints count, rate and time left."""

from lib.core import progress as module
from lib.core.progress import progress


def test_items_pass_unchanged_and_the_end_is_printed(capsys):
    assert list(progress(range(3), "counting", 3)) == [0, 1, 2]
    assert "counting: 3/3" in capsys.readouterr().out


def test_lines_come_at_intervals(capsys, monkeypatch):
    monkeypatch.setattr(module, "_EVERY_S", 0.0)
    list(progress(range(3), "counting", 3))
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_nothing_to_do_prints_nothing(capsys):
    assert list(progress([], "counting", 0)) == []
    assert capsys.readouterr().out == ""
