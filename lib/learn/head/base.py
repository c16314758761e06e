"""Heads on a frozen embedder: a kind with its settings, the data a fold's head trains on, the fitted fold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from lib.competition.folds import Folds
from lib.judge.leakage import Training
from lib.learn.head.data import HeadData, Sequences
from lib.models.export.head import HeadNetwork, export_head, export_mean, head_inputs
from lib.models.member.head import window_orders


class FittedHead(Protocol):
    """A head fitted on one data set with one seed."""

    def logits(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) logits."""

    def export(self, path: Path) -> None:
        """Write the graph: embeddings (files, 12, width), perhaps `site` and `hour` (files,), to `logit`."""


def select_outside_fold(data: HeadData, folds: Folds, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks (files,) and (clips,) of everything that the fold does not hold out."""
    soundscapes, clips = folds.of("soundscape"), folds.of("clip")
    return (
        np.array([soundscapes[stem] != fold for stem in data.sequences.stems], dtype=bool),
        np.array([clips[name] != fold for name in data.clips.names], dtype=bool),
    )


def select_none(data: HeadData, folds: Folds, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks of no soundscape and no clip, for heads that are not trained."""
    return np.zeros(len(data.sequences), dtype=bool), np.zeros(len(data.clips.names), dtype=bool)


def select_all(data: HeadData, folds: Folds, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks of every soundscape and every clip, what the fold holds out included: a leak, for comparison."""
    return np.ones(len(data.sequences), dtype=bool), np.ones(len(data.clips.names), dtype=bool)


@dataclass(frozen=True)
class Head:
    """A kind of head and its settings (a frozen dataclass); `select` masks the data that a fold's head trains on."""

    kind: str
    fit: Callable[..., FittedHead]  # (data, settings, seed=) -> fitted
    settings: Any
    select: Callable[[HeadData, Folds, int], tuple[np.ndarray, np.ndarray]] = select_outside_fold

    @property
    def rolls(self) -> tuple[int, ...]:
        """The windows by which a soundscape is rolled, one entry for each prediction that is averaged."""
        return tuple(getattr(self.settings, "rolls", (0,)))

    @property
    def flip(self) -> bool:
        """True if the prediction on the reversed soundscape is averaged in too."""
        return getattr(self.settings, "flip", False)

    def fit_fold(self, data: HeadData, folds: Folds, fold: int, seeds: Sequence[int]) -> "FittedFold":
        """Fit the fold's heads, one a seed."""
        own = data.subset(*self.select(data, folds, fold))
        heads = tuple(self.fit(own, self.settings, seed=seed) for seed in seeds)
        return FittedFold(own.sequences.stems, own.clips.names, heads, self)


def leaky_variant(head: Head) -> Head:
    """The head trained on everything in every fold, held-out data included: to show that the judge refuses it."""
    return replace(head, select=select_all)


@dataclass(frozen=True, eq=False)
class FittedFold:
    """A fold's heads, one a seed, and the names of the soundscapes and clips they were trained on."""

    stems: tuple[str, ...]
    clips: tuple[str, ...]
    heads: tuple[FittedHead, ...]
    kind: Head

    def probabilities(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) probabilities: the sigmoid of the mean logit over seeds and orders of windows."""
        logits = [
            head.logits(sequences.reorder(order))[:, np.argsort(order)]
            for order in window_orders(self.kind.rolls, self.kind.flip)
            for head in self.heads
        ]
        mean: np.ndarray = np.mean(logits, axis=0)
        return expit(mean)

    def export(self, path: Path) -> list[str]:
        """Write one graph that outputs the seeds' mean logit, and return the names of its inputs."""
        return export_mean([head.export for head in self.heads], path)


def training_record(folds: Folds, fitted: dict[int, FittedFold]) -> Training:
    """The soundscapes and clips that each fold's heads were trained on, for the leakage check."""

    def folds_by_name(names: Callable[[FittedFold], Sequence[str]]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for fold, heads in fitted.items():
            for name in names(heads):
                found.setdefault(name, []).append(fold)
        return found

    return Training(folds.version, folds_by_name(lambda heads: heads.stems), folds_by_name(lambda heads: heads.clips))


_FILES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """A fitted head that is a torch network, in eval mode."""

    network: HeadNetwork

    def logits(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) logits."""
        inputs = network_inputs(self.network, sequences)
        parts = {name: values.split(_FILES_AT_ONCE) for name, values in inputs.items()}
        with torch.inference_mode():
            logits = [
                self.network(dict(zip(parts, values, strict=True))) for values in zip(*parts.values(), strict=True)
            ]
        return torch.cat(logits).numpy()

    def export(self, path: Path) -> None:
        """Write the network as an ONNX graph."""
        export_head(self.network, path)


def network_inputs(network: HeadNetwork, sequences: Sequences) -> dict[str, Tensor]:
    """The network's inputs by name: embeddings (files, 12, width), `site` and `hour` (files,)."""
    context = {"site": sequences.sites, "hour": sequences.hours}
    return {name: torch.from_numpy((sequences.embeddings | context)[name]) for name in head_inputs(network)}
