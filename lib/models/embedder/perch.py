"""Perch v2 as ONNX: five seconds at 32 kHz in; outputs are found by name, whatever their order and the input's rank."""

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from lib.competition.row_ids import WINDOW_SAMPLES, WINDOWS_PER_SOUNDSCAPE
from lib.core.errors import BadInput
from lib.models.embedder.base import RawEmbeddings
from lib.models.embedder.card import BLOCK
from lib.models.runtime.onnx import OnnxFile

SHAPES = {"embedding": (1536,), "spatial_embedding": (16, 4, 1536), "spectrogram": (500, 128)}  # of a row's outputs
_NEEDED = ["embedding", "label"]


class Perch:
    """An opened Perch v2 with its exposed blocks; without labels it serves distillation, its logits unnamed."""

    def __init__(self, file: OnnxFile, labels: Sequence[str] = ()):
        self._file, self.labels = file, tuple(labels)
        self.embedding_size = SHAPES["embedding"][0]
        self.blocks = tuple(name.removeprefix(BLOCK) for name in self._file.outputs if name.startswith(BLOCK))
        self._axes = self._row_axes()
        self._check_outputs()

    def embed(self, windows: np.ndarray, blocks: Sequence[str] = ()) -> RawEmbeddings:
        """Its outputs, and the means of these blocks, for (rows, 160000) audio."""
        embedding, logits, *means = self._run([*_NEEDED, *(BLOCK + name for name in blocks)], windows)
        return RawEmbeddings(embedding, logits, dict(zip(blocks, means, strict=True)))

    def embeddings(self, windows: np.ndarray) -> np.ndarray:
        """(rows, 1536) float32 of (rows, 160000) audio."""
        return self._run(["embedding"], windows)[0]

    def _run(self, outputs: list[str], windows: np.ndarray) -> list[np.ndarray]:
        """The outputs, computed for twelve windows at a time: more are no faster and keep their memory."""
        rows = np.ascontiguousarray(windows, dtype=np.float32).reshape(-1, *self._axes)
        starts = range(0, len(rows), WINDOWS_PER_SOUNDSCAPE)
        parts = [self._file.run_outputs(outputs, inputs=rows[at : at + WINDOWS_PER_SOUNDSCAPE]) for at in starts]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _row_axes(self) -> tuple[int, ...]:
        """The shape of one row: (160000,), or with the further axes of length 1 that some exports have."""
        rows, *axes = self._file.inputs.get("inputs", (0,))
        one_row = [size for size in axes if size != 1] == [WINDOW_SAMPLES]
        if len(self._file.inputs) > 1 or isinstance(rows, int) or not one_row:
            self._refuse(f"one input `inputs` (any rows, {WINDOW_SAMPLES}), maybe with axes of 1", self._file.inputs)
        return tuple(axes)

    def _check_outputs(self) -> None:
        """Refuse a file whose outputs are not Perch's: by name first, then by what two silent rows give."""
        if missing := [name for name in _NEEDED if name not in self._file.outputs]:
            self._refuse(f"an output called {' and one called '.join(missing)}", f"outputs {list(self._file.outputs)}")
        expected = SHAPES | ({"label": (len(self.labels),)} if self.labels else {})
        names = [name for name in expected if name in self._file.outputs]
        outputs = self._run(names, np.zeros((2, WINDOW_SAMPLES), dtype=np.float32))
        for name, output in zip(names, outputs, strict=True):
            if output.shape != (2, *expected[name]):
                note = f", as many as its table has labels ({len(self.labels)})" if name == "label" else ""
                self._refuse(f"{name} (rows, {', '.join(map(str, expected[name]))}){note}", output.shape)

    def _refuse(self, expected: str, got: object) -> NoReturn:
        """Raise the error of a file that is not Perch v2."""
        raise BadInput(
            f"{self._file.path} has another interface than Perch v2",
            expected=expected,
            got=got,
            do="use an ONNX export of Perch v2, with the table of labels that came with it",
        )
