"""Fit S2's heads on windows of clips, with a share of labelled soundscapes in every batch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lib.learn.head.base import FittedNetwork
from lib.learn.head.data import JUDGING_FOLDS, HeadData, held_out
from lib.learn.head.loop import HeadLoopSettings, fit_small, steady
from lib.learn.network.losses import LossSettings, make_loss
from lib.models.head.sequence import S2_BLOCKS, PerWindow, ScalarMix, SequenceHead, SequenceNetwork


@dataclass(frozen=True)
class SequenceHeadSettings:
    """S2's recipe; `inputs` may be any tokens."""

    inputs: tuple[str, ...] = S2_BLOCKS
    batch: int = 256
    soundscape_share: float = 0.2  # of a batch (S2: .816 on the leaderboard without, .862 with it and attention)
    network: SequenceNetwork = field(default_factory=SequenceNetwork)
    loop: HeadLoopSettings = field(default_factory=lambda: HeadLoopSettings(epochs=20, patience=5))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Windows with their truth and its weights, those of soundscapes first."""

    tokens: dict[str, Tensor]
    truth: Tensor
    cells: Tensor
    soundscapes: int

    def __getitem__(self, rows) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Tokens, truth and weights of some rows."""
        return {name: values[rows] for name, values in self.tokens.items()}, self.truth[rows], self.cells[rows]


def fit_sequence_head(lesson: HeadData, settings: SequenceHeadSettings, *, seed: int) -> FittedNetwork:
    """Attention over the tokens of a window, fitted."""
    return _fit(SequenceHead, lesson, settings, seed)


def fit_scalar_mix(
    lesson: HeadData, settings: SequenceHeadSettings, *, seed: int
) -> tuple[dict[str, float], FittedNetwork]:
    """The share of each token in the learnt mix, by name and 1 in sum, and the head that mixes them."""
    fitted = _fit(ScalarMix, lesson, settings, seed)
    return fitted.network.shares(), fitted


def _fit(kind: type[PerWindow], lesson: HeadData, settings: SequenceHeadSettings, seed: int) -> FittedNetwork:
    """Either head, fitted."""
    held = held_out(lesson.sequences, JUDGING_FOLDS, seed)
    every_clip = np.ones(len(lesson.clips.names), dtype=bool)
    rows = _rows(lesson.only(~held, every_clip), settings.inputs)
    judged = _rows(lesson.only(held, ~every_clip), settings.inputs)[:]
    loss = make_loss(LossSettings())
    counts = rows.soundscapes, len(rows.truth) - rows.soundscapes
    sizes = batch_sizes(*counts, settings)
    steps = max(math.ceil(count / size) for count, size in zip(counts, sizes, strict=True) if size)
    draw = torch.Generator().manual_seed(seed)
    with steady(seed):
        standards = {name: values.numpy() for name, values in rows.tokens.items()}
        network = kind(settings.network, standards, rows.truth.shape[1])

        def losses() -> Iterator[Tensor]:
            for picked in batches(counts, sizes, steps, draw):
                tokens, truth, cells = rows[picked]
                yield loss(network(tokens), truth, cells)

        def judge() -> float:
            tokens, truth, cells = judged
            return float(loss(network(tokens), truth, cells))

        fit_small(network, losses, steps, settings.loop, judge if held.any() else None)
    return FittedNetwork(network)


def batch_sizes(soundscapes: int, clips: int, settings: SequenceHeadSettings) -> tuple[int, int]:
    """How many windows of soundscapes, and of clips, a batch holds; all are of one kind where there is no other."""
    if not soundscapes or not clips:
        return (settings.batch, 0) if soundscapes else (0, settings.batch)
    share = round(settings.soundscape_share * settings.batch)
    return share, settings.batch - share


def batches(counts: tuple[int, int], sizes: tuple[int, int], steps: int, draw: torch.Generator) -> Iterator[Tensor]:
    """An epoch's batches (batch,) of row numbers, soundscapes first; none comes again before all had their turn."""
    kinds = zip((0, counts[0]), counts, sizes, strict=True)
    turns = [first + _turns(count, size * steps, draw) for first, count, size in kinds if size]
    for step in range(steps):
        yield torch.cat([kind.view(steps, -1)[step] for kind in turns])


def _turns(count: int, wanted: int, draw: torch.Generator) -> Tensor:
    """(wanted,) numbers below `count`, shuffled anew each time they are through."""
    rounds = math.ceil(wanted / count)
    return torch.cat([torch.randperm(count, generator=draw) for _ in range(rounds)])[:wanted]


def _rows(lesson: HeadData, names: tuple[str, ...]) -> _Rows:
    """The labelled windows and the clips of a lesson."""
    windows, clips = lesson.sequences, lesson.clips
    truth = np.concatenate([windows.truth[windows.known], clips.truth]).astype(np.float32)
    soundscapes = int(windows.known.sum())
    cells = np.concatenate([np.ones_like(truth[:soundscapes]), clips.cells])
    tokens = {name: np.concatenate([windows.windows(name), clips.tokens[name]]) for name in names}
    tensors = {name: torch.from_numpy(values) for name, values in tokens.items()}
    return _Rows(tensors, torch.from_numpy(truth), torch.from_numpy(cells), soundscapes)
