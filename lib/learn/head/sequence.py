"""Fit S2's heads on windows of clips, with a share of labelled soundscapes in every batch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from lib.learn.head.base import FittedNetwork
from lib.learn.head.data import VALIDATION_FOLDS, HeadData, validation_mask
from lib.learn.head.loop import HeadLoopSettings, fit_with_early_stopping, reproducible
from lib.learn.network.losses import make_loss
from lib.learn.network.settings import LossSettings
from lib.models.head.sequence import S2_BLOCKS, ScalarMix, SequenceHead, SequenceNetwork

_Network = TypeVar("_Network", SequenceHead, ScalarMix)


@dataclass(frozen=True)
class SequenceHeadSettings:
    """S2's recipe; `inputs` may be any embeddings."""

    inputs: tuple[str, ...] = S2_BLOCKS
    batch: int = 256
    soundscape_share: float = 0.2  # of a batch (S2: .816 on the leaderboard without, .862 with it and attention)
    network: SequenceNetwork = field(default_factory=SequenceNetwork)
    loop: HeadLoopSettings = field(default_factory=lambda: HeadLoopSettings(epochs=20, patience=5))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Windows with their labels and the weights of these, those of soundscapes first."""

    embeddings: dict[str, Tensor]
    truth: Tensor
    cells: Tensor
    soundscapes: int

    def __getitem__(self, rows: Tensor | slice) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Embeddings, truth and weights of some rows."""
        return {name: values[rows] for name, values in self.embeddings.items()}, self.truth[rows], self.cells[rows]


def fit_sequence_head(data: HeadData, settings: SequenceHeadSettings, *, seed: int) -> FittedNetwork:
    """Fit a head with attention over the embeddings of a window."""
    return FittedNetwork(_fit(SequenceHead, data, settings, seed))


def fit_scalar_mix(
    data: HeadData, settings: SequenceHeadSettings, *, seed: int
) -> tuple[dict[str, float], FittedNetwork]:
    """Fit a head on a weighted sum of embeddings; return the learnt weights by name, 1 in sum, and the head."""
    network = _fit(ScalarMix, data, settings, seed)
    return network.shares(), FittedNetwork(network)


def _fit(kind: type[_Network], data: HeadData, settings: SequenceHeadSettings, seed: int) -> _Network:
    """Fit a network of either kind."""
    held = validation_mask(data.sequences, VALIDATION_FOLDS, seed)
    every_clip = np.ones(len(data.clips.names), dtype=bool)
    rows = _rows(data.subset(~held, every_clip), settings.inputs)
    validation = _rows(data.subset(held, ~every_clip), settings.inputs)[:]
    loss = make_loss(LossSettings())
    counts = rows.soundscapes, len(rows.truth) - rows.soundscapes
    sizes = batch_sizes(*counts, settings)
    steps = max(math.ceil(count / size) for count, size in zip(counts, sizes, strict=True) if size)
    draw = torch.Generator().manual_seed(seed)
    with reproducible(seed):
        standards = {name: values.numpy() for name, values in rows.embeddings.items()}
        network = kind(settings.network, standards, rows.truth.shape[1])

        def losses() -> Iterator[Tensor]:
            for picked in batches(counts, sizes, steps, draw):
                embeddings, truth, cells = rows[picked]
                yield loss(network(embeddings), truth, cells)

        def validate() -> float:
            embeddings, truth, cells = validation
            return float(loss(network(embeddings), truth, cells))

        fit_with_early_stopping(network, losses, steps, settings.loop, validate if held.any() else None)
    return network


def batch_sizes(soundscapes: int, clips: int, settings: SequenceHeadSettings) -> tuple[int, int]:
    """Numbers of soundscape windows and of clip windows in a batch; all are of one kind where the other is missing."""
    if not soundscapes or not clips:
        return (settings.batch, 0) if soundscapes else (0, settings.batch)
    share = round(settings.soundscape_share * settings.batch)
    return share, settings.batch - share


def batches(counts: tuple[int, int], sizes: tuple[int, int], steps: int, draw: torch.Generator) -> Iterator[Tensor]:
    """Yield an epoch's batches (batch,) of row numbers, soundscapes first; no row repeats before all of its kind."""
    kinds = zip((0, counts[0]), counts, sizes, strict=True)
    orders = [first + _shuffle(count, size * steps, draw) for first, count, size in kinds if size]
    for step in range(steps):
        yield torch.cat([kind.view(steps, -1)[step] for kind in orders])


def _shuffle(count: int, length: int, draw: torch.Generator) -> Tensor:
    """(length,) numbers below `count`, shuffled anew for each pass over them."""
    rounds = math.ceil(length / count)
    return torch.cat([torch.randperm(count, generator=draw) for _ in range(rounds)])[:length]


def _rows(data: HeadData, names: tuple[str, ...]) -> _Rows:
    """The labelled windows and the clips as rows."""
    windows, clips = data.sequences, data.clips
    truth = np.concatenate([windows.truth[windows.known], clips.truth]).astype(np.float32)
    soundscapes = int(windows.known.sum())
    cells = np.concatenate([np.ones_like(truth[:soundscapes]), clips.cells])
    embeddings = {name: np.concatenate([windows.windows(name), clips.embeddings[name]]) for name in names}
    tensors = {name: torch.from_numpy(values) for name, values in embeddings.items()}
    return _Rows(tensors, torch.from_numpy(truth), torch.from_numpy(cells), soundscapes)
