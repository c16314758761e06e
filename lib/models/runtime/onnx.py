"""ONNX Runtime: sessions with inputs and outputs by name, on one thread each, and the seconds spent inside them."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lib.core.errors import BadInput

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at the first import, which is this one: nothing is reported
import onnxruntime

_thread = threading.local()


def session_seconds() -> float:
    """Seconds that this thread has spent inside sessions by now."""
    return getattr(_thread, "seconds", 0.0)


@contextmanager
def in_session() -> Iterator[None]:
    """Count the time spent in this context as a session's."""
    start = time.perf_counter()
    try:
        yield
    finally:
        _thread.seconds = session_seconds() + time.perf_counter() - start


ORT_VERSION = onnxruntime.__version__


class OnnxFile:
    """One model file, opened, with the shapes of its inputs and outputs; safe to call from several threads at once."""

    def __init__(self, path: Path):
        self.path, options = path, onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # files run side by side instead: measured faster than threads within one
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime has a type of its own for each fault
            raise BadInput(
                f"{path} cannot be opened",
                expected=f"a model that ONNX Runtime {ORT_VERSION} reads",
                got=error,
                do="fetch or export it again",
            ) from error
        self.inputs = {node.name: tuple(node.shape) for node in self._session.get_inputs()}
        self.outputs = {node.name: tuple(node.shape) for node in self._session.get_outputs()}

    def run_outputs(self, outputs: list[str], **inputs: np.ndarray) -> list[np.ndarray]:
        """The outputs of these names, in this order."""
        with in_session():
            return self._session.run(outputs, inputs)


class OnnxSession(OnnxFile):
    """A model file, opened, whose inputs and outputs are those on a member's card."""

    def __init__(self, path: Path, *, inputs: list[str], outputs: list[str]):
        super().__init__(path)
        self._outputs = outputs
        if sorted(self.inputs) != sorted(inputs) or not set(outputs) <= set(self.outputs):
            raise BadInput(
                f"{path} has another interface than its card",
                expected=f"{inputs} -> {outputs}",
                got=f"{[*self.inputs]} -> {[*self.outputs]}",
                do="export the member again",
            )

    def run(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """The card's outputs, in the card's order."""
        return self.run_outputs(self._outputs, **inputs)
