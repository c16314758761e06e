"""Report pages: self-contained HTML files of headings, prose, tables and figures."""

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lib.core.records import write_text

_CELL = "text-align:{side};vertical-align:top;padding:2px 10px 2px 0;white-space:{wrap}"
_SHORT = 30  # characters: a column of longer texts may break its lines
_MOST_ROWS = 30  # a longer table scrolls in a box


@dataclass(frozen=True)
class Html:
    """A piece of HTML; a notebook shows it, and not its text."""

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


PagePart = str | pd.DataFrame | Figure | Html  # of a page


def table(frame: pd.DataFrame) -> Html:
    """The frame without its index, all text in full, numbers to the right; more than 30 rows scroll in a box."""
    styles = {name: _style(frame[name]) for name in frame.columns}
    head = "".join(f"<th style='{styles[name]}'>{html.escape(str(name))}</th>" for name in frame.columns)
    cells = [[f"<td style='{styles[name]}'>{text}</td>" for text in _texts(frame[name])] for name in frame.columns]
    rows = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True))
    box = "max-height:26rem;overflow:auto" if len(frame) > _MOST_ROWS else "overflow-x:auto"
    body = f"<table style='border-collapse:collapse'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return Html(f"<div style='{box}'>{body}</div>")


def _style(column: pd.Series) -> str:
    """The style of a column's cells."""
    if pd.api.types.is_numeric_dtype(column):
        return _CELL.format(side="right", wrap="nowrap")
    return _CELL.format(side="left", wrap="nowrap" if max(map(len, _texts(column)), default=0) <= _SHORT else "normal")


def _texts(column: pd.Series) -> list[str]:
    """The texts of a column's cells, empty where a value is missing; fractions have as many decimals each."""
    fractions = pd.api.types.is_float_dtype(column) and not (column.dropna() % 1 == 0).all()
    return ["" if value is None or value != value else html.escape(_text(value, fractions)) for value in column]


def _text(value: object, fraction: bool) -> str:
    return decimals(float(value)) if fraction else f"{value:g}" if isinstance(value, float) else str(value)


def decimals(value: float) -> str:
    """The number to three decimals; in scientific form where these would be zeros alone."""
    return f"{value:.1e}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2b2a; max-width: 62rem; margin: 2.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #d8e2dc; }
table { border-collapse: collapse; font-size: .88rem; margin: 1rem 0; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #e8eeea; vertical-align: top; }
svg { max-width: 100%; height: auto; } p { max-width: 46rem; }
"""


def write_page(path: Path, title: str, parts: Sequence[PagePart]) -> None:
    """Write a page of these parts. A string that starts with `# ` is a heading, other strings are paragraphs."""
    body = "\n".join(_render(part) for part in parts)
    head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{_STYLE}</style>"
    body = f"<h1>{html.escape(title)}</h1>\n{body}"
    write_text(path, f"<!doctype html><html lang='en'><head>{head}</head><body>{body}</body></html>\n")


def _render(part: PagePart) -> str:
    if isinstance(part, Html):
        return part.html
    if isinstance(part, pd.DataFrame):
        return table(part).html
    if isinstance(part, Figure):
        file = io.StringIO()
        part.savefig(file, format="svg", bbox_inches="tight")
        return "".join(file.getvalue().partition("<svg")[1:])
    return f"<h2>{html.escape(part[2:])}</h2>" if part.startswith("# ") else f"<p>{html.escape(part)}</p>"
