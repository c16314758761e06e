"""Figures of the dashboard: rank correlations, scores by subgroup and fold, and the ledger's history."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.judge.ledger import LedgerLine

VERDICT_COLOURS = {"promote": "#2d6a4f", "merge": "#2a6f97", "park": "#e9a03b", "kill": "#c1121f"}
_SHORT = 26  # letters of a name beside a figure


def short_name(name: str) -> str:
    """The name, cut where it would not fit beside a figure."""
    return name if len(name) <= _SHORT else f"{name[: _SHORT - 1]}…"


def correlation_heatmap(table: pd.DataFrame) -> Figure:
    """Heatmap of a square table of rank correlations."""
    names = [short_name(name) for name in table.columns]
    figure = Figure(figsize=(0.9 * len(names) + 3.2, 0.6 * len(names) + 1.6))
    axis = figure.subplots()
    image = axis.imshow(table, vmin=0, vmax=1, cmap="YlGnBu", aspect="auto")
    _cells(axis, table.to_numpy(), table.to_numpy() > 0.55)
    axis.set_xticks(range(len(names)), names, rotation=25, ha="right", fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    figure.colorbar(image, ax=axis, label="rank correlation")
    return figure


def subgroup_heatmap(table: pd.DataFrame, names: list[str]) -> Figure:
    """Each part's score, coloured by how far it lies above or below the same candidate's score over all rows."""
    values = table[names].to_numpy()
    away = values - values[0]
    limit = float(np.nanmax(np.abs(away))) or 1.0
    figure = Figure(figsize=(1.5 * len(names) + 5.2, 0.27 * len(table) + 1.4))
    axis = figure.subplots()
    image = axis.imshow(away, vmin=-limit, vmax=limit, cmap="RdBu", aspect="auto")
    _cells(axis, values, np.abs(away) > 0.65 * limit)
    axis.set_xticks(range(len(names)), [short_name(name) for name in names], rotation=20, ha="left", fontsize=8)
    axis.xaxis.tick_top()
    row_names = [f"{row.grouping}: {row.subgroup}   {row.windows} × {row.classes}" for row in table.itertuples()]
    axis.set_yticks(range(len(table)), row_names, fontsize=8)
    for line in np.flatnonzero(table.grouping.to_numpy()[1:] != table.grouping.to_numpy()[:-1]):
        axis.axhline(line + 0.5, color="white", linewidth=2.5)
    figure.colorbar(image, ax=axis, label="above or below its score over all rows")
    return figure


def fold_dots(spreads: dict[str, dict[int, float]], classes: int) -> Figure:
    """Each candidate's score in each fold, over the classes that every fold can score."""
    figure = Figure(figsize=(8.5, 0.42 * len(spreads) + 1.2))
    axis = figure.subplots()
    for place, (_, scores) in enumerate(reversed(spreads.items())):
        axis.plot([min(scores.values()), max(scores.values())], [place, place], color="#ccc", zorder=0)
        axis.scatter(list(scores.values()), [place] * len(scores), s=26, color="#2a6f97")
        for fold, score in scores.items():
            axis.annotate(str(fold), (score, place), xytext=(0, 5), textcoords="offset points", fontsize=7, ha="center")
    axis.set_yticks(range(len(spreads)), [short_name(name) for name in reversed(spreads)], fontsize=8)
    axis.set_ylim(-0.6, len(spreads) - 0.3)
    axis.set_xlabel(f"macro ROC-AUC in a fold (its number), over the {classes} classes that every fold can score")
    return figure


def ledger_history(lines: list[LedgerLine]) -> Figure:
    """All lines of the ledger in their order, with intervals, coloured by verdict; a rule where the data changed."""
    figure = Figure(figsize=(11, 3.4))
    axis = figure.subplots()
    for verdict, colour in VERDICT_COLOURS.items():
        at = [n for n, line in enumerate(lines, start=1) if line.verdict == verdict]
        low, high = ([lines[n - 1].interval[end] for n in at] for end in (0, 1))
        axis.vlines(at, low, high, color=colour, linewidth=1.4, alpha=0.6)
        scores = [lines[n - 1].score for n in at]
        axis.scatter(at, scores, s=26, color=colour, label=f"{verdict} ({len(at)})", zorder=3)
    for n in range(1, len(lines)):
        if lines[n].data_version != lines[n - 1].data_version:
            axis.axvline(n + 0.5, color="#999", linewidth=0.8, linestyle=":")
    axis.axhline(0.5, color="#888", linewidth=1)
    axis.set_xlim(0.3, len(lines) + 0.7)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("line of the ledger; dotted where the data changed: scores on both sides do not compare")
    axis.set_ylabel("macro ROC-AUC")
    axis.legend(fontsize=8, frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def ledger_table(lines: list[LedgerLine]) -> pd.DataFrame:
    """All lines of the ledger in their order, as a table to read."""
    return pd.DataFrame(
        {
            "line": n,
            "question": line.question,
            "score": line.score,
            "90 % interval": f"[{line.interval[0]:.3f}, {line.interval[1]:.3f}]",
            "classes": line.classes,
            "verdict": line.verdict,
            "config": line.config[:8],
            "data": line.data_version[:8],
            "seed": line.seed,
            "seconds": line.seconds,
        }
        for n, line in enumerate(lines, start=1)
    )


def _cells(axis, values: np.ndarray, dark: np.ndarray) -> None:
    """Write each value into its cell, white where the cell is dark; a dash where there is none."""
    for (row, column), value in np.ndenumerate(values):
        text, colour = f"{value:.2f}" if np.isfinite(value) else "–", "white" if dark[row, column] else "#1d2b2a"
        axis.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
