"""Figures of frozen embedders: accuracy of blocks, maps of species, coverage of labels, and costs."""

import importlib.util
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.core.errors import BadInput, shorten
from lib.learn.block_probe.probe import BlockReport, standardise
from lib.models.embedder.card import BLOCK
from lib.show.plots import close_figure

_BEST, _RIVAL, _OTHER, _GREY = "#e9a03b", "#f3d19e", "#2a6f97", "#888"
_SPECIES_COLOURS = tuple(f"C{n}" for n in range(10))
_MAPPED = {"name": "#2a6f97", "synonym": "#52b788", "genus": "#e9a03b", "flat": "#dddddd"}
_PANELS_A_ROW = 6


def block_bars(report: BlockReport, learned: Mapping[str, float] | None = None) -> Figure:
    """Each block's accuracy with its interval; the best and those not significantly worse in colour, chance as a line.

    Below it, where given, the share of each block that a head learned to take.
    """
    rows = report.blocks
    if unknown := set(learned or ()) - set(rows.block):
        raise BadInput(
            "a head learned shares of blocks that were not probed",
            expected=shorten(rows.block, 30),
            got=shorten(sorted(unknown)),
            do="probe the head's blocks, under the same names",
        )
    places = np.arange(len(rows))
    panels = 1 if learned is None else 2
    figure, axes = plt.subplots(
        panels,
        1,
        figsize=(max(6.0, 0.38 * len(rows) + 1.5), 3.2 + 1.4 * (panels - 1)),
        sharex=True,
        squeeze=False,
        gridspec_kw={"height_ratios": [2, 1][:panels]},
    )
    colours = [_BEST if name == report.best else _RIVAL if name in report.rivals else _OTHER for name in rows.block]
    reach = [rows.accuracy - rows.low, rows.high - rows.accuracy]
    axes[0, 0].bar(places, rows.accuracy, yerr=reach, color=colours, ecolor="#444", capsize=2, error_kw={"lw": 1})
    axes[0, 0].axhline(report.chance, color=_GREY, linewidth=1)
    axes[0, 0].set_ylabel("nearest clips agree", fontsize=9)
    axes[0, 0].set_ylim(0, 1)
    kinds = {"best": _BEST, "not significantly worse": _RIVAL, "behind": _OTHER}
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in kinds.values() if colour in colours]
    names = [kind for kind, colour in kinds.items() if colour in colours]
    chance = plt.Line2D([], [], color=_GREY, linewidth=1)
    axes[0, 0].legend(
        [*handles, chance],
        [*names, "chance"],
        ncols=4,
        fontsize=8,
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(0, 1),
    )
    if learned is not None:
        _shares(axes[1, 0], rows.block, learned)
    axes[-1, 0].set_xticks(places, rows.block.str.removeprefix(BLOCK), rotation=60, ha="right", fontsize=8)
    return close_figure(figure, tight=True)


def trajectories(maps: Mapping[str, np.ndarray], how: str, species: np.ndarray) -> Figure:
    """A small panel a block with its (clips, 2) places; a dot is the median of a species of many clips.

    From the dot a line leads back to the species' median in the block before.
    """
    names, counts = np.unique(species, return_counts=True)
    shown = names[np.argsort(-counts, kind="stable")][: len(_SPECIES_COLOURS)]
    lines = -(-len(maps) // _PANELS_A_ROW)
    columns = min(len(maps), _PANELS_A_ROW)
    figure, axes = plt.subplots(
        lines, columns, figsize=(2.1 * columns, 2.3 * lines + 0.5), sharex=True, sharey=True, squeeze=False
    )
    before: dict[str, np.ndarray] = {}
    for axis, (block, places) in zip(axes.flat, maps.items(), strict=False):
        axis.scatter(*places[~np.isin(species, shown)].T, s=4, color="#ccc")
        for name, colour in zip(shown, _SPECIES_COLOURS, strict=False):
            own = places[species == name]
            middle = np.median(own, axis=0)
            axis.scatter(*own.T, s=6, color=colour, alpha=0.6, linewidths=0)
            axis.plot(*np.stack([before.get(name, middle), middle]).T, color=colour, linewidth=1.2)
            axis.plot(*middle, "o", color=colour, markersize=6, markeredgecolor="white", label=name)
            before[name] = middle
        axis.set_title(block.removeprefix(BLOCK), fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_color("#ccc")
    for axis in axes.flat[len(maps) :]:
        axis.set_visible(False)
    figure.tight_layout(rect=(0, 0.42 / figure.get_figheight(), 1, 1))
    handles, texts = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        texts,
        ncols=min(len(texts), 10),
        fontsize=7,
        frameon=False,
        loc="lower center",
        title=f"{how}, each block rotated onto the one before",
        title_fontsize=8,
    )
    return close_figure(figure)


def coverage_bars(table: pd.DataFrame) -> Figure:
    """The shares of each taxon's classes with a label by name, by synonym, by genus, and without any.

    Columns taxon, classes, name, synonym, genus, flat, as `lib.models.embedder.labels.label_coverage` gives them.
    """
    figure, axis = plt.subplots(figsize=(8, 0.42 * len(table) + 1.0))
    places = np.arange(len(table))[::-1]
    left = np.zeros(len(table))
    for method, colour in _MAPPED.items():
        share = (table[method] / table.classes).to_numpy()
        axis.barh(places, share, left=left, color=colour, label=method)
        for place, start, part, count in zip(places, left, share, table[method], strict=True):
            if part > 0.03:
                ink = "#333" if method == "flat" else "white"
                axis.text(start + part / 2, place, str(count), ha="center", va="center", fontsize=8, color=ink)
        left = left + share
    axis.set_yticks(places, [f"{row.taxon}, {row.classes}" for row in table.itertuples()])
    axis.set_xlim(0, 1)
    axis.set_xticks([])
    axis.spines[:].set_visible(False)
    axis.legend(ncols=len(_MAPPED), fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    return close_figure(figure, tight=True)


def cost_bars(embedder: str, milliseconds: Mapping[str, float]) -> Figure:
    """The cost of a soundscape for each model: milliseconds on a log axis, and per cent of the embedder."""
    whole = milliseconds[embedder]
    figure, axis = plt.subplots(figsize=(8, 0.36 * len(milliseconds) + 0.9))
    places = np.arange(len(milliseconds))[::-1]
    colours = [_BEST if name == embedder else _OTHER for name in milliseconds]
    axis.barh(places, list(milliseconds.values()), color=colours)
    for place, (name, cost) in zip(places, milliseconds.items(), strict=True):
        share = "" if name == embedder else f", {100 * cost / whole:.2g} % of {embedder}"
        axis.text(cost, place, f" {cost:.3g} ms{share}", va="center", fontsize=8)
    axis.set_xscale("log")
    axis.set_xlim(min(milliseconds.values()) / 3, max(milliseconds.values()) * 10)
    axis.set_yticks(places, list(milliseconds))
    axis.set_xlabel("milliseconds a soundscape", fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    return close_figure(figure, tight=True)


def _shares(axis, blocks: pd.Series, learned: Mapping[str, float]) -> None:
    """The learned shares under their blocks; a block that the head was not given has none."""
    axis.bar(np.arange(len(blocks)), [learned.get(name, 0.0) for name in blocks], color="#52b788")
    axis.set_ylabel("learned share", fontsize=9)


_COMPONENTS = 50  # principal components of wide blocks that UMAP gets: the rest is noise to it, and slow


def project_blocks(vectors: Mapping[str, np.ndarray], how: str, *, seed: int) -> dict[str, np.ndarray]:
    """Each block's (clips, 2) projection by UMAP or PCA, rotated onto the one before."""
    if how not in ("UMAP", "PCA") or (how == "UMAP" and not importlib.util.find_spec("umap")):
        raise BadInput(
            "the projection of blocks is unknown or not installed",
            expected="PCA, or UMAP where umap-learn is installed",
            got=how,
            do="set it to PCA, or install requirements-umap.txt",
        )
    maps: dict[str, np.ndarray] = {}
    before = None
    for name, block in vectors.items():
        standard = standardise(block)
        places = _round(_umap(standard, seed) if how == "UMAP" else principal_components(standard, 2))
        before = maps[name] = places if before is None else rotate_onto(places, before)
    return maps


def principal_components(standard: np.ndarray, count: int) -> np.ndarray:
    """(clips, count) the coordinates along which centred (clips, channels) vectors spread most."""
    left, sizes, _ = np.linalg.svd(standard, full_matrices=False)
    places = (left * sizes)[:, :count]
    return np.pad(places, ((0, 0), (0, count - places.shape[1])))


def rotate_onto(places: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """(clips, 2) the places rotated, or mirrored, to lie as near to `onto` as they can; distances stay."""
    left, _, right = np.linalg.svd(places.T @ onto)
    return places @ (left @ right)


def _umap(standard: np.ndarray, seed: int) -> np.ndarray:
    import umap  # optional, and seconds to import

    reducer = umap.UMAP(n_neighbors=min(15, len(standard) - 1), metric="cosine", random_state=seed, n_jobs=1)
    return reducer.fit_transform(principal_components(standard, min(_COMPONENTS, *standard.shape)))


def _round(places: np.ndarray) -> np.ndarray:
    """The places about their middle, at a mean distance of one, so that blocks share one scale."""
    centred = np.asarray(places, dtype=np.float64) - places.mean(axis=0)
    return centred / max(np.linalg.norm(centred, axis=1).mean(), 1e-12)
