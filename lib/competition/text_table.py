"""Strict csv reading: a cut or mangled table is refused with its line, and all cells are text."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from lib.core.errors import BadInput, shorten

_DO = "take the file from the competition again"


def read_text_table(path: Path, may_be_empty: bool = False) -> pd.DataFrame:
    """The table's cells as text (labels look like numbers); every row has as many as the header."""
    rows = _rows(path, _text(path))
    _, header = next(rows, (0, []))
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise _unusable(path, "each column once", f"twice: {shorten(repeated)}")
    cells = []
    for line, row in rows:
        if len(row) != len(header):
            raise _unusable(path, f"{len(header)} fields in line {line}", f"{len(row)}: {shorten(row, 3)[:80]}")
        cells.append(row)
    if not cells and not may_be_empty:
        raise _unusable(path, "a header and at least one row", f"a header of {len(header)} columns and no row")
    return pd.DataFrame(cells, columns=header, dtype=str)


def read_header(path: Path) -> list[str]:
    """The names of the table's columns, as they are: pandas renames those that repeat."""
    return next(_rows(path, _text(path)), (0, []))[1]


def is_cut_off(path: Path) -> bool:
    """True if the table's last line does not end, so that the last cell may be cut."""
    with path.open("rb") as file:
        return file.read()[-1:] not in (b"\n", b"\r")


def _text(path: Path) -> str:
    if not path.is_file():
        raise BadInput(f"{path.name} is missing", expected=path, got="no such file", do="copy the table there")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unusable(path, "text in UTF-8", f"byte {error.start} is not") from error


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line at which it ends."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        yield from ((reader.line_num, row) for row in reader if row)
    except csv.Error as error:
        raise _unusable(path, "rows of comma-separated values", f"line {reader.line_num}: {error}") from error


def _unusable(path: Path, expected: str, got: str) -> BadInput:
    return BadInput(f"{path.name} is not usable", expected=expected, got=got, do=_DO)
