"""Figures: each function draws one figure with one message, and returns it closed, for a notebook to show once."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.competition.prepared import Prepared
from lib.judge.metric import AucReport

TAXON_COLOURS = {
    "Aves": "#2a6f97",
    "Amphibia": "#52b788",
    "Insecta": "#e9a03b",
    "Mammalia": "#9d4edd",
    "Reptilia": "#c1121f",
}


def long_tail(prepared: Prepared, taxonomy: pd.DataFrame) -> Figure:
    """Clips and labelled windows of each class, most clips first, coloured by taxon."""
    clips = prepared.clips.primary_label.value_counts().reindex(prepared.classes.labels, fill_value=0)
    windows = pd.Series(prepared.labels.values.sum(axis=0), index=prepared.classes.labels)
    order = clips.sort_values(ascending=False, kind="stable").index
    colours = taxonomy.set_index("primary_label").class_name.map(TAXON_COLOURS)[order]
    figure, axes = plt.subplots(2, 1, figsize=(10, 4.5), sharex=True)
    for axis, counts, what in zip(axes, (clips, windows), ("focal clips", "labelled windows"), strict=True):
        axis.bar(range(len(order)), counts[order], color=colours)
        axis.set_yscale("symlog", linthresh=1)
        axis.set_ylabel(what)
    axes[1].set_xticks([])
    axes[1].set_xlabel(f"{len(order)} classes, most clips first")
    present = [taxon for taxon in TAXON_COLOURS if taxon in set(taxonomy.class_name)]
    handles = [plt.Rectangle((0, 0), 1, 1, color=TAXON_COLOURS[taxon]) for taxon in present]
    axes[0].legend(handles, present, ncols=len(present), fontsize=8, frameon=False)
    return close_figure(figure)


def fold_coverage(prepared: Prepared) -> Figure:
    """The number of labelled windows' classes that each fold can score, and of windows that it holds out."""
    fold_of = prepared.windows.stem.map(prepared.folds.of("soundscape")).to_numpy()
    truth = prepared.labels.values
    numbers = prepared.folds.numbers
    figure, axes = plt.subplots(1, 2, figsize=(10, 2.6))
    axes[0].bar(numbers, [truth[fold_of == fold].any(axis=0).sum() for fold in numbers], color="#2a6f97")
    axes[0].axhline(truth.any(axis=0).sum(), color="#888", linewidth=1)
    axes[0].set_title(f"classes present, of {truth.any(axis=0).sum()} in all", fontsize=9)
    axes[1].bar(numbers, [(fold_of == fold).sum() for fold in numbers], color="#52b788")
    axes[1].set_title("labelled windows held out", fontsize=9)
    for axis in axes:
        axis.set_xticks(numbers, [f"fold {fold}" for fold in numbers])
    return close_figure(figure)


def site_hours(sites: list[str], hours: list[int], title: str) -> Figure:
    """The number of soundscapes of each site and hour of the day (UTC)."""
    names = sorted(set(sites))
    counts = np.zeros((len(names), 24))
    np.add.at(counts, ([names.index(site) for site in sites], hours), 1)
    figure, axis = plt.subplots(figsize=(10, 0.4 * len(names) + 1.2))
    image = axis.imshow(counts, aspect="auto", cmap="YlGnBu")
    axis.set_yticks(range(len(names)), names)
    axis.set_xticks(range(0, 24, 3), [f"{hour:02d}h" for hour in range(0, 24, 3)])
    axis.set_title(title, fontsize=9)
    figure.colorbar(image, ax=axis, label="soundscapes", ticks=MaxNLocator(integer=True))
    return close_figure(figure)


def auc_against_clips(reports: dict[str, AucReport], prepared: Prepared) -> Figure:
    """Each class's out-of-fold AUC against its number of focal clips, for each member."""
    clips = prepared.clips.primary_label.value_counts()
    figure, axis = plt.subplots(figsize=(8, 3.2))
    for (name, report), marker in zip(reports.items(), "oxs^v", strict=False):
        counts = [clips.get(label, 0) for label in report.per_class]
        axis.scatter(
            counts, list(report.per_class.values()), s=18, alpha=0.7, marker=marker, label=f"{name} {report.macro:.3f}"
        )
    axis.axhline(0.5, color="#888", linewidth=1)
    axis.set_xscale("symlog", linthresh=1)
    axis.set_xlim(left=-0.2)  # classes without clips, and no decade below them
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlabel("focal clips of the class")
    axis.set_ylabel("out-of-fold AUC")
    axis.legend(fontsize=8, frameon=False)
    return close_figure(figure)


def ladder(rows: pd.DataFrame) -> Figure:
    """Scores with intervals, one line a row of the table: columns name, score, low, high."""
    figure, axis = plt.subplots(figsize=(8, 0.45 * len(rows) + 1.0))
    places = np.arange(len(rows))[::-1]
    axis.errorbar(
        rows.score, places, xerr=[rows.score - rows.low, rows.high - rows.score], fmt="o", color="#2a6f97", capsize=3
    )
    for place, row in zip(places, rows.itertuples(), strict=True):
        axis.annotate(f"{row.score:.3f}", (row.score, place), xytext=(0, 6), textcoords="offset points", fontsize=8)
    axis.axvline(0.5, color="#888", linewidth=1)
    axis.set_yticks(places, rows.name)
    axis.set_ylim(-0.6, len(rows) - 0.2)
    axis.set_xlabel("macro ROC-AUC, with the 90 % interval over recordings")
    return close_figure(figure, tight=True)


def close_figure(figure: Figure, *, tight: bool = False) -> Figure:
    """The figure, taken from pyplot's list, so that a notebook shows it once and memory stays flat."""
    if tight:
        figure.tight_layout()
    plt.close(figure)
    return figure
