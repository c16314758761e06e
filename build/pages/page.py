"""Write pages: self-contained HTML files of headings, prose, tables and figures, all by one template."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape, unescape
from itertools import count
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined  # nbconvert brings it
from markupsafe import Markup
from matplotlib.figure import Figure

from build.pages.site import page_mark, write_in_site
from lib.show.html import Html, table

PagePart = str | pd.DataFrame | Figure | Html  # of a page

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_HEADING = re.compile(r"<h([23])(?: [^>]*)?>(.*?)</h\1>", re.DOTALL)
_SVG_NAME = re.compile(r'(\bid="|url\(#|href="#)')
_numbers = count(1)


@dataclass(frozen=True)
class Heading:
    """A line of the contents."""

    level: int
    anchor: str
    text: str


def write_page(path: Path, title: str, parts: Sequence[PagePart]) -> None:
    """Write a page of these parts. A string that starts with `# ` is a heading, other strings are paragraphs."""
    body, heading = [], title
    for part in parts:
        if isinstance(part, str) and part.startswith("# "):
            heading = part[2:]
        body.append(_render(part, heading))
    write_body(path, title, "\n".join(body))


def write_body(path: Path, title: str, body: str) -> None:
    """Write a page of this HTML, whose headings become its contents."""
    body, contents = with_anchors(body)
    page = TEMPLATES.get_template("page.html.j2")
    text = page.render(title=title, body=Markup(body), contents=contents, pages=Markup(page_mark()))
    write_in_site(path, text)


def with_anchors(body: str) -> tuple[str, list[Heading]]:
    """The body with an anchor of its own at each heading of the second and third level, and these headings."""
    found: list[Heading] = []
    taken = {"content"}

    def anchored(heading: re.Match) -> str:
        text = unescape(re.sub(r"<[^>]+>", "", heading[2])).strip()
        name = re.sub(r"\W+", "-", text.lower()).strip("-") or "section"
        anchor = next(each for n in count(1) if (each := name if n == 1 else f"{name}-{n}") not in taken)
        taken.add(anchor)
        found.append(Heading(int(heading[1]), anchor, text))
        return f'<h{heading[1]} id="{anchor}">{heading[2]}</h{heading[1]}>'

    return _HEADING.sub(anchored, body), found


def plot(element: str, width: float) -> str:
    """A figure, as an image or SVG element, in a frame; on a narrow screen a wide one scrolls in it."""
    return f'<figure class="plot" style="--width:{width:.0f}px">{element}</figure>'


def _render(part: PagePart, heading: str) -> str:
    if isinstance(part, Html):
        return part.html
    if isinstance(part, pd.DataFrame):
        return table(part).html
    if isinstance(part, Figure):
        return _svg(part, heading)
    return f"<h2>{escape(part[2:])}</h2>" if part.startswith("# ") else f"<p>{escape(part)}</p>"


def _svg(figure: Figure, heading: str) -> str:
    """The figure as SVG in the page itself, with a description; no name in it is that of another figure."""
    file = io.StringIO()
    figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    element = "".join(file.getvalue().partition("<svg")[1:])
    element = _SVG_NAME.sub(
        rf"\g<1>f{next(_numbers)}-", re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    )
    width = float(element.partition('width="')[2].partition("pt")[0]) * 96 / 72
    described = f'<svg role="img" aria-label="{escape(describe(figure, heading))}"'
    return plot(element.replace("<svg", described, 1), width)


def describe(figure: Figure, heading: str) -> str:
    """The heading of a figure, then of each panel what is written at it, for those who do not see it."""
    panels = []
    for axes in figure.axes:
        rows = [label.get_text() for label in axes.get_yticklabels()]
        names = [row for row in rows if re.search(r"[^\W\d_]", row)]
        texts = (axes.get_title(), axes.get_ylabel(), axes.get_xlabel(), ", ".join(names))
        panels.append("; ".join(" ".join(text.split()) for text in texts if text))
    return ". ".join([heading, *filter(None, panels)])
