"""The two simplest heads: what the embedder says of the classes itself, and a linear probe of its tokens."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.learn.baseline.logistic import LogisticModel, LogisticSettings, fit_logistic
from lib.learn.head.base import Head, nothing
from lib.learn.head.data import HeadData, Sequences
from lib.models.export.head import linear_graph, same_graph, write_graph


@dataclass(frozen=True)
class ZeroShotSettings:
    """Nothing is fitted."""

    inputs: tuple[str, ...] = ("logits",)


@dataclass(frozen=True)
class LinearHeadSettings:
    """How a linear probe is fitted."""

    inputs: tuple[str, ...] = ("embedding", "logits")
    clip_weight: float = 0.3  # a clip's window against a labelled soundscape window
    logistic: LogisticSettings = field(default_factory=lambda: LogisticSettings(components=256))


@dataclass(frozen=True, eq=False)
class ZeroShotHead:
    """The mapped logits as they are."""

    name: str
    classes: int

    def logits(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) what the embedder said."""
        return sequences.tokens[self.name]

    def export(self, path: Path) -> None:
        """Write the graph that answers with its input."""
        write_graph(same_graph(self.name, self.classes), path)


@dataclass(frozen=True, eq=False)
class LinearHead:
    """One linear model a class on tokens side by side."""

    widths: dict[str, int]
    linear: LogisticModel

    def logits(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) logits, each window by itself."""
        return self.linear.logits(np.concatenate([sequences.tokens[name] for name in self.widths], axis=2))

    def export(self, path: Path) -> None:
        """Write the graph: standardise, clip, multiply."""
        write_graph(linear_graph(self.linear, self.widths), path)


def zero_shot_head() -> Head:
    """The kind of head that learns nothing."""
    return Head("zero-shot", fit_zero_shot, ZeroShotSettings(), nothing)


def fit_zero_shot(lesson: HeadData, settings: ZeroShotSettings, *, seed: int) -> ZeroShotHead:
    """The embedder's own word for the project's classes."""
    (name,) = settings.inputs
    return ZeroShotHead(name, lesson.sequences.truth.shape[2])


def fit_linear_head(lesson: HeadData, settings: LinearHeadSettings, *, seed: int) -> LinearHead:
    """Logistic regressions on labelled windows and clips; there is one solution, whatever the seed."""
    windows, clips = lesson.sequences, lesson.clips
    rows = [np.concatenate([windows.windows(name), clips.tokens[name]]) for name in settings.inputs]
    targets = np.concatenate([windows.truth[windows.known], clips.truth])
    cells = np.ones(targets.shape, dtype=np.float32)
    cells[windows.known.sum() :] = settings.clip_weight * clips.cells
    linear = fit_logistic(np.concatenate(rows, axis=1), targets, cells, settings.logistic)
    return LinearHead({name: of.shape[1] for name, of in zip(settings.inputs, rows, strict=True)}, linear)
