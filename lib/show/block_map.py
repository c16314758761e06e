"""Clips laid out flat as the blocks of a frozen network see them, each block turned onto the one before."""

import importlib.util
from collections.abc import Mapping

import numpy as np

from lib.core.errors import BadInput
from lib.learn.block_probe.probe import standardised

_COMPONENTS = 50  # what UMAP is given of wide blocks: the rest is noise to it, and slow


def flat_maps(vectors: Mapping[str, np.ndarray], how: str, *, seed: int) -> dict[str, np.ndarray]:
    """Each block's (clips, 2) places, by UMAP or by PCA."""
    if how not in ("UMAP", "PCA") or (how == "UMAP" and not importlib.util.find_spec("umap")):
        raise BadInput("blocks cannot be laid out flat so", expected="PCA, or UMAP where umap-learn is installed",
                       got=how, do="say PCA, or install requirements-sweeps.txt")  # fmt: skip
    maps: dict[str, np.ndarray] = {}
    before = None
    for name, block in vectors.items():
        standard = standardised(block)
        places = _round(_umap(standard, seed) if how == "UMAP" else principal(standard, 2))
        before = maps[name] = places if before is None else turned(places, before)
    return maps


def principal(standard: np.ndarray, count: int) -> np.ndarray:
    """(clips, count) the coordinates along which centred (clips, channels) vectors spread most."""
    left, sizes, _ = np.linalg.svd(standard, full_matrices=False)
    places = (left * sizes)[:, :count]
    return np.pad(places, ((0, 0), (0, count - places.shape[1])))


def turned(places: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """(clips, 2) the places rotated, or mirrored, to lie as near to `onto` as they can; distances stay."""
    left, _, right = np.linalg.svd(places.T @ onto)
    return places @ (left @ right)


def _umap(standard: np.ndarray, seed: int) -> np.ndarray:
    import umap  # optional, and seconds to import

    reducer = umap.UMAP(n_neighbors=min(15, len(standard) - 1), metric="cosine", random_state=seed, n_jobs=1)
    return reducer.fit_transform(principal(standard, min(_COMPONENTS, *standard.shape)))


def _round(places: np.ndarray) -> np.ndarray:
    """The places about their middle, at a mean distance of one, so that blocks share one scale."""
    centred = np.asarray(places, dtype=np.float64) - places.mean(axis=0)
    return centred / max(np.linalg.norm(centred, axis=1).mean(), 1e-12)
