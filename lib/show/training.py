"""Figures of training: learning curves, frame probabilities over a soundscape, augmented spectrograms."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.competition.row_ids import SOUNDSCAPE_S, WINDOW_S

_FOLD_COLOURS = ("#2a6f97", "#52b788", "#e9a03b", "#9d4edd", "#c1121f", "#577590", "#90a955")


def learning_curves(history: pd.DataFrame, measures: Mapping[str, str]) -> Figure:
    """A panel a measure (column -> its title), a line a fold, over epochs; `history` has columns fold and epoch too."""
    figure, axes = plt.subplots(1, len(measures), figsize=(3.6 * len(measures), 2.8), squeeze=False)
    for axis, (column, title) in zip(axes[0], measures.items(), strict=True):
        for place, (fold, rows) in enumerate(history.groupby("fold", sort=True)):
            colour = _FOLD_COLOURS[place % len(_FOLD_COLOURS)]
            axis.plot(rows.epoch, rows[column], marker=".", color=colour, label=f"fold {fold}")
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("epoch", fontsize=8)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=7, frameon=False)
    figure.tight_layout()
    plt.close(figure)
    return figure


def attention_over_time(
    spectrogram: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    labelled: Mapping[int, Sequence[str]],
    most: int = 10,
) -> Figure:
    """A soundscape's (mels, frames) spectrogram above its `most` likeliest classes' (classes, frames) probabilities.

    `labelled` names the labels of each window by its end second; a window with a label is framed in its class's row.
    """
    named = sorted({label for labels in labelled.values() for label in labels})
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    rows = [*(classes.index(label) for label in named), *(n for n in order if classes[n] not in named)][
        : max(most, len(named))
    ]
    figure, axes = plt.subplots(
        2, 1, figsize=(11, 2.2 + 0.24 * len(rows)), sharex=True, gridspec_kw={"height_ratios": [2, 0.28 * len(rows)]}
    )
    extent = (0, SOUNDSCAPE_S)
    axes[0].imshow(spectrogram, origin="lower", aspect="auto", cmap="magma", extent=(*extent, 0, 1))
    axes[0].set_yticks([])
    drawn = axes[1].imshow(probabilities[rows], aspect="auto", cmap="viridis", vmin=0, extent=(*extent, len(rows), 0))
    for end_s, labels in labelled.items():
        for label in labels:
            corner = (end_s - WINDOW_S, rows.index(classes.index(label)))
            axes[1].add_patch(plt.Rectangle(corner, WINDOW_S, 1, fill=False, edgecolor="#ff5c5c", linewidth=1.2))
    axes[1].set_yticks(np.arange(len(rows)) + 0.5, [classes[n] for n in rows], fontsize=7)
    axes[1].set_xticks(range(0, SOUNDSCAPE_S + 1, WINDOW_S))
    axes[1].set_xlabel("seconds; framed: windows in which experts heard the class", fontsize=8)
    figure.tight_layout()
    figure.colorbar(drawn, ax=axes, fraction=0.015, pad=0.01).set_label("probability of a frame", fontsize=7)
    plt.close(figure)
    return figure


def spectrogram_row(spectrograms: Mapping[str, np.ndarray]) -> Figure:
    """The (mels, frames) spectrograms side by side on one scale, each under its name."""
    figure, axes = plt.subplots(1, len(spectrograms), figsize=(3.6 * len(spectrograms), 2.0), squeeze=False)
    low, high = (end([end(spectrogram) for spectrogram in spectrograms.values()]) for end in (np.min, np.max))
    for axis, (name, spectrogram) in zip(axes[0], spectrograms.items(), strict=True):
        axis.imshow(spectrogram, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high)
        axis.set_title(name, fontsize=9)
        axis.set_axis_off()
    figure.tight_layout()
    plt.close(figure)
    return figure
