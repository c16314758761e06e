"""Figures of a sweep: the gain of each value of a parameter, and every run as a line through its parameters."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from lib.judge.effects import UNSET, Effect, value_name
from lib.show.dashboard import short_name

_LOPSIDED = 0.2  # of lowest and highest together: numbers whose median lies below are placed by magnitude
_SPREAD = 0.06  # of an axis: the spread of runs of one value, so that they can be counted
_MOST_TICKS = 6
_BEST = 3  # runs drawn strongest
_LABEL = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
_COLOURS = {"better": "#2d6a4f", "worse": "#c1121f", "unclear": "#6c757d"}


def effect_dots(found: Sequence[Effect]) -> Figure:
    """Each value's gain over the reference value: thick its own interval, thin the one adjusted for all."""
    figure = Figure(figsize=(9, 0.34 * len(found) + 1.3))
    axis = figure.subplots()
    places = np.arange(len(found))[::-1]
    for place, effect in zip(places, found, strict=True):
        gain = effect.gain
        if gain is None:
            axis.plot(0, place, marker="|", color="#1d2b2a", markersize=10)
            continue
        colour = _COLOURS["better" if gain.better else "worse" if gain.worse else "unclear"]
        for span, width in ((gain.adjusted, 1.0), (gain.interval, 3.2)):
            if span is not None:
                axis.hlines(place, span.low, span.high, color=colour, linewidth=width)
        axis.plot(gain.gain, place, "o", color=colour, markersize=5)
    for n in range(1, len(found)):
        if found[n].parameter != found[n - 1].parameter:
            axis.axhline(places[n] + 0.5, color="#d8e2dc", linewidth=0.8)
    axis.axvline(0, color="#888", linewidth=1)
    axis.set_yticks(
        places, [f"{short_name(effect.parameter)} = {short_name(effect.value)}" for effect in found], fontsize=9
    )
    axis.set_ylim(-0.7, len(found) - 0.3)
    axis.set_xlabel("gain in macro ROC-AUC over the parameter's reference value (|)")
    return figure


def parallel_coordinates(settings: pd.DataFrame, scores: np.ndarray) -> Figure:
    """Every run as a line from axis to axis, one for each column of `settings`, to its score, which colours it."""
    names = [*settings.columns, "score"]
    figure = Figure(figsize=(max(9.0, 1.6 * len(names) + 1.5), 5.0))
    axis = figure.subplots()
    order = np.argsort(scores, kind="stable")
    heights = []
    for n, name in enumerate(names):
        values = list(scores) if name == "score" else settings[name].tolist()
        height, ticks = _axis_places(values, np.argsort(order), apart=name != "score")
        heights.append(height)
        axis.axvline(n, color="#1d2b2a", linewidth=1, zorder=2.5)
        for tick, text in ticks:
            axis.annotate(
                short_name(text),
                (n, tick),
                xytext=(4, 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
                zorder=4,
                bbox=_LABEL,
            )
    norm, colours = Normalize(scores.min(), max(scores.max(), scores.min() + 1e-9)), colormaps["viridis_r"]
    faint = 0.85 if len(scores) <= 40 else 0.4
    for rank, run in enumerate(order):
        best = rank >= len(order) - _BEST
        axis.plot(
            range(len(names)),
            [height[run] for height in heights],
            color=colours(norm(scores[run])),
            alpha=1.0 if best else faint,
            linewidth=2.4 if best else 1.1,
            zorder=3 if best else 2,
        )
    axis.set_xticks(range(len(names)), [short_name(name) for name in names], fontsize=9)
    axis.set_xlim(-0.1, len(names) - 0.6)
    axis.set_ylim(-0.07, 1.07)
    axis.set_yticks([])
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    figure.colorbar(ScalarMappable(norm, colours), ax=axis, label="macro ROC-AUC", pad=0.02)
    return figure


def _axis_places(values: list, rank: np.ndarray, apart: bool) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """(runs,) heights from 0 to 1 on one axis, and its ticks; runs of one value lie apart, the better the higher."""
    if all(type(value) in (int, float) or isinstance(value, np.number) for value in values):
        height, ticks = _numbers(np.array(values, float))
    else:
        height, ticks = _choices(values)
    if apart:
        height = height + _SPREAD * (2 * rank / max(len(rank) - 1, 1) - 1) * _shared_heights(height)
    return height, ticks


def _numbers(values: np.ndarray) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Numbers by their size, or by their magnitude where most lie far down."""
    low, high = values.min(), values.max()
    if low == high:
        return np.full(len(values), 0.5), [(0.5, f"{low:.3g}")]
    by_magnitude = low > 0 and np.median(values) < _LOPSIDED * (low + high)
    scaled = np.log(values) if by_magnitude else values
    height = (scaled - scaled.min()) / np.ptp(scaled)
    distinct = np.unique(values)
    if len(distinct) > _MOST_TICKS:
        distinct = (np.geomspace if by_magnitude else np.linspace)(low, high, _MOST_TICKS - 1)
    at = ((np.log(distinct) if by_magnitude else distinct) - scaled.min()) / np.ptp(scaled)
    return height, [(float(tick), f"{value:.3g}") for tick, value in zip(at, distinct, strict=True)]


def _choices(values: list) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Choices at equal distances: numbers among them by size, then the others as they first come."""
    keys = list(dict.fromkeys(values))
    keys.sort(key=lambda value: (not isinstance(value, int | float), value if isinstance(value, int | float) else 0))
    at = {key: place for key, place in zip(keys, np.linspace(0, 1, len(keys)), strict=True)}
    return np.array([at[value] for value in values]), [
        (float(place), "not set" if key == UNSET else value_name(key)) for key, place in at.items()
    ]


def _shared_heights(height: np.ndarray) -> np.ndarray:
    """(runs,) 1 where another run has the same height, else 0."""
    _, which, count = np.unique(height, return_inverse=True, return_counts=True)
    return (count[which] > 1).astype(float)
