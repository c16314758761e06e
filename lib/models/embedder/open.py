"""Opening frozen models: files that others trained, behind one protocol, whatever their format and input."""

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
    """A frozen model: windows in, embeddings and logits out, in its own labels."""

    labels: tuple[str, ...]  # names as the model's own table gives them
    embedding_size: int
    blocks: tuple[str, ...]  # those whose means it can output, in graph order

    def embed(self, windows: np.ndarray, blocks: Sequence[str] = ()) -> RawEmbeddings:
        """Its outputs, and the means of these blocks, for (rows, 160000) float32 audio at 32 kHz."""


def open_frozen(path: Path, labels: Path | None = None) -> FrozenModel:
    """The model in a file with its table of labels (else the one beside it), once its output depends on its input."""
    names = read_labels(labels or find_labels(path))
    model: FrozenModel
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
            do="export the model to ONNX or TFLite",
        )
    _check_sensitivity(model, path)
    return model


def _check_sensitivity(model: FrozenModel, path: Path) -> None:
    """Refuse a model of one output for different sounds, as with inputs of another length than in training."""
    outputs = model.embed(soundscape_windows(golden_sound())[[0, 5]])
    for what, values in (("embedding", outputs.embedding), ("logits", outputs.logits)):
        if not np.isfinite(values).all() or (values[0] == values[1]).all():
            raise BadInput(
                f"{path} returns identical output for different sounds, or none that is finite (wrong input length?)",
                expected=f"finite {what} that differ between sounds",
                got="identical for two sounds" if np.isfinite(values).all() else "NaN or infinity",
                do="use another export of the model",
            )
