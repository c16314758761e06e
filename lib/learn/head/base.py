"""What a kind of head is, what part of the lesson a fold's head is taught, and what a taught fold answers."""

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
    """What fitting a head on one lesson, with one seed, gives."""

    def logits(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) logits."""

    def export(self, path: Path) -> None:
        """Write the graph: tokens (files, 12, width), perhaps `site` and `hour` (files,), to `logit`."""


def not_held_out(lesson: HeadData, folds: Folds, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """The (files,) and (clips,) masks of all that a fold does not hold out."""
    soundscapes, clips = folds.of("soundscape"), folds.of("clip")
    return (
        np.array([soundscapes[stem] != fold for stem in lesson.sequences.stems], dtype=bool),
        np.array([clips[name] != fold for name in lesson.clips.names], dtype=bool),
    )


def nothing(lesson: HeadData, folds: Folds, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks of no soundscape and no clip, for heads that learn nothing."""
    return np.zeros(len(lesson.sequences), dtype=bool), np.zeros(len(lesson.clips.names), dtype=bool)


@dataclass(frozen=True)
class Head:
    """A kind of head and its settings, a frozen dataclass; `part` says what of the lesson a fold's head is taught."""

    kind: str
    fit: Callable[..., FittedHead]  # (lesson, settings, seed=) -> fitted
    settings: Any
    part: Callable[[HeadData, Folds, int], tuple[np.ndarray, np.ndarray]] = not_held_out

    @property
    def rolls(self) -> tuple[int, ...]:
        """By how many windows a soundscape is rolled, for each answer that is averaged."""
        return tuple(getattr(self.settings, "rolls", (0,)))

    @property
    def flip(self) -> bool:
        """Whether the reversed soundscape is asked about too."""
        return getattr(self.settings, "flip", False)

    def teach(self, lesson: HeadData, folds: Folds, fold: int, seeds: Sequence[int]) -> "FittedFold":
        """The fold's heads, one a seed."""
        own = lesson.only(*self.part(lesson, folds, fold))
        heads = tuple(self.fit(own, self.settings, seed=seed) for seed in seeds)
        return FittedFold(own.sequences.stems, own.clips.names, heads, self)


def leaky_variant(head: Head) -> Head:
    """The head as one that every fold teaches all there is: to show what the judge refuses."""

    def part(lesson: HeadData, folds: Folds, fold: int) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(len(lesson.sequences), dtype=bool), np.ones(len(lesson.clips.names), dtype=bool)

    return replace(head, part=part)


@dataclass(frozen=True, eq=False)
class FittedFold:
    """A fold's heads, one a seed, and the names of the soundscapes and clips in the lesson they were given."""

    stems: tuple[str, ...]
    clips: tuple[str, ...]
    heads: tuple[FittedHead, ...]
    kind: Head

    def chances(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) chances: by the mean logit over seeds and orders of windows."""
        answers = [
            head.logits(sequences.ordered(order))[:, np.argsort(order)]
            for order in window_orders(self.kind.rolls, self.kind.flip)
            for head in self.heads
        ]
        return expit(np.mean(answers, axis=0))

    def export(self, path: Path) -> list[str]:
        """Write one graph that answers with the seeds' mean logit; the names of its inputs."""
        return export_mean([head.export for head in self.heads], path)


def training_record(folds: Folds, taught: dict[int, FittedFold]) -> Training:
    """What each fold's heads have met: everything in the lesson that they were given."""

    def seen(names: Callable[[FittedFold], Sequence[str]]) -> dict[str, list[int]]:
        met: dict[str, list[int]] = {}
        for fold, of in taught.items():
            for name in names(of):
                met.setdefault(name, []).append(fold)
        return met

    return Training(folds.version, seen(lambda of: of.stems), seen(lambda of: of.clips))


_FILES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """An evaluated network."""

    network: HeadNetwork

    def logits(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) logits."""
        inputs = network_inputs(self.network, sequences)
        parts = {name: values.split(_FILES_AT_ONCE) for name, values in inputs.items()}
        with torch.inference_mode():
            said = [self.network(dict(zip(parts, values, strict=True))) for values in zip(*parts.values(), strict=True)]
        return torch.cat(said).numpy()

    def export(self, path: Path) -> None:
        """Write the graph."""
        export_head(self.network, path)


def network_inputs(network: HeadNetwork, sequences: Sequences) -> dict[str, Tensor]:
    """What the network reads of the soundscapes, by name: tokens (files, 12, width), `site` and `hour` (files,)."""
    context = {"site": sequences.sites, "hour": sequences.hours}
    return {name: torch.from_numpy((sequences.tokens | context)[name]) for name in head_inputs(network)}
