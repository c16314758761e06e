"""Figures of a blend: the gain by each part, the stability of its weights, a gate's classes, the search's optimism."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.blend.search.nested import SearchResult
from lib.judge.bootstrap import LEVEL
from lib.show.plots import close_figure

_BLUE, _GREEN, _ORANGE, _RED, _GREY, _PALE = "#2a6f97", "#52b788", "#e9a03b", "#c1121f", "#888", "#dbe7e4"
_MOST_CLASSES = 40


def waterfall(table: pd.DataFrame) -> Figure:
    """Waterfall of the gains by members and steps, joining in order; beside it, the loss without each.

    `table` is the result of `lib.blend.ablation.ablate`.
    """
    joining, left_out = (table[table.order == order].reset_index(drop=True) for order in ("in order", "left out"))
    height = 0.38 * max(len(joining), len(left_out)) + 1.3
    figure, axes = plt.subplots(1, 2, figsize=(11, height))
    places = np.arange(len(joining))[::-1]
    start = joining.score - joining.gain
    axes[0].barh(places, joining.gain, left=start, color=_colours(joining), height=0.6)
    ends = np.maximum(start, joining.score)
    for place, end, row in zip(places, ends, joining.itertuples(), strict=True):
        axes[0].text(end, place, f" {row.gain:+.3f}", va="center", fontsize=8)
    low, high = min(start.min(), joining.score.min()), ends.max()
    axes[0].set_xlim(low - 0.03 * (high - low), high + 0.2 * (high - low))
    axes[0].set_yticks(places, joining.component, fontsize=8)
    axes[0].set_xlabel("macro ROC-AUC out of fold, joining in order from chance", fontsize=8)
    places = np.arange(len(left_out))[::-1]
    reach = [left_out.gain - left_out.low, left_out.high - left_out.gain]
    axes[1].errorbar(left_out.gain, places, xerr=reach, fmt="none", ecolor="#444", capsize=3, lw=1)
    axes[1].scatter(left_out.gain, places, color=_colours(left_out), zorder=3, s=28)
    axes[1].axvline(0.0, color=_GREY, linewidth=1)
    axes[1].set_yticks(places, left_out.component, fontsize=8)
    axes[1].set_xlabel(f"lost when left out of the whole, with {LEVEL:.0%} intervals", fontsize=8)
    for axis in axes:
        axis.set_ylim(-0.7, len(axis.get_yticks()) - 0.3)
        axis.spines[["top", "right"]].set_visible(False)
    return close_figure(figure, tight=True)


def weights_by_fold(found: SearchResult, parts: Sequence[str]) -> Figure:
    """The chosen weight of each part, and those chosen without each fold: dots far apart mean an unstable choice."""
    folds = np.array([candidate.weights for candidate in found.by_fold.values()])
    figure, axis = plt.subplots(figsize=(8, 0.42 * len(parts) + 1.2))
    places = np.arange(len(parts))[::-1]
    axis.hlines(places, folds.min(axis=0), folds.max(axis=0), color=_PALE, linewidth=9)
    jitter = np.linspace(-0.18, 0.18, len(folds))
    for shift, weights in zip(jitter, folds, strict=True):
        axis.plot(weights, places + shift, "o", color=_GREY, markersize=4)
    axis.plot(found.candidate.weights, places, "D", color=_BLUE, markersize=7)
    axis.set_yticks(places, parts)
    axis.set_ylim(-0.6, len(parts) - 0.4)
    axis.set_xlim(left=min(-0.02, folds.min()))
    axis.set_xlabel("weight in the mix")
    marks = [
        plt.Line2D([], [], marker=mark, color=colour, linestyle="") for mark, colour in (("D", _BLUE), ("o", _GREY))
    ]
    axis.legend(
        marks,
        ["chosen on all folds", "chosen without one fold"],
        fontsize=8,
        frameon=False,
        ncols=2,
        loc="lower left",
        bbox_to_anchor=(0, 1),
    )
    axis.spines[["top", "right"]].set_visible(False)
    return close_figure(figure, tight=True)


def optimism_figure(found: Mapping[str, SearchResult], references: Mapping[str, float]) -> Figure:
    """For each search, the score it was searched on and the nested one; lines for blends that searched nothing."""
    figure, axis = plt.subplots(figsize=(8, 0.6 * len(found) + 1.4))
    places = np.arange(len(found))[::-1]
    searched = np.array([one.searched_score for one in found.values()])
    nested = np.array([one.nested_score for one in found.values()])
    axis.barh(places + 0.19, searched, height=0.36, color=_PALE, label="searched: all folds chose and judged")
    axis.barh(places - 0.19, nested, height=0.36, color=_BLUE, label="nested: judged on the fold left out")
    for place, one, other in zip(places, searched, nested, strict=True):
        axis.text(one, place + 0.19, f" {one:.3f}", va="center", fontsize=8)
        axis.text(other, place - 0.19, f" {other:.3f}", va="center", fontsize=8)
    for (name, score), colour in zip(references.items(), (_ORANGE, _GREEN, _RED), strict=False):
        axis.axvline(score, color=colour, linewidth=1.3, label=f"{name} {score:.3f}, nothing searched")
    values = [*searched, *nested, *references.values()]
    reach = max(max(values) - min(values), 0.01)
    axis.set_xlim(min(values) - 0.35 * reach, max(values) + 0.25 * reach)
    axis.set_yticks(places, list(found))
    axis.set_xlabel("macro ROC-AUC out of fold; the axis does not begin at zero", fontsize=8)
    axis.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    axis.spines[["top", "right"]].set_visible(False)
    return close_figure(figure, tight=True)


def sidecar_gate_figure(table: pd.DataFrame, title: str) -> Figure:
    """Each class's gain by the sidecar, best first, down to its lower bound; open classes in colour with their weight.

    `table` is a gate's: primary_label, gate_weight, delta, low, positives, opened. Classes without a gain are left out.
    """
    rows = table[table.delta.notna()].sort_values(["opened", "delta"], ascending=False, kind="stable")
    more, rows = len(rows[_MOST_CLASSES:]), rows[:_MOST_CLASSES]
    figure, axis = plt.subplots(figsize=(max(6.0, 0.27 * len(rows) + 1.5), 3.6))
    places = np.arange(len(rows))
    colours = np.where(rows.opened, _GREEN, "#cccccc")
    axis.bar(places, rows.delta, color=colours)
    axis.vlines(places, rows.low, rows.delta, color="#444", linewidth=1)
    row: Any
    for place, row in zip(places, rows.itertuples(), strict=True):
        if row.opened:
            axis.annotate(
                f"{row.gate_weight:.3f}",
                (place, max(row.delta, 0.0)),
                xytext=(0, 3),
                rotation=90,
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=7,
            )
    names = [f"{row.primary_label} ({row.positives})" for row in rows.itertuples()]
    axis.set_xticks(places, names, rotation=70, ha="right", rotation_mode="anchor", fontsize=7)
    axis.axhline(0.0, color=_GREY, linewidth=1)
    axis.margins(y=0.2)
    axis.set_ylabel("gain in AUC, out of fold", fontsize=9)
    hidden = f", {more} more classes not shown" if more else ""
    axis.set_title(f"{title}: {int(table.opened.sum())} of {len(table)} classes open{hidden}", fontsize=9, loc="left")
    bars = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in (_GREEN, "#cccccc")]
    handles = [*bars, plt.Line2D([], [], color="#444", linewidth=1)]
    axis.legend(
        handles,
        ["open, with its weight", "closed", "down to the lower bound"],
        fontsize=8,
        frameon=False,
        ncols=3,
        loc="upper right",
    )
    axis.spines[["top", "right"]].set_visible(False)
    return close_figure(figure, tight=True)


def _colours(rows: pd.DataFrame) -> list[str]:
    """Losses red, members blue, steps orange."""
    kinds = {"member": _BLUE, "step": _ORANGE}
    return [_RED if gain < 0 else kinds[kind] for gain, kind in zip(rows.gain, rows.kind, strict=True)]
