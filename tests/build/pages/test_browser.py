"""Pages in a real browser: nothing is wider than the screen, tables are sorted by mouse and keys, dark is dark."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from build.pages.notebook import notebook_body
from build.pages.page import write_body, write_page
from lib.competition.row_ids import SAMPLE_RATE
from lib.show.audio import ReviewCard, gallery, minute_browser, spectrogram_and_player
from lib.show.html import table
from lib.show.plots import ladder
from tests.support.lab_browser import browser, missing

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"the browser test needs {missing()}")]

RUNGS = pd.DataFrame({"name": ["l0", "l1", "l2"], "score": [0.7, 0.65, 0.6], "low": 0.5, "high": 0.8})
WORDS = pd.DataFrame(
    {f"column {n}": ["a text that is longer than thirty characters, to be broken"] * 2 for n in range(9)}
)
SORTED = pd.DataFrame(
    {"rung": ["b", "a", "c"], "gain": ["+0.10 [0, 1]", "−0.20 [0, 1]", "–"], "ms": [9.0, 1000.0, 20.0]}
)

COLUMN = (
    "return [...document.querySelector('main table').tBodies[0].rows].map(row => row.cells[arguments[0]].innerText)"
)
OUTSIDE = """
const scrolls = place => place && (getComputedStyle(place).overflowX !== "visible" || scrolls(place.parentElement));
const outside = element => element.getBoundingClientRect().right > innerWidth + 1 && !scrolls(element.parentElement);
return [...document.querySelectorAll("main *")].filter(outside).map(element => element.outerHTML.slice(0, 99))"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> list[Path]:
    """A page of scores, and one of a notebook with all that is wide: figures, tables, sounds, code, long names."""
    dist = tmp_path_factory.mktemp("project") / "dist"
    long = "BC2026_Train_0078_S09_20220728_213956_60_" * 3
    noise = np.random.default_rng(0).normal(size=5 * SAMPLE_RATE).astype(np.float32) / 9
    sounds = [
        spectrogram_and_player(noise, long, "#2a6f97").html,
        minute_browser(np.tile(noise, 12), {5: [("Yellow-headed Caracara", "#2a6f97")]}, long, "minute").html,
        gallery([ReviewCard("near copy", "why", {long: noise, "b": noise})]).html,
        table(WORDS).html,
        WORDS.to_html(),
    ]
    outputs = [new_output("display_data", data={"text/html": html}) for html in sounds]
    outputs += [new_output("stream", text=f"{long}\n" * 2, name=name) for name in ("stdout", "stderr")]
    notebook = new_notebook(cells=[new_markdown_cell(f"# {long}\n\n`{long}`"), new_code_cell(long, outputs=outputs)])
    write_page(dist / "ladder.html", "Ladder", [long, f"# {long}", ladder(RUNGS), SORTED, WORDS])
    write_body(dist / "notebooks/01.html", long, notebook_body(notebook, "failed", long))
    return [dist / "ladder.html", dist / "notebooks/01.html"]


@pytest.fixture(scope="module")
def window():
    with browser(1280, 900) as driver:
        yield driver


def opened(window, page: Path, width: int, scheme: str = "light"):
    """The page on a screen of this width, in this colour scheme."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    window.get(page.as_uri())
    return window


def column(window, number: int) -> list[str]:
    return window.execute_script(COLUMN, number)


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_screen_and_all_that_is_wide_scrolls_by_itself(pages, window, width):
    for page in pages:
        opened(window, page, width)
        wide = window.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, page.name
        outside = window.execute_script(OUTSIDE)
        assert outside == []


def test_contents_are_open_beside_the_page_and_folded_above_it_on_a_narrow_screen(pages, window):
    shown = "return document.querySelector('nav li').checkVisibility()"
    assert opened(window, pages[0], 1280).execute_script(shown)
    assert not opened(window, pages[0], 400).execute_script(shown)
    window.find_element("css selector", ".menu summary").click()
    assert window.execute_script(shown)


def test_a_click_or_a_key_on_the_head_of_a_column_sorts_by_number_and_back(pages, window):
    from selenium.webdriver.common.keys import Keys

    opened(window, pages[0], 1280)
    rung, gain, ms = window.find_elements("css selector", "main table:first-of-type thead button")[:3]
    ms.click()
    assert column(window, 2) == ["9", "20", "1000"]
    ms.click()
    assert column(window, 2) == ["1000", "20", "9"]
    gain.send_keys(Keys.ENTER)
    assert column(window, 0) == ["a", "b", "c"]  # what is missing is last
    gain.send_keys(Keys.SPACE)
    assert column(window, 0) == ["b", "a", "c"]
    rung.send_keys(Keys.ENTER)
    assert column(window, 0) == ["a", "b", "c"]
    heads = window.find_elements("css selector", "main table:first-of-type th")[:3]
    assert [head.get_attribute("aria-sort") for head in heads] == ["ascending", None, None]


def test_the_page_is_dark_where_that_is_wanted_and_its_figures_stay_on_white(pages, window):
    back = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    assert opened(window, pages[0], 1280).execute_script(back, "body") == "rgb(246, 247, 243)"
    assert opened(window, pages[0], 1280, "dark").execute_script(back, "body") == "rgb(20, 26, 23)"
    assert window.execute_script(back, ".plot") == "rgb(255, 255, 255)"
