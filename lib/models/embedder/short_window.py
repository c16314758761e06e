"""Frozen models whose input is shorter than a row, BirdNET and its like: several excerpts of each row, pooled.

The format of a model's input is recognised by its shape (`INPUT_FORMATS`). A row's embedding and block means are the
means over its excerpts, its logits their maximum.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.signal import resample_poly

from lib.competition.row_ids import SAMPLE_RATE
from lib.core.errors import BadInput, shorten
from lib.models.embedder.base import RawEmbeddings, block_of
from lib.models.embedder.card import BLOCK

_FFT, _HOP, _FRAMES = 512, 258, 256  # of the spectrogram that BirdNET's model for STM32 takes
_POOLED = re.compile(r"(GLOBAL_AVG_POOL|global_average_pooling2d|gap_1)/Mean|^embeddings?$")  # names of embeddings
_LOGITS = re.compile(r"BiasAdd$")  # the last layer's sums: further on there may be only probabilities


@dataclass(frozen=True)
class InputFormat:
    """A model's input: so many samples at a rate, cut from a row at the starts (in seconds)."""

    name: str
    rate_hz: int
    samples: int
    starts_s: tuple[int, ...]  # symmetric in the row, so that a plain mean weighs every second as its mirror image
    input_shape: tuple[int, ...]  # of one excerpt, by which the format is recognised
    spectrogram: Callable[[np.ndarray], np.ndarray] | None = None  # the model's input, if not the samples

    def inputs(self, windows: np.ndarray) -> np.ndarray:
        """(rows, excerpts, *input_shape) float32 of (rows, 160000) audio at 32 kHz."""
        step = gcd(self.rate_hz, SAMPLE_RATE)
        resampled = resample_poly(windows.astype(np.float32), self.rate_hz // step, SAMPLE_RATE // step, axis=1)
        starts = [second * self.rate_hz for second in self.starts_s]
        excerpts = np.stack([resampled[:, at : at + self.samples] for at in starts], axis=1)
        return excerpts if self.spectrogram is None else self.spectrogram(excerpts)


def stft_spectrogram(audio: np.ndarray) -> np.ndarray:
    """(…, 257, 256, 1) magnitudes of (…, samples) audio, each spectrogram from 0 to 1; silence gives zeros."""
    edges = [(0, 0)] * (audio.ndim - 1) + [(_FFT // 2, _FFT // 2)]
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(audio, edges), _FFT, axis=-1)[..., ::_HOP, :]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
    magnitudes = np.abs(np.fft.rfft(frames[..., :_FRAMES, :] * hann)).astype(np.float32)
    low, high = magnitudes.min(axis=(-2, -1), keepdims=True), magnitudes.max(axis=(-2, -1), keepdims=True)
    return np.swapaxes((magnitudes - low) / np.maximum(high - low, 1e-9), -2, -1)[..., None]


INPUT_FORMATS = (
    InputFormat("BirdNET 2.4", 48_000, 144_000, (0, 2), (144_000,)),
    InputFormat("BirdNET for STM32", 22_050, 66_150, (0, 2), (257, 256, 1), stft_spectrogram),
    InputFormat("YAMNet", 16_000, 15_600, (0, 1, 2, 3, 4), (15_600,)),
)


def input_format_of(shape: tuple, path: Path) -> InputFormat:
    """The format of a model whose input has this shape, rows included."""
    for input_format in INPUT_FORMATS:
        if tuple(shape[1:]) == input_format.input_shape:
            return input_format
    known = ", ".join(f"{each.name} {each.input_shape}" for each in INPUT_FORMATS)
    raise BadInput(
        f"{path} has an input of no known model",
        expected=f"an input (rows, …) of {known}",
        got=shape,
        do="use one of these models, or Perch v2 as ONNX",
    )


class ModelFile(Protocol):
    """An opened file: shapes by name, and the tensors it outputs for rows of input."""

    path: Path
    inputs: dict[str, tuple]
    outputs: dict[str, tuple]

    def run_outputs(self, outputs: list[str], **inputs: np.ndarray) -> list[np.ndarray]: ...


class ShortWindowEmbedder:
    """An opened model of that kind."""

    def __init__(self, file: ModelFile, labels: Sequence[str]):
        self.labels, self._file = tuple(labels), file
        self._input, shape = next(iter(file.inputs.items()))
        self._format = input_format_of(shape, file.path)
        logits = [name for name, have in file.outputs.items() if have[1:] == (len(self.labels),)]
        pooled = [name for name in file.outputs if _POOLED.search(name)]
        if not logits or not pooled:
            raise BadInput(
                f"{file.path} is not a {self._format.name} that can be used",
                expected=f"an output for its table's {len(self.labels)} labels, and a pooled embedding",
                got=shorten(f"{name} {have}" for name, have in file.outputs.items() if len(have) == 2),
                do="use the table that belongs to it, and an export with embeddings",
            )
        self._logits = next(filter(_LOGITS.search, logits), logits[-1])
        self._embedding, self._maps = pooled[-1], _block_maps(file.outputs)
        self.blocks, self.embedding_size = tuple(self._maps), file.outputs[self._embedding][1]

    def embed(self, windows: np.ndarray, blocks: Sequence[str] = ()) -> RawEmbeddings:
        """Its outputs, and the means of these blocks, for (rows, 160000) audio."""
        inputs = self._format.inputs(windows)
        rows, each = inputs.shape[:2]
        names = [self._embedding, self._logits, *(self._maps[name] for name in blocks)]
        outputs = self._file.run_outputs(names, **{self._input: inputs.reshape(rows * each, *inputs.shape[2:])})
        pooled = [output.mean(axis=(1, 2)) if output.ndim == 4 else output for output in outputs]
        embedding, logits, *means = [output.reshape(rows, each, -1) for output in pooled]
        block_means = {name: mean.mean(axis=1) for name, mean in zip(blocks, means, strict=True)}
        return RawEmbeddings(embedding.mean(axis=1), logits.max(axis=1), block_means)


def _block_maps(outputs: dict[str, tuple]) -> dict[str, str]:
    """Block -> the tensor of its result, in the order of the graph: its last one, or the output that exposes it."""
    exposed = {name.removeprefix(BLOCK): name for name in outputs if name.startswith(BLOCK)}
    maps = [name for name, shape in outputs.items() if len(shape) == 4 and not name.endswith("_dequantize")]  # weights
    last: dict[str | None, str] = {}
    for name in reversed(maps):
        last.setdefault(block_of(name), name)  # merged operations join their names, their own one first
    return exposed or {block: last[block] for block in reversed(last) if block}
