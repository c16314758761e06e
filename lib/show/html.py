"""Pieces of HTML that a notebook or page shows, and tables as such pieces."""

import html
from dataclasses import dataclass, field

import pandas as pd

from lib.core.cells import cell_texts

_CELL = "text-align:{side};vertical-align:top;padding:2px 10px 2px 0;white-space:{wrap}"
_SHORT = 30  # characters: a column of longer texts may break its lines
_MOST_ROWS = 30  # a longer table scrolls in a box


@dataclass(frozen=True)
class Html:
    """A piece of HTML; a notebook shows it, and not its text."""

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def table(frame: pd.DataFrame) -> Html:
    """The frame without its index, all text in full, numbers to the right; more than 30 rows scroll in a box."""
    styles = {name: _style(frame[name]) for name in frame.columns}
    head = "".join(f"<th style='{styles[name]}'>{html.escape(str(name))}</th>" for name in frame.columns)
    cells = [
        [f"<td style='{styles[name]}'>{html.escape(text)}</td>" for text in cell_texts(frame[name])]
        for name in frame.columns
    ]
    rows = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True))
    box = "max-height:26rem;overflow:auto" if len(frame) > _MOST_ROWS else "overflow-x:auto"
    body = f"<table style='border-collapse:collapse'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return Html(f"<div style='{box}'>{body}</div>")


def _style(column: pd.Series) -> str:
    """The style of a column's cells."""
    if pd.api.types.is_numeric_dtype(column):
        return _CELL.format(side="right", wrap="nowrap")
    return _CELL.format(
        side="left", wrap="nowrap" if max(map(len, cell_texts(column)), default=0) <= _SHORT else "normal"
    )
