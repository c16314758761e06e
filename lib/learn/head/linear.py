"""The two simplest heads: the embedder's own logits (zero-shot), and a linear probe on its embeddings."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.learn.baseline.logistic import LogisticModel, LogisticSettings, fit_logistic
from lib.learn.head.base import Head, select_none
from lib.learn.head.data import HeadData, Sequences
from lib.models.export.head import identity_graph, linear_graph, write_graph


@dataclass(frozen=True)
class ZeroShotSettings:
    """Settings of the zero-shot head, which is not fitted."""

    inputs: tuple[str, ...] = ("logits",)


@dataclass(frozen=True)
class LinearHeadSettings:
    """Settings of the linear probe."""

    inputs: tuple[str, ...] = ("embedding", "logits")
    clip_weight: float = 0.3  # a clip's window against a labelled soundscape window
    logistic: LogisticSettings = field(default_factory=lambda: LogisticSettings(components=256))


@dataclass(frozen=True, eq=False)
class ZeroShotHead:
    """The embedder's logits, mapped to the project's classes and otherwise unchanged."""

    name: str
    classes: int

    def logits(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) the embedder's logits."""
        return sequences.embeddings[self.name]

    def export(self, path: Path) -> None:
        """Write the graph whose output is its input."""
        write_graph(identity_graph(self.name, self.classes), path)


@dataclass(frozen=True, eq=False)
class LinearHead:
    """One linear model a class on concatenated embeddings."""

    widths: dict[str, int]
    linear: LogisticModel

    def logits(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) logits, each window by itself."""
        return self.linear.logits(np.concatenate([sequences.embeddings[name] for name in self.widths], axis=2))

    def export(self, path: Path) -> None:
        """Write the graph: standardise, clip, multiply."""
        write_graph(linear_graph(self.linear, self.widths), path)


def zero_shot_head() -> Head:
    """The kind of head that is not trained."""
    return Head("zero-shot", fit_zero_shot, ZeroShotSettings(), select_none)


def fit_zero_shot(data: HeadData, settings: ZeroShotSettings, *, seed: int) -> ZeroShotHead:
    """A head that outputs the embedder's own logits; the data only give the number of classes."""
    (name,) = settings.inputs
    return ZeroShotHead(name, data.sequences.truth.shape[2])


def fit_linear_head(data: HeadData, settings: LinearHeadSettings, *, seed: int) -> LinearHead:
    """Fit logistic regressions on labelled windows and clips; there is one solution, whatever the seed."""
    windows, clips = data.sequences, data.clips
    rows = [np.concatenate([windows.windows(name), clips.embeddings[name]]) for name in settings.inputs]
    targets = np.concatenate([windows.truth[windows.known], clips.truth])
    cells = np.ones(targets.shape, dtype=np.float32)
    cells[windows.known.sum() :] = settings.clip_weight * clips.cells
    linear = fit_logistic(np.concatenate(rows, axis=1), targets, cells, settings.logistic)
    return LinearHead({name: part.shape[1] for name, part in zip(settings.inputs, rows, strict=True)}, linear)
