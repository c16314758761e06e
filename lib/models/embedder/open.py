"""Frozen models: files that others trained, opened behind one protocol, whatever their format and their ear."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from lib.core.errors import BadInput
from lib.models.embedder.base import RawEmbeddings, find_labels, read_labels
from lib.models.embedder.perch import Perch
from lib.models.embedder.short_window import ShortWindowEmbedder
from lib.models.member.golden_output import golden_sound
from lib.models.runtime.onnx import OnnxFile
from lib.models.runtime.tflite import TfliteFile
from lib.sound.decode import soundscape_windows


class FrozenModel(Protocol):
    """A frozen model: windows in, tokens out, in its own labels."""

    labels: tuple[str, ...]  # names as the model's own table gives them
    embedding_size: int
    blocks: tuple[str, ...]  # those that it can tell of, in graph order

    def embed(self, windows: np.ndarray, blocks: Sequence[str] = ()) -> RawEmbeddings:
        """What it, and these of its blocks, say of (rows, 160000) float32 audio at 32 kHz."""


def open_frozen(path: Path, labels: Path | None = None) -> FrozenModel:
    """The model in a file with its table of labels (else the one beside it), once it tells one sound from another."""
    names = read_labels(labels or find_labels(path))
    if path.suffix == ".tflite":
        model = ShortWindowEmbedder(TfliteFile(path), names)
    elif path.suffix == ".onnx":
        file = OnnxFile(path)
        model = Perch(file, names) if "inputs" in file.inputs else ShortWindowEmbedder(file, names)
    else:
        raise BadInput(
            f"{path} is of an unknown format",
            expected="a file .onnx or .tflite",
            got=path.suffix,
            do="export the model to one of them",
        )
    _check_hearing(model, path)
    return model


def _check_hearing(model: FrozenModel, path: Path) -> None:
    """Refuse a model that says the same of different sounds, as one does that is fed another length than it learnt."""
    said = model.embed(soundscape_windows(golden_sound())[[0, 5]])
    for what, values in (("embedding", said.embedding), ("logits", said.logits)):
        if not np.isfinite(values).all() or (values[0] == values[1]).all():
            raise BadInput(
                f"{path} is deaf",
                expected=f"finite {what}, other ones for other sounds",
                got="the same for two sounds" if np.isfinite(values).all() else "NaN or infinity",
                do="take another export of the model",
            )
