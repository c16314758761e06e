"""Figures and galleries of the data overview: lengths, quality, activity, co-occurrence, near-duplicates."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.competition.eda.overview import similarity
from lib.competition.row_ids import WINDOW_S, split_row_id, window_ends
from lib.competition.scores import Labels
from lib.show.audio import ReviewCard, gallery, minute_browser, spectrogram_and_player
from lib.show.html import Html
from lib.show.plots import TAXON_COLOURS, close_figure
from lib.sound.crops import loudest_stretch
from lib.sound.decode import soundscape_windows
from lib.sound.duplicates.match import common_excerpt

_CLIPS, _SOUNDSCAPES = "#2a6f97", "#e9a03b"
_MOST_CLASSES = 40


def durations(clips: pd.DataFrame) -> Figure:
    """Lengths of clips by collection, with the window's five seconds; minutes of clips of each animal class."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.2), gridspec_kw={"width_ratios": [3, 2]})
    edges = np.geomspace(max(0.1, clips.seconds.min()), clips.seconds.max() * 1.01, 40)
    named = clips.groupby("collection").seconds
    sources = {name: group for name, group in named}
    axes[0].hist(sources.values(), bins=edges, stacked=True, label=list(sources))
    axes[0].set_xscale("log")
    ticks = [t for t in (0.25, 0.5, 1, 2, 5, 10, 20, 60, 120, 300) if edges[0] <= t <= edges[-1]]
    axes[0].set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes[0].minorticks_off()
    axes[0].axvline(WINDOW_S, color="#c1121f", linewidth=1)
    short = (clips.seconds < WINDOW_S).sum()
    axes[0].set_title(f"{short} of {len(clips)} clips are shorter than a window of {WINDOW_S} s", fontsize=9)
    axes[0].set_xlabel("seconds of a clip")
    axes[0].set_ylabel("clips")
    axes[0].legend(fontsize=8, frameon=False)
    minutes = clips.groupby("class_name").seconds.sum().div(60).sort_values()
    axes[1].barh(minutes.index, minutes, color=[TAXON_COLOURS[name] for name in minutes.index])
    for place, value in enumerate(minutes):
        axes[1].text(value, place, f" {value:.1f}", va="center", fontsize=8)
    axes[1].margins(x=0.15)
    axes[1].set_title("minutes of clips by animal class", fontsize=9)
    return close_figure(figure, tight=True)


def quality(clips: pd.DataFrame, clip_sounds: pd.DataFrame, soundscape_sounds: pd.DataFrame) -> Figure:
    """Ratings; peaks, silence and SNR proxy of usable clips against soundscapes, each as a share of its own kind."""
    figure, axes = plt.subplots(1, 4, figsize=(12, 2.8))
    counts = clips.rating.round(1).value_counts().sort_index()
    axes[0].bar(counts.index, counts, width=0.4, color=["#bbb" if rating == 0 else _CLIPS for rating in counts.index])
    axes[0].set_title(f"rating\n({(clips.rating == 0).mean():.0%} have none: grey)", fontsize=9)
    axes[0].set_ylabel("clips")
    sounds = [table[table.problem == ""] for table in (clip_sounds, soundscape_sounds)]
    clipped, still = ([table[name] > limit for table in sounds] for name, limit in (("clipped", 1e-4), ("silent", 0)))
    loudness = [table.snr_db for table in sounds]
    peaks = [20 * np.log10(np.maximum(table.peak, 1e-4)) for table in sounds]
    _draw_histograms(axes[1], peaks, f"peak, dB of full scale\nclipped: {_shares(clipped)}")
    _draw_histograms(
        axes[2], [100 * table.silent for table in sounds], f"frames below −60 dB, %\nany: {_shares(still)}"
    )
    medians = " and ".join(f"{levels.median():.0f}" for levels in loudness)
    _draw_histograms(axes[3], loudness, f"loud over quiet frames, dB\nmedians: {medians}")
    axes[1].set_ylabel("share of files")
    axes[3].legend(fontsize=8, frameon=False)
    return close_figure(figure, tight=True)


def _shares(marks: list[pd.Series]) -> str:
    """The shares of clips and of soundscapes that have the mark, as text."""
    return " and ".join(f"{mark.mean():.0%}" for mark in marks)


def _draw_histograms(axis, values: list, title: str) -> None:
    """Draw two histograms over the same bins, each as shares that add up to one."""
    edges = np.linspace(min(v.min() for v in values), max(max(v.max() for v in values), 1e-3), 25)
    for part, colour, name in zip(values, (_CLIPS, _SOUNDSCAPES), ("clips", "soundscapes"), strict=True):
        axis.hist(part, bins=edges, weights=np.full(len(part), 1 / len(part)), color=colour, alpha=0.6, label=name)
    axis.set_title(title, fontsize=9)


def activity(windows: pd.DataFrame, taxonomy: pd.DataFrame) -> Figure:
    """By hour (UTC): each site's classes a labelled window, and the share of windows with each animal class."""
    taxon = taxonomy.set_index("primary_label").class_name
    counted = windows.assign(classes=windows.labels.str.len())
    by_site = counted.pivot_table(index="site", columns="hour", values="classes", aggfunc="mean")
    for name in taxon.unique():
        counted[name] = [any(taxon[label] == name for label in labels) for labels in windows.labels]
    by_taxon = counted.groupby("hour")[list(taxon.unique())].mean().T
    figure, axes = plt.subplots(1, 2, figsize=(12, 0.32 * max(len(by_site), len(by_taxon)) + 1.5))
    for axis, table, what, colours in (
        (axes[0], by_site, "classes a labelled window", "YlGnBu"),
        (axes[1], by_taxon, "share of the labelled windows", "YlOrBr"),
    ):
        table = table.reindex(columns=range(24))  # an hour without labels stays grey
        axis.set_facecolor("#ddd")
        image = axis.imshow(table, aspect="auto", cmap=colours, vmin=0)
        axis.set_yticks(range(len(table)), table.index, fontsize=8)
        axis.set_xticks(range(0, 24, 3), [f"{hour:02d}h" for hour in range(0, 24, 3)], fontsize=8)
        axis.set_title(f"{what}, by hour (UTC; grey: none labelled)", fontsize=9)
        figure.colorbar(image, ax=axis)
    return close_figure(figure, tight=True)


def cooccurrence_matrix(labels: Labels, taxonomy: pd.DataFrame, mirrors: list[list[str]]) -> Figure:
    """The log ratio of two classes' co-occurrence in a window to chance; classes that co-occur lie together."""
    counts = labels.values.sum(axis=0)
    shown = np.sort(np.argsort(-counts, kind="stable")[: min(_MOST_CLASSES, (counts > 0).sum())])
    present = labels.values[:, shown].astype(float)
    observed = present.T @ present
    expected = np.outer(present.sum(axis=0), present.sum(axis=0)) / len(present)
    lift = np.log2((observed + 0.5) / (expected + 0.5))
    order = np.argsort(np.linalg.eigh(lift)[1][:, -1], kind="stable")
    names = [labels.classes[column] for column in shown[order]]
    known = taxonomy.set_index("primary_label")
    mirrored = {label for group in mirrors for label in group}
    figure, axis = plt.subplots(figsize=(9, 0.19 * len(names) + 2.4))
    matrix = lift[np.ix_(order, order)]
    np.fill_diagonal(matrix, np.nan)
    image = axis.imshow(matrix, cmap="RdBu_r", vmin=-3, vmax=3, aspect="auto")
    row_names = [f"{known.common_name[label][:28]}{' ≡' if label in mirrored else ''}" for label in names]
    axis.set_yticks(range(len(names)), row_names, fontsize=7)
    axis.set_xticks(range(len(names)), names, fontsize=6, rotation=90)
    for ticks in (axis.get_yticklabels(), axis.get_xticklabels()):
        for tick, label in zip(ticks, names, strict=True):
            tick.set_color(TAXON_COLOURS[known.class_name[label]])
    bar = figure.colorbar(image, ax=axis, ticks=[-3, 0, 3], shrink=0.6)
    bar.set_ticklabels(["8 times\nrarer", "as chance", "8 times\noftener"], fontsize=7)
    which = "all" if len(names) == (counts > 0).sum() else "most frequent"
    note = f"; ≡ present in just the same windows as another: {len(mirrored)}" if mirrored else ""
    axis.set_title(f"two classes in one window, against chance ({len(names)} classes, {which}{note})", fontsize=9)
    return close_figure(figure, tight=True)


def duplicates_figure(pairs: pd.DataFrame, sizes: pd.Series, trial: pd.DataFrame) -> Figure:
    """Recall of planted copies; similarity of the near copies in the data; sizes of the clusters of copies."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 2.6), gridspec_kw={"width_ratios": [3, 2, 2]})
    axes[0].barh(trial.case, trial.recall, color="#52b788")
    row: Any
    for place, row in enumerate(trial.itertuples()):
        text = f"{row.found} of {row.planted}, {row.mistaken} mistaken"
        text += f"; similarity {row.lowest_copy:.2f} or more" if row.found else ""
        text += f", others {row.highest_other:.2f} or less" if row.highest_other > 0 else ""
        axes[0].text(0.02, place, text, va="center", fontsize=8)
    axes[0].set_xlim(0, 1)
    axes[0].invert_yaxis()
    axes[0].set_title("planted copies found, with their similarity", fontsize=9)
    _draw_counts(axes[1], similarity(pairs), f"near copies in the data: {len(pairs)}, by similarity")
    _draw_counts(axes[2], sizes.index.repeat(sizes), f"clusters of copies: {int(sizes.sum())}, by number of items")
    if len(pairs):
        axes[1].set_xlim(0, 1)
    return close_figure(figure, tight=True)


def _draw_counts(axis, values, title: str) -> None:
    """Draw a histogram of the values, whole numbers singly; an empty frame where there are none."""
    axis.set_title(title, fontsize=9)
    if not len(values):
        axis.text(0.5, 0.5, "none", transform=axis.transAxes, ha="center", color="#888")
        axis.set(xticks=[], yticks=[])
        return
    whole = np.issubdtype(values.dtype, np.integer)
    axis.hist(
        values, bins=np.arange(1.5, max(values) + 1) if whole else np.linspace(0, 1, 41), color=_CLIPS, rwidth=0.9
    )
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.xaxis.get_major_locator().set_params(integer=whole)


_EXCERPT_S = 6.0
_PER_CHECK = 3


def example_of_each_taxon(clips: pd.DataFrame, taxonomy: pd.DataFrame, sound: Callable[[str], np.ndarray]) -> Html:
    """The best rated clip of the commonest class of each animal class, its loudest seconds as figure and player."""
    taxon = taxonomy.set_index("primary_label").class_name
    parts = []
    for name in dict.fromkeys(taxonomy.class_name):
        of_taxon = clips[clips.primary_label.map(taxon) == name]
        if len(of_taxon):
            label = of_taxon.primary_label.value_counts().index[0]
            best = of_taxon[of_taxon.primary_label == label].sort_values(["rating", "seconds"], ascending=False).iloc[0]
            excerpt = loudest_stretch(sound(best.filename), _EXCERPT_S)
            title = f"{name}: {best.common_name}, {best.filename}"
            parts.append(spectrogram_and_player(excerpt, title, TAXON_COLOURS[name]).html)
        else:
            parts.append(f"<p>{name}: no clip.</p>")
    return Html("".join(parts))


def labelled_minute(
    stem: str, windows: pd.DataFrame, taxonomy: pd.DataFrame, sound: Callable[[str], np.ndarray]
) -> Html:
    """The soundscape's twelve windows, with the names of the classes in those that are labelled."""
    known = taxonomy.set_index("primary_label")
    names, colours = known.common_name, known.class_name.map(TAXON_COLOURS)
    mine = windows[windows.stem == stem]
    labelled = {
        int(end_s): [(names[label], colours[label]) for label in labels] or [("nothing", "#888")]
        for end_s, labels in zip(mine.end_s, mine.labels, strict=True)
    }
    title = f"{stem}, {len(labelled)} of {len(window_ends())} windows labelled"
    return minute_browser(sound(stem), labelled, title, f"minute-{stem}")


def review_gallery(qa: pd.DataFrame, sound: Callable[[str], np.ndarray]) -> Html:
    """Up to three items of each check for a person, each item once; near copies, least similar first, with partners."""
    rows = qa[((qa.action == "review") | (qa.check == "near copy")) & (qa.kind != "class")]
    rows = rows.iloc[similarity(rows).reset_index(drop=True).sort_values(kind="stable").index]
    shown = rows.drop_duplicates(["kind", "item"]).groupby("check", sort=False).head(_PER_CHECK)
    cards = []
    row: Any
    for row in shown.itertuples():
        cards.append(ReviewCard(row.check, row.detail, _excerpts(row, sound)))
    return gallery(cards)


def _excerpts(row: Any, sound: Callable[[str], np.ndarray]) -> dict[str, np.ndarray]:
    """The named window of the row, the excerpt that an item shares with its partner, or its loudest seconds."""
    if row.kind == "window":
        soundscape, end_s = split_row_id(row.item)
        return {row.item: soundscape_windows(sound(soundscape.stem))[end_s // WINDOW_S - 1]}
    if row.partner:
        both = common_excerpt(sound(row.item), sound(row.partner), _EXCERPT_S)
        return dict(zip((row.item, row.partner), both, strict=True))
    return {row.item: loudest_stretch(sound(row.item), _EXCERPT_S)}
