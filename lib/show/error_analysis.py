"""Error analysis: recurring failure modes found by rule, each compared with the failure rate of the other cells.

A cell is a window and a class. A present cell is missed when half or more of its fold's windows without that class are
ranked above it: it then pulls the class's AUC towards or below one half.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.competition.row_ids import WINDOW_S, split_row_id
from lib.competition.scores import Labels, Scores
from lib.judge.subgroups import OVERLAP_LABELS, RARE_WINDOWS, UTC_OFFSET_H
from lib.show.audio import mel_position
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import mel_power
from lib.sound.mel.scaling import decibels

MISSED = 0.5
_FALSE_POSITIVES_SHOWN = 4
_CLASSES_SHOWN = 3
_FRONT_END = FrontEnd(n_fft=2048, hop_samples=512, n_mels=96, fmin_hz=50.0, fmax_hz=16000.0)


@dataclass(frozen=True, eq=False)
class FailureMode:
    """A failure mode: the cells exposed to it, those of them that failed, and the cells they are compared with."""

    name: str
    rule: str
    exposed: np.ndarray
    failed: np.ndarray
    others: np.ndarray
    others_failed: np.ndarray


def rank_losses(labels: Labels, scores: Scores) -> np.ndarray:
    """(rows, classes) each cell's part of 1 - AUC.

    Of a present cell, the share of its fold's windows without the class that are ranked above it; of another, the
    share of the fold's windows with the class ranked below it. Ties count half; NaN without a counterpart.
    """
    values, lost = scores.take(labels.row_ids).values, np.full(labels.values.shape, np.nan)
    for stratum in np.unique(labels.strata):
        rows = np.flatnonzero(labels.strata == stratum)
        for column in np.flatnonzero(labels.values[rows].any(axis=0) & ~labels.values[rows].all(axis=0)):
            mark, column_values = labels.values[rows, column], values[rows, column]
            present, absent = column_values[mark], column_values[~mark]
            lost[rows[mark], column] = 1 - _below(absent, present)
            lost[rows[~mark], column] = _below(present, absent)
    return lost


def signal_to_noise(windows: np.ndarray) -> np.ndarray:
    """(windows,) decibels from the median to the peaks (95 %) of the most variable eighth of mel bands."""
    level = decibels(mel_power(windows, _FRONT_END))
    rise = np.quantile(level, 0.95, axis=2) - np.median(level, axis=2)
    return np.sort(rise, axis=1)[:, -_FRONT_END.n_mels // 8 :].mean(axis=1)


def failure_modes(labels: Labels, scores: Scores, snr: Mapping[str, float]) -> list[FailureMode]:
    """The failure modes of these scores; `snr` gives each labelled window's signal-to-noise in dB."""
    truth, lost = labels.values, rank_losses(labels, scores)
    present = truth & np.isfinite(lost)
    missed = present & (np.nan_to_num(lost) >= MISSED)
    level = np.array([snr[row] for row in labels.row_ids])
    quiet = np.quantile(level, 0.25)
    conditions = {
        "rare-class miss": (
            f"the class is present in fewer than {RARE_WINDOWS} labelled windows",
            (truth.sum(axis=0) < RARE_WINDOWS)[None, :],
        ),
        "overlap confusion": (
            f"{OVERLAP_LABELS} or more classes share the window",
            (truth.sum(axis=1) >= OVERLAP_LABELS)[:, None],
        ),
        "noise": (f"the window is in the quarter with the lowest SNR, up to {quiet:.1f} dB", (level <= quiet)[:, None]),
        "site drift": ("the fold's model was not trained on the class at this site", _strange_sites(labels)),
    }
    modes = []
    for name, (rule, where) in conditions.items():
        exposed, others = present & where, present & ~where
        modes.append(FailureMode(name, rule, exposed, exposed & missed, others, others & missed))
    detections = _top_detections(labels, scores) & np.isfinite(lost)
    rule = "the cell is among its fold's highest scores of a class, as many as there are windows with it"
    known = np.isfinite(lost)
    return [
        *modes,
        FailureMode("over-confident false positive", rule, detections, detections & ~truth, known, known & ~truth),
    ]


def mode_table(modes: list[FailureMode], names: list[str]) -> pd.DataFrame:
    """One row a mode: exposed cells, failed ones, the rate, the rate of the cells compared with, classes hit most."""
    return pd.DataFrame(
        {
            "mode": mode.name,
            "exposed when": mode.rule,
            "cells": int(mode.exposed.sum()),
            "failed": int(mode.failed.sum()),
            "rate": _rate(mode.failed, mode.exposed),
            "rate elsewhere": _rate(mode.others_failed, mode.others),
            "most often": ", ".join(f"{names[c]} {n}" for c, n in _most(mode.failed.sum(axis=0))),
        }
        for mode in modes
    )


def worst_windows(mode: FailureMode, labels: Labels, lost: np.ndarray, count: int, shown: set[int]) -> list[int]:
    """The rows in which the mode costs most, at most one of a soundscape, without those shown before."""
    cost = np.where(mode.failed, np.nan_to_num(lost), 0.0).sum(axis=1)
    chosen: dict[str, int] = {}
    for row in np.argsort(-cost, kind="stable"):
        stem = split_row_id(labels.row_ids[row])[0].stem
        if cost[row] > 0 and stem not in chosen and row not in shown and len(chosen) < count:
            chosen[stem] = int(row)
    return list(chosen.values())


def window_figure(audio: np.ndarray, row: int, labels: Labels, scores: Scores, names: Mapping[str, str]) -> Figure:
    """A window's mel spectrogram; beside it its rank in the fold for present classes and top false positives."""
    figure = Figure(figsize=(11, 2.7))
    axis, bars = figure.subplots(1, 2, width_ratios=[1.5, 1])
    level = decibels(mel_power(audio[None], _FRONT_END))[0]
    level = level[:, : level.shape[1] // 2 * 2].reshape(len(level), -1, 2).mean(axis=2)  # half the bytes of the page
    across = {"extent": (0, WINDOW_S, 0, _FRONT_END.n_mels), "interpolation": "none"}
    axis.imshow(level, origin="lower", aspect="auto", cmap="magma", **across)
    marks = [500, 1000, 2000, 4000, 8000, 16000]
    axis.set_yticks(
        [mel_position(hertz, _FRONT_END) for hertz in marks], [f"{hertz / 1000:g} kHz" for hertz in marks], fontsize=7
    )
    axis.set_xlabel("seconds", fontsize=8)
    scene, end_s = split_row_id(labels.row_ids[row])
    local = f"{(scene.hour + UTC_OFFSET_H) % 24:02d}:{scene.time[2:4]} local"
    axis.set_title(f"{scene.stem}, second {end_s - WINDOW_S} to {end_s}, {scene.site}, {local}", fontsize=8)
    place = _places(labels, scores, row)
    present = np.flatnonzero(labels.values[row])
    false_positives = [column for column in np.argsort(-place, kind="stable") if not labels.values[row, column]]
    shown = [*present[np.argsort(-place[present], kind="stable")], *false_positives[:_FALSE_POSITIVES_SHOWN]]
    colours = ["#2d6a4f" if labels.values[row, column] else "#c1121f" for column in shown]
    bars.barh(range(len(shown))[::-1], place[shown], color=colours, height=0.7)
    bars.set_yticks(
        range(len(shown))[::-1], [names.get(labels.classes[c], labels.classes[c]) for c in shown], fontsize=7
    )
    bars.set_xlim(0, 1.02)
    bars.axvline(0.5, color="#888", linewidth=0.8)
    bars.set_title("share of its fold's windows without it ranked below: present green, absent red", fontsize=8)
    figure.tight_layout()
    return figure


def _below(sorted_by: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The share of `sorted_by` that lies below each value, equals counted half."""
    ordered = np.sort(sorted_by)
    return (ordered.searchsorted(values, "left") + ordered.searchsorted(values, "right")) / (2 * len(ordered))


def _strange_sites(labels: Labels) -> np.ndarray:
    """(rows, classes) True where no window of another fold has the class at the row's site."""
    sites = np.array([split_row_id(row)[0].site for row in labels.row_ids])
    strange = np.ones(labels.values.shape, dtype=bool)
    for site in np.unique(sites):
        for stratum in np.unique(labels.strata):
            known = labels.values[(sites == site) & (labels.strata != stratum)].any(axis=0)
            strange[(sites == site) & (labels.strata == stratum)] = ~known
    return strange


def _top_detections(labels: Labels, scores: Scores) -> np.ndarray:
    """(rows, classes) True for the highest values of a class in a fold, as many as it has positives there."""
    values, detections = scores.take(labels.row_ids).values, np.zeros(labels.values.shape, dtype=bool)
    for stratum in np.unique(labels.strata):
        rows = np.flatnonzero(labels.strata == stratum)
        for column in np.flatnonzero(labels.values[rows].any(axis=0)):
            order = np.argsort(-values[rows, column], kind="stable")
            detections[rows[order[: labels.values[rows, column].sum()]], column] = True
    return detections


def _places(labels: Labels, scores: Scores, row: int) -> np.ndarray:
    """(classes,) the share of the row's fold, of the other windows without the class, that is ranked below the row."""
    fold = np.flatnonzero(labels.strata == labels.strata[row])
    values = scores.take(labels.row_ids).values
    places = np.full(len(labels.classes), np.nan)
    for column in range(len(places)):
        without = fold[~labels.values[fold, column] & (fold != row)]
        if len(without):
            places[column] = _below(values[without, column], values[row, column][None])[0]
    return places


def _most(counts: np.ndarray) -> list[tuple[int, int]]:
    """The columns with the highest counts, and these."""
    order = np.argsort(-counts, kind="stable")[:_CLASSES_SHOWN]
    return [(int(column), int(counts[column])) for column in order if counts[column]]


def _rate(failed: np.ndarray, cells: np.ndarray) -> float:
    return float(failed.sum() / cells.sum()) if cells.any() else np.nan
