"""Frozen models that hear less than a row, BirdNET and its like: excerpts of each row, and what they say together."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from lib.core.errors import BadInput, shortened
from lib.models.embedder.base import BLOCK, RawTokens, block_of
from lib.models.embedder.ears import EARS, Ear

_POOLED = re.compile(r"(GLOBAL_AVG_POOL|global_average_pooling2d|gap_1)/Mean|^embeddings?$")  # what ends up embedded
_LOGITS = re.compile(r"BiasAdd$")  # the last layer's sums: further on there may be only chances


class ModelFile(Protocol):
    """An opened file: shapes by name, and the tensors it gives for rows of input."""

    path: Path
    inputs: dict[str, tuple]
    outputs: dict[str, tuple]

    def ask(self, outputs: list[str], **inputs: np.ndarray) -> list[np.ndarray]: ...


class Excerpts:
    """Such a model, opened: the mean of its excerpts' embeddings and blocks, the largest of their logits."""

    def __init__(self, file: ModelFile, labels: Sequence[str]):
        self.labels, self._file = tuple(labels), file
        self._input, shape = next(iter(file.inputs.items()))
        self._ear = ear_of(shape, file.path)
        logits = [name for name, have in file.outputs.items() if have[1:] == (len(self.labels),)]
        pooled = [name for name in file.outputs if _POOLED.search(name)]
        if not logits or not pooled:
            raise BadInput(f"{file.path} is not a {self._ear.name} that can be used",
                           expected=f"an output for its table's {len(self.labels)} labels, and a pooled embedding",
                           got=shortened(f"{name} {have}" for name, have in file.outputs.items() if len(have) == 2),
                           do="give the table that belongs to it, and an export that gives embeddings")  # fmt: skip
        self._logits = next(filter(_LOGITS.search, logits), logits[-1])
        self._embedding, self._maps = pooled[-1], _maps(file.outputs)
        self.blocks, self.embedding_size = tuple(self._maps), file.outputs[self._embedding][1]

    def hear(self, windows: np.ndarray, blocks: Sequence[str] = ()) -> RawTokens:
        """What it, and these of its blocks, say of (rows, 160000) audio."""
        inputs = self._ear.inputs(windows)
        rows, each = inputs.shape[:2]
        asked = [self._embedding, self._logits, *(self._maps[name] for name in blocks)]
        answers = self._file.ask(asked, **{self._input: inputs.reshape(rows * each, *inputs.shape[2:])})
        pooled = [answer.mean(axis=(1, 2)) if answer.ndim == 4 else answer for answer in answers]
        embedding, logits, *means = [answer.reshape(rows, each, -1) for answer in pooled]
        told = {name: mean.mean(axis=1) for name, mean in zip(blocks, means, strict=True)}
        return RawTokens(embedding.mean(axis=1), logits.max(axis=1), told)


def ear_of(shape: tuple, path: Path) -> Ear:
    """The ear of a model whose input has this shape, rows included."""
    for ear in EARS:
        if tuple(shape[1:]) == ear.input_shape:
            return ear
    known = ", ".join(f"{ear.name} {ear.input_shape}" for ear in EARS)
    raise BadInput(f"no known model hears as {path} does", expected=f"an input (rows, …) of {known}", got=shape,
                   do="take one of these models, or Perch v2 as ONNX")  # fmt: skip


def _maps(outputs: dict[str, tuple]) -> dict[str, str]:
    """Which tensor holds a block's result, by block in the order of the graph: its last, or what was tapped there."""
    tapped = {name.removeprefix(BLOCK): name for name in outputs if name.startswith(BLOCK)}
    maps = [name for name, shape in outputs.items() if len(shape) == 4 and not name.endswith("_dequantize")]  # weights
    inner = {}
    for name in reversed(maps):
        inner.setdefault(block_of(name), name)  # merged operations join their names, their own one first
    return tapped or {block: inner[block] for block in reversed(inner) if block}
