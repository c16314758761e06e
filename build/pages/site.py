"""Navigation between all pages of a project, and the writing of each page, which renews it in the others."""

import os
import re
from html import escape
from itertools import groupby
from pathlib import Path

from lib.core.folder_lock import exclusive_folder
from lib.core.records import write_text

# Where pages lie below the project, by the heading that lists them; other pages have links to those beside them.
_PLACES = {"dist/notebooks/*.html": "Notebooks", "dist/*.html": "Scores", "runs/*/sweeps/*/index.html": "Sweeps"}
_RUN_OF_SWEEP = "runs/*/sweeps/*/runs/*/notebook.html"  # not listed: its sweep's page links it
_ORDER = ("index", "ladder", "entries", "dashboard", "errors", "stability", "students")
_LINKS = re.compile(r"<!-- pages -->.*?<!-- /pages -->", re.DOTALL)
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)


def write_in_site(page: Path, text: str) -> None:
    """Write the page with links to all others in place of the mark, and renew the links in the others."""
    page = page.resolve()
    page.parent.mkdir(parents=True, exist_ok=True)
    top, pattern = _place_of(page)
    shared = top / "dist" if (top / "dist").is_dir() else page.parent
    # else two that write side by side renew each other's pages with old text; a run of a sweep holds its folder's lock
    with exclusive_folder(shared, "pages.lock"):
        write_text(page, text)
        listed = {place: _title(place) for place in _listed(top, pattern)}
        others = [] if pattern == _RUN_OF_SWEEP else [*listed, *top.glob(_RUN_OF_SWEEP)]
        for other in {page, *others}:
            old = other.read_text(encoding="utf-8")
            before, mark, after = _parted(old)
            new = before + _links(other, top, listed) + after if mark else old
            if new != old:
                write_text(other, new)


def _parted(text: str) -> tuple[str, str, str]:
    """The text before its links, the links with their marks (nothing where there are none), and the text after."""
    found = _LINKS.search(text)
    return (text[: found.start()], found[0], text[found.end() :]) if found else (text, "", "")


def page_mark() -> str:
    """The mark at which `write_in_site` puts the links."""
    return "<!-- pages --><!-- /pages -->"


def _place_of(page: Path) -> tuple[Path, str]:
    """The top folder of the page's project, and the pattern that it matches; a folder of its own outside of these."""
    for pattern in (*_PLACES, _RUN_OF_SWEEP):
        if page.match(pattern):
            return page.parents[pattern.count("/")], pattern
    return page.parent, "*.html"


def _listed(top: Path, pattern: str) -> list[Path]:
    """The pages that have a line in the navigation, in its order; files that are none of ours have no mark."""
    patterns = list(_PLACES) if pattern != "*.html" else [pattern]
    found = [page for each in patterns for page in sorted(top.glob(each), key=_rank)]
    return [page for page in found if _LINKS.search(page.read_text(encoding="utf-8", errors="replace"))]


def _rank(page: Path) -> tuple:
    """The place of a page in its group: the index and the scores in their order, all else by name."""
    return (_ORDER.index(page.stem) if page.stem in _ORDER else len(_ORDER), str(page))


def _title(page: Path) -> str:
    """The title of the page, as HTML."""
    found = _TITLE.search(page.read_text(encoding="utf-8"))
    return found[1] if found else escape(page.stem)


def _links(page: Path, top: Path, listed: dict[Path, str]) -> str:
    """The links of one page to all others, grouped."""
    parts = []
    for group, pages in groupby(listed, key=lambda place: _PLACES.get(_place_of(place)[1], "Pages")):
        lines = "\n".join(_link(page, place, listed[place]) for place in pages)
        parts.append(f"<p>{group}</p>\n<ul>\n{lines}\n</ul>")
    return "\n".join(["<!-- pages -->", *parts, "<!-- /pages -->"])


def _link(page: Path, place: Path, title: str) -> str:
    """A line of the navigation."""
    current = ' aria-current="page"' if place == page else ""
    return f'<li><a href="{escape(os.path.relpath(place, page.parent))}"{current}>{title}</a></li>'
