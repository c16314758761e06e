"""Figures of the stability study: families of folds, replay against full validation, and the simulated board."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.judge.bootstrap import LEVEL
from lib.judge.studies.leaderboard import SimulatedBoard
from lib.judge.studies.replay import ReplaySettings
from lib.show.plots import close_figure

ROBUST, FRAGILE = "#2a6f97", "#c1121f"


def family_figure(
    out_of_fold: dict[str, dict[str, float]], truth: dict[str, float], fragile: set[str], where: str
) -> Figure:
    """One panel a family: each idea's out-of-fold score against its true one; on the line they agree."""
    columns = min(3, len(out_of_fold))
    rows = -(-len(out_of_fold) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(10, 3.2 * rows), sharex=True, sharey=True, squeeze=False)
    values = [*truth.values(), *(score for scores in out_of_fold.values() for score in scores.values())]
    ends = [min(values) - 0.02, max(values) + 0.02]
    for axis, (family, scores) in zip(axes.flat, out_of_fold.items(), strict=False):
        axis.plot(ends, ends, color="#888", linewidth=1)
        _ideas(axis, truth, scores, fragile)
        axis.set_title(family, fontsize=9)
    for axis in axes.flat[len(out_of_fold) :]:
        axis.set_visible(False)
    axes[0, 0].legend(fontsize=8, frameon=False)
    figure.supxlabel(f"score on {where}", fontsize=9)
    figure.supylabel("out-of-fold score", fontsize=9)
    return close_figure(figure, tight=True)


def replay_figure(
    replayed: dict[str, float], full: dict[str, float], baseline: str, fragile: set[str], settings: ReplaySettings
) -> Figure:
    """Replay score against full validation, with the lines below which an idea is parked and killed."""
    figure, axis = plt.subplots(figsize=(6, 3.6))
    _ideas(axis, full, replayed, fragile)
    _thresholds(axis, replayed[baseline], settings)
    axis.axvline(full[baseline], color="#888", linewidth=1, linestyle=":")
    axis.set_xlabel("full validation")
    axis.set_ylabel("replay")
    axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return close_figure(figure)


def _thresholds(axis, baseline: float, settings: ReplaySettings) -> None:
    for gain, what, colour in (
        (settings.promote, "promoted above", "#52b788"),
        (settings.kill, "killed below", "#888"),
    ):
        axis.axhline(baseline + gain, color=colour, linewidth=1, label=what)


def _ideas(axis, x: dict[str, float], y: dict[str, float], fragile: set[str]) -> None:
    """A dot an idea, coloured by its kind."""
    for label, colour, chosen in (
        ("robust", ROBUST, [name for name in x if name not in fragile]),
        ("fragile", FRAGILE, [name for name in x if name in fragile]),
    ):
        axis.scatter([x[name] for name in chosen], [y[name] for name in chosen], s=20, color=colour, label=label)


def regret_of_rules(table: pd.DataFrame) -> Figure:
    """Each rule's mean regret and its 90 % quantile."""
    figure, axis = plt.subplots(figsize=(8, 0.45 * len(table) + 1.0))
    places = np.arange(len(table))[::-1]
    axis.barh(places, table["at worst, 9 in 10"], color="#dbe7e4", label=f"{LEVEL:.0%} of partitions stay below")
    axis.plot(table["mean regret"], places, "o", color=ROBUST, label="mean")
    axis.set_yticks(places, table["rule"])
    axis.set_xlabel("below the private best, macro ROC-AUC")
    axis.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return close_figure(figure, tight=True)


def leader_private_ranks(board: SimulatedBoard) -> Figure:
    """The share of partitions in which the public leader ends at each private place."""
    leader = board.public.argmax(axis=1)
    theirs = board.private[np.arange(len(leader)), leader]
    places = 1 + (board.private > theirs[:, None]).sum(axis=1)
    figure, axis = plt.subplots(figsize=(8, 2.6))
    shares = np.bincount(places, minlength=len(board.entries) + 1)[1:] / len(places)
    axis.bar(np.arange(1, len(board.entries) + 1), shares, color=ROBUST)
    axis.set_xlabel(f"private place of the public leader, of {len(board.entries)} entries")
    axis.set_ylabel("share of partitions")
    return close_figure(figure)
