"""Pages know each other, in whatever order they were written, and only those that are there."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from build.pages.page import write_page
from tests.support.pagecheck import faults_of, links_of

PLACES = (
    "dist/notebooks/index.html",
    "dist/notebooks/01_one.html",
    "dist/notebooks/02_two.html",
    "dist/ladder.html",
    "dist/dashboard.html",
    "dist/other.html",
    "runs/mini/sweeps/loss/index.html",
)


def write(top: Path, place: str) -> Path:
    page = top / place
    write_page(page, f"Page <{page.stem}>", ["# Head", "text"])
    return page


def test_every_page_links_all_others_and_marks_itself(tmp_path):
    pages = [write(tmp_path, place) for place in reversed(PLACES)]
    for page in pages:
        assert faults_of(page) == []
        assert [str(place.relative_to(tmp_path)) for place in links_of(page)] == list(PLACES)
        assert links_of(page, "page") == [page]
    assert "Page &lt;ladder&gt;</a>" in (tmp_path / "dist/notebooks/index.html").read_text()


def test_a_page_that_is_gone_is_linked_no_more_after_the_next_is_written(tmp_path):
    first, second, gone = (write(tmp_path, f"dist/{name}.html") for name in ("a", "b", "c"))
    gone.unlink()
    write(tmp_path, "dist/b.html")
    assert links_of(first) == links_of(second) == [first, second]


def test_a_run_of_a_sweep_links_the_others_and_is_linked_by_its_sweep_alone(tmp_path):
    run = write(tmp_path, "runs/mini/sweeps/loss/runs/0a/notebook.html")
    sweep, ladder = (write(tmp_path, place) for place in ("runs/mini/sweeps/loss/index.html", "dist/ladder.html"))
    assert links_of(run) == [ladder, sweep]
    assert links_of(ladder) == [ladder, sweep]


def test_what_others_wrote_beside_our_pages_is_left_alone(tmp_path):
    foreign = tmp_path / "dist/report.html"
    foreign.parent.mkdir()
    foreign.write_text("<title>a report</title>")
    page = write(tmp_path, "dist/ladder.html")
    assert links_of(page) == [page]
    assert foreign.read_text() == "<title>a report</title>"


def test_a_page_anywhere_else_links_those_beside_it(tmp_path):
    pages = [write(tmp_path, f"{name}.html") for name in ("x", "y")]
    assert links_of(pages[0]) == links_of(pages[1]) == pages
    assert not (tmp_path / "dist").exists()


def test_pages_written_side_by_side_all_know_each_other_and_none_is_older_than_it_was_written(tmp_path):
    def twice(number: int) -> Path:
        for text in ("old", "new"):
            page = tmp_path / f"dist/page_{number}.html"
            write_page(page, f"Page {number}", [text])
        return page

    with ThreadPoolExecutor(6) as pool:
        pages = list(pool.map(twice, range(6)))
    assert all(links_of(page) == pages and "<p>new</p>" in page.read_text() for page in pages)
    assert sorted(os.listdir(tmp_path / "dist")) == sorted(["pages.lock", *(page.name for page in pages)])
