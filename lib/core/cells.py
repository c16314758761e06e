"""The texts of a table's cells, wherever tables are shown."""

from typing import Any

import pandas as pd


def cell_texts(column: pd.Series) -> list[str]:
    """The texts of a column's cells, empty where a value is missing; fractions have as many decimals each."""
    fractions = pd.api.types.is_float_dtype(column) and not (column.dropna() % 1 == 0).all()
    return ["" if value is None or value != value else _text(value, fractions) for value in column]


def text_table(frame: pd.DataFrame) -> pd.DataFrame:
    """The table as texts, without columns in which nothing stands."""
    texts = {name: cell_texts(frame[name]) for name in frame.columns}
    return pd.DataFrame({name: column for name, column in texts.items() if any(column)})


def _text(value: Any, fraction: bool) -> str:
    return _decimals(float(value)) if fraction else f"{value:g}" if isinstance(value, float) else str(value)


def _decimals(value: float) -> str:
    """The number to three decimals; in scientific form where these would be zeros alone."""
    return f"{value:.1e}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"
