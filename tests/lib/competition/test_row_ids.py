"""Names of soundscapes, windows and rows are parsed and made in one module, and nothing odd slips through."""

import pickle

import pytest

from lib.competition.row_ids import parse_soundscape, row_id, row_ids, split_row_id
from lib.core.errors import BadInput, shorten

NAME = "BC2026_Train_0039_S22_20211231_201500.ogg"


def test_a_name_gives_site_and_time():
    soundscape = parse_soundscape(NAME)
    assert (soundscape.site, soundscape.date, soundscape.hour, soundscape.split) == ("S22", "20211231", 20, "Train")
    assert soundscape.group == "S22_20211231"
    assert parse_soundscape(NAME.removesuffix(".ogg")) == soundscape


@pytest.mark.parametrize(
    "name",
    [
        "readme.txt",
        "BC2026_Valid_0039_S22_20211231_201500.ogg",
        "BC2026_Train_0039_S22_20211231_251500.ogg",
        "BC2026_Train_0039_S22_20211231_201500.wav",
        "x" + NAME,
    ],
)
def test_an_unparsable_name_is_refused_by_name(name):
    with pytest.raises(BadInput, match="cannot be read") as caught:
        parse_soundscape(name)
    assert name in str(caught.value)


def test_a_soundscape_has_twelve_rows_that_end_at_5_to_60():
    rows = row_ids("BC2026_Test_0001_S05_20250227_010002")
    assert len(rows) == 12
    assert rows[3] == "BC2026_Test_0001_S05_20250227_010002_20"
    assert [split_row_id(row)[1] for row in rows] == list(range(5, 61, 5))


@pytest.mark.parametrize("end", ["0", "65", "7", "05", "x", ""])
def test_a_row_of_no_window_is_refused(end):
    with pytest.raises(BadInput):
        split_row_id(f"BC2026_Test_0001_S05_20250227_010002_{end}")


def test_there_is_no_thirteenth_window():
    with pytest.raises(BadInput, match="no window"):
        row_id("BC2026_Test_0001_S05_20250227_010002", 65)


def test_errors_survive_the_trip_between_processes():
    error = BadInput("x is wrong", expected="1", got="2", do="fix")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_long_lists_are_shortened_with_a_count():
    assert shorten(range(7), 2) == "0, 1 … and 5 more"
