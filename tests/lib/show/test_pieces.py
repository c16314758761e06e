"""A table on a page is whole: no text is cut, nothing is left unescaped, and long ones scroll."""

import re

import numpy as np
import pandas as pd

from lib.show.html import Html, table


def cells(html: str, tag: str = "td") -> list[str]:
    return re.findall(rf"<{tag} style='[^']*'>(.*?)</{tag}>", html)


def test_a_piece_is_shown_as_it_is_and_not_as_text():
    piece = Html("<b>x</b>")
    assert piece._repr_html_() == "<b>x</b>"
    assert "<b>" not in repr(piece)


def test_no_text_is_cut_or_left_unescaped():
    long = "text " * 60
    assert cells(table(pd.DataFrame({"why": [long, "a < b & c"]})).html) == [long, "a &lt; b &amp; c"]


def test_numbers_are_short_and_what_is_missing_is_blank():
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, np.nan], "t": ["a", None]})
    html = table(frame).html
    assert cells(html, "th") == ["n", "x", "t"]
    assert cells(html) == ["1", "0.500", "a", "2", "", ""]
    sides = re.findall(r"<td style='text-align:(\w+)", html)
    assert sides == ["right", "right", "left"] * 2


def test_a_number_that_is_not_zero_is_never_shown_as_zero():
    parity = pd.DataFrame({"parity": [2.4e-07, 0.0, 0.0123]})
    assert cells(table(parity).html) == ["2.4e-07", "0.000", "0.012"]


def test_counts_stay_whole_beside_a_missing_one():
    assert cells(table(pd.DataFrame({"n": [12.0, np.nan]})).html) == ["12", ""]


def test_only_long_text_breaks_its_lines():
    html = table(pd.DataFrame({"short": ["x" * 30], "long": ["x" * 31]})).html
    assert re.findall(r"<td style='[^']*white-space:(\w+)", html) == ["nowrap", "normal"]


def test_a_long_table_scrolls_in_a_box_and_an_empty_one_has_its_head():
    assert "max-height" in table(pd.DataFrame({"n": range(31)})).html
    assert "max-height" not in table(pd.DataFrame({"n": range(30)})).html
    assert cells(table(pd.DataFrame({"risk": []}, dtype=str)).html, "th") == ["risk"]
