"""Pages are whole, escaped and self-contained; what a figure shows is also in words."""

import re

import pandas as pd

from build.pages.page import Heading, with_anchors, write_page
from lib.show import plots as figures
from lib.show.html import Html

ROWS = pd.DataFrame({"name": ["a<b", "c"], "score": [0.7, 0.6], "low": [0.6, 0.5], "high": [0.8, 0.7]})


def test_a_page_escapes_what_it_shows_and_loads_nothing_from_elsewhere(tmp_path):
    write_page(tmp_path / "p.html", "Title & more", ["# Head", "plain <text>", ROWS, figures.ladder(ROWS)])
    page = (tmp_path / "p.html").read_text()
    assert "<h1>Title &amp; more</h1>" in page
    assert '<h2 id="head">Head</h2>' in page
    assert "plain &lt;text&gt;" in page
    assert "a&lt;b" in page
    assert 'src="http' not in page
    assert "<?xml" not in page


def test_a_figure_has_a_description_and_names_of_its_own(tmp_path):
    write_page(tmp_path / "p.html", "T", ["# Rungs", figures.ladder(ROWS), figures.ladder(ROWS)])
    page = (tmp_path / "p.html").read_text()
    described = re.findall(r'<svg role="img" aria-label="([^"]*)"', page)
    assert described == ["Rungs. macro ROC-AUC, with the 90 % interval over recordings; a&lt;b, c"] * 2
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(names)) == len(names) > 20
    assert {name for name in re.findall(r"(?:url\(|href=\")#([^\")]+)", page)} <= set(names)


def test_headings_have_anchors_of_their_own_and_are_the_contents():
    body, contents = with_anchors("<h2>Scores & <em>more</em></h2><h3 id='x'>By fold</h3><h2>By fold</h2><h2>…</h2>")
    assert contents == [
        Heading(2, "scores-more", "Scores & more"),
        Heading(3, "by-fold", "By fold"),
        Heading(2, "by-fold-2", "By fold"),
        Heading(2, "section", "…"),
    ]
    assert re.findall(r'<h\d id="([^"]+)">', body) == [heading.anchor for heading in contents]


def test_pieces_of_html_stay_as_they_are_and_where_they_were_put(tmp_path):
    write_page(tmp_path / "p.html", "T", ["before", Html("<b>x</b>"), "after"])
    assert "<p>before</p>\n<b>x</b>\n<p>after</p>" in (tmp_path / "p.html").read_text()
