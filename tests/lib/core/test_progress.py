"""Progress passes the items through, prints count, rate and time left, and posts the same for whoever watches."""

import re

import pytest

from lib.core import progress as module
from lib.core.progress import WATCHED, LiveLine, format_duration, progress


def test_items_pass_unchanged_and_the_end_is_printed(capsys):
    assert list(progress(range(3), "counting", 3)) == [0, 1, 2]
    assert capsys.readouterr().out.startswith("counting: 3/3, ")


def test_lines_come_at_intervals(capsys, monkeypatch):
    monkeypatch.setattr(module, "_EVERY_S", 0.0)
    list(progress(range(3), "counting", 3))
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_nothing_to_do_prints_nothing(capsys):
    assert list(progress([], "counting", 0)) == []
    assert capsys.readouterr().out == ""


def test_what_is_under_way_is_posted_and_withdrawn_at_the_end_or_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(WATCHED, str(tmp_path))
    monkeypatch.setattr(module, "_POST_S", 0.0)
    posts = lambda: [path.read_text() for path in tmp_path.iterdir()]  # noqa: E731
    seen = [posts()[0] for _ in progress(range(4), "counting", 4)]
    assert seen[0] == "counting: 0/4"
    assert re.fullmatch(r"counting: 1/4 after \d\.\d s", seen[1])  # one item gives no rate: it waited for the start
    assert re.fullmatch(r"counting: 3/4, [\d.]+/s, \d\.\d s left", seen[3])
    assert posts() == []
    with pytest.raises(ZeroDivisionError):
        [1 / 0 for _ in progress(range(3), "counting", 3)]
    assert posts() == []
    assert capsys.readouterr().out.count("\n") == 1  # posting prints nothing


def test_a_watcher_that_has_gone_away_ends_no_work(tmp_path, monkeypatch):
    monkeypatch.setenv(WATCHED, str(tmp_path / "gone"))
    monkeypatch.setattr(module, "_POST_S", 0.0)
    live = LiveLine("work")
    live.update(lambda: "1/2")
    live.close()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.34, "8.3 s"), (42.4, "42 s"), (59.7, "1 min 00 s"), (245, "4 min 05 s"), (3720, "1 h 02 min")],
)
def test_a_duration_reads_as_people_write_it(seconds, text):
    assert format_duration(seconds) == text
