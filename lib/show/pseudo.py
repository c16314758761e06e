"""Figures of pseudo-labels: gains by round, the gate's passes, the gain that a student keeps, and costs."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from lib.competition.prepared import Prepared
from lib.competition.row_ids import WINDOW_S, WINDOWS_PER_SOUNDSCAPE
from lib.learn.soft_labels.gate import GatedLabels
from lib.pseudo.student_gain import kept_in_words
from lib.show.audio import ReviewCard, gallery
from lib.show.html import Html
from lib.show.plots import TAXON_COLOURS, close_figure
from lib.sound.decode import soundscape_windows

_BLUE, _GREEN, _ORANGE, _RED, _GREY, _PALE = "#2a6f97", "#2d6a4f", "#e9a03b", "#c1121f", "#888", "#f3d19e"
_VERDICTS = {"keep": _GREEN, "stop": _GREY, "discard": _RED}
_KINDS = {
    "leaky": (_PALE, -0.19, "leaky control"),
    "student": (_BLUE, 0.19, "student: on recordings that no model of the chain was trained on"),
}
_STATES = {"open": "black", "empty": _RED, "off": _GREY}
_ROWS_A_COLUMN = 60
_CLASSES_REVIEWED = 6
_EACH_SIDE = 2  # windows above and below the gate


def gains_by_round(rows: pd.DataFrame) -> Figure:
    """The gains of each round's leaky control and student side by side, with intervals, and the verdict below.

    Columns: round, kind ("student" or "leaky"), gain, low, high, verdict. A round may lack its leaky gain.
    """
    numbers = list(dict.fromkeys(rows["round"]))
    row: Any
    figure, axis = plt.subplots(figsize=(max(6.0, 1.9 * len(numbers) + 1.5), 3.6))
    for kind, (colour, shift, label) in _KINDS.items():
        of_kind = rows[rows.kind == kind]
        if of_kind.empty:
            continue
        places = of_kind["round"].map(numbers.index) + shift
        axis.bar(places, of_kind.gain, width=0.36, color=colour, label=label)
        reach = [of_kind.gain - of_kind.low, of_kind.high - of_kind.gain]
        axis.errorbar(places, of_kind.gain, yerr=reach, fmt="none", ecolor="#444", capsize=3, linewidth=1)
        for place, row in zip(places, of_kind.itertuples(), strict=True):
            end, side, at = (row.high, 3, "bottom") if row.gain >= 0 else (row.low, -3, "top")
            axis.annotate(
                f"{row.gain:+.3f}",
                (place, end),
                xytext=(0, side),
                textcoords="offset points",
                ha="center",
                va=at,
                fontsize=8,
            )
    axis.axhline(0.0, color="#444", linewidth=1)
    students = rows[rows.kind == "student"]
    verdicts = dict(zip(students["round"], students.verdict, strict=True))
    axis.set_xticks(range(len(numbers)), [f"R{number}\n{verdicts.get(number, '')}" for number in numbers])
    for tick, number in zip(axis.get_xticklabels(), numbers, strict=True):
        tick.set_color(_VERDICTS.get(verdicts.get(number, ""), "black"))
    axis.tick_params(axis="x", length=0)
    axis.set_xlim(-0.6, len(numbers) - 0.4)
    axis.margins(y=0.18)
    axis.set_ylabel("gain in macro ROC-AUC", fontsize=9)
    axis.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    return close_figure(figure, tight=True)


def show_label_gate(table: pd.DataFrame) -> Figure | Html:
    """The figure of each class's crops that passed, or a sentence where all classes have as many."""
    first = table.iloc[0]
    if len(table[["gate", "passed"]].drop_duplicates()) > 1:
        return label_gate_figure(table)
    return Html(f"<p>All {len(table)} classes alike: {first.gate}, {first.passed} crops of each passed.</p>")


def label_gate_figure(table: pd.DataFrame) -> Figure:
    """Each class's crops that passed, most first, in as many columns as all classes need; then the empty gates.

    `table` is the result of `lib.learn.soft_labels.gate.gate_table`.
    """
    ordered = table.assign(state=table.gate.map(list(_STATES).index)).sort_values(
        ["passed", "state"], kind="stable", ascending=[False, True]
    )
    rows = ordered.reset_index(drop=True)
    columns = -(-len(rows) // _ROWS_A_COLUMN)
    deep = -(-len(rows) // columns)
    size = max(6.5, 3.1 * columns), max(2.0, 0.15 * deep + 1.1)
    figure, axes = plt.subplots(1, columns, figsize=size, sharex=True, squeeze=False)
    row: Any
    for number, axis in enumerate(axes[0]):
        part = rows[number * deep : (number + 1) * deep]
        places = -np.arange(len(part))
        axis.barh(places, part.passed, color=part.taxon.map(TAXON_COLOURS).fillna(_GREY), height=0.75)
        for place, row in zip(places, part.itertuples(), strict=True):
            axis.annotate(
                f"{row.passed}" if row.gate == "open" else row.gate,
                (row.passed, place),
                xytext=(2, 0),
                textcoords="offset points",
                va="center",
                fontsize=6,
                color=_STATES[row.gate],
                annotation_clip=False,
            )
        axis.set_yticks(places, part.primary_label, fontsize=6)
        for tick, state in zip(axis.get_yticklabels(), part.gate, strict=True):
            tick.set_color(_STATES[state])
        axis.set_ylim(0.6 - deep, 0.6)
        axis.set_xscale("symlog", linthresh=1)
        axis.set_xlim(0, 5 * max(rows.passed.max(), 3))
        axis.xaxis.set_major_formatter(lambda count, _: f"{count:g}" if count < 1000 else f"{count / 1000:g}k")
        axis.tick_params(labelsize=6, length=2)
        axis.set_xlabel("crops that passed", fontsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    present = [taxon for taxon in TAXON_COLOURS if taxon in set(rows.taxon)]
    bars = [plt.Rectangle((0, 0), 1, 1, color=TAXON_COLOURS[taxon]) for taxon in present]
    figure.legend(bars, present, ncols=len(present), fontsize=7, frameon=False, loc="upper right")
    counts = rows.gate.value_counts()
    states = ", ".join(f"{counts.get(state, 0)} {state}" for state in _STATES)
    figure.suptitle(f"{len(rows)} classes: {states}", fontsize=9, x=0.01, ha="left")
    return close_figure(figure, tight=True)


def review_label_gate(
    prepared: Prepared,
    stems: Sequence[str],
    probabilities: np.ndarray,
    gated: GatedLabels,
    sound: Callable[[str], np.ndarray],
) -> Html:
    """A card for each of the rarest pseudo-labelled classes: the likeliest windows that passed, and those just below.

    `probabilities` (stems, 12, classes) were gated window by window; `sound` gives a soundscape's audio by its stem.
    Of a soundscape one window is taken on each side, so that neighbours do not fill a card.
    """
    passed_gate = np.zeros((len(stems) * WINDOWS_PER_SOUNDSCAPE, len(prepared.classes)), dtype=bool)
    passed_gate[gated.kept] = gated.passed_gate
    clips = prepared.clips.primary_label.value_counts().reindex(prepared.classes.labels, fill_value=0).to_numpy()
    windows = prepared.labels.values.sum(axis=0)
    used = np.flatnonzero(gated.weights.any(axis=0))
    rarest = used[np.argsort((clips + windows)[used], kind="stable")][:_CLASSES_REVIEWED]
    cards = []
    for column in rarest:
        of_class, passed = probabilities[:, :, column].ravel(), passed_gate[:, column]
        sounds = {}
        for side, which in (("passed", passed), ("just below", ~passed)):
            for place in _likeliest(of_class, which):
                stem, window = stems[place // WINDOWS_PER_SOUNDSCAPE], place % WINDOWS_PER_SOUNDSCAPE
                name = f"{side}, {of_class[place]:.3f}: {stem}, {window * WINDOW_S}–{(window + 1) * WINDOW_S} s"
                sounds[name] = soundscape_windows(sound(stem))[window]
        lowest = f", none below {of_class[passed].min():.3f}" if passed.any() else ""
        known = f"labelled windows: {windows[column]}, clips: {clips[column]}"
        reason = f"{known}; windows that passed: {passed.sum()}{lowest}"
        cards.append(ReviewCard(prepared.classes.labels[column], reason, sounds))
    return gallery(cards)


def kept_by_subgroup(table: pd.DataFrame) -> Figure:
    """Scores of teacher and student by subgroup, a line between them, and the share of the gain that is kept.

    `table` is the result of `lib.pseudo.student_gain.kept_table`. Subgroups without a score are left out.
    """
    rows = table[table[["floor", "teacher", "student"]].notna().all(axis=1)]
    texts: list[str] = []
    headings: list[int] = []
    places: list[int] = []
    row: Any
    for grouping, group in rows.groupby("grouping", sort=False):
        if len(group) > 1:
            headings.append(len(texts))
            texts.append(str(grouping))
        for row in group.itertuples():
            places.append(-len(texts))
            name = row.subgroup if len(group) > 1 else f"{grouping}, {row.subgroup}"
            texts.append(f"{name} ({row.windows} windows, {row.classes} classes)")
    figure, axis = plt.subplots(figsize=(8.5, 0.24 * len(texts) + 1.2))
    axis.hlines(places, rows.student, rows.teacher, color="#bbb", linewidth=2, zorder=1)
    axis.plot(rows.floor, places, "|", color=_GREY, markersize=9, label="floor")
    axis.plot(rows.teacher, places, "o", color=_ORANGE, label="teacher")
    axis.plot(rows.student, places, "o", color=_BLUE, markersize=5, label="student")
    for place, kept in zip(places, rows.kept, strict=True):
        axis.annotate(
            kept_in_words(kept),
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7,
            color=_GREY if np.isnan(kept) else "black",
        )
    axis.set_yticks(-np.arange(len(texts)), texts, fontsize=8)
    for heading in headings:
        axis.get_yticklabels()[heading].set_fontweight("bold")
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(0.6 - len(texts), 0.6)
    axis.grid(axis="x", alpha=0.3)
    axis.set_xlabel("macro ROC-AUC", fontsize=9)
    axis.legend(fontsize=8, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return close_figure(figure, tight=True)


def cost_and_score(rows: pd.DataFrame) -> Figure:
    """Score against seconds per soundscape, with intervals: columns name, seconds, score, low, high."""
    figure, axis = plt.subplots(figsize=(8, 4.0))
    reach = [rows.score - rows.low, rows.high - rows.score]
    axis.errorbar(rows.seconds, rows.score, yerr=reach, fmt="o", color=_BLUE, ecolor="#9bbccf", capsize=2, linewidth=1)
    axis.set_xscale("log")
    axis.margins(x=0.2, y=0.1)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.grid(alpha=0.3)
    axis.set_xlabel("seconds per soundscape", fontsize=9)
    axis.set_ylabel("macro ROC-AUC", fontsize=9)
    figure.tight_layout()  # before the labels: they are placed by what stands where
    _write_names(axis, rows)
    return close_figure(figure)


def _write_names(axis: Axes, rows: pd.DataFrame) -> None:
    """Write each point's name beside it or at an end of its interval, at the first free place."""
    row: Any
    taken = [_box(axis, *point) for point in zip(rows.seconds, rows.low, rows.high, strict=True)]
    for row in rows.itertuples():
        beside = [(row.score, x, y) for y in (5, -5) for x in (7, -7)]
        beyond = [(end, 0, sign * steps) for steps in (7, 17, 27) for end, sign in ((row.high, 1), (row.low, -1))]
        for at, x, y in [*beside, *beyond]:
            side = {7: "left", -7: "right", 0: "center"}[x]
            name = axis.annotate(
                row.name, (row.seconds, at), xytext=(x, y), textcoords="offset points", ha=side, va="center", fontsize=8
            )
            box = name.get_window_extent()
            if box.count_overlaps(taken) == 0 and axis.bbox.containsx(box.x0) and axis.bbox.containsx(box.x1):
                break
            name.remove()
        else:
            axis.add_artist(name)
        taken.append(box)


def _box(axis: Axes, seconds: float, low: float, high: float) -> Bbox:
    """The box that a point and its interval cover in the figure."""
    (x, bottom), (_, top) = axis.transData.transform([(seconds, low), (seconds, high)])
    return Bbox.from_extents(x - 4, bottom, x + 4, top)


def _likeliest(probability: np.ndarray, which: np.ndarray) -> list[int]:
    """The likeliest of these windows, at most one of a soundscape."""
    chosen: dict[int, int] = {}
    for place in np.argsort(-probability, kind="stable"):
        if which[place] and len(chosen) < _EACH_SIDE:
            chosen.setdefault(place // WINDOWS_PER_SOUNDSCAPE, int(place))
    return list(chosen.values())
