"""TFLite models through LiteRT, where that is installed: any tensor by name, on one thread."""

import threading
import warnings
from pathlib import Path

import numpy as np

from lib.core.errors import BadInput
from lib.models.runtime.onnx import in_session


class TfliteFile:
    """One model file, opened, with the shapes of its inputs and of its tensors per row; safe in several threads."""

    def __init__(self, path: Path):
        self.path, self._own = path, threading.local()  # an interpreter holds its tensors: each thread has one
        interpreter = self._interpreter()
        tensors = {each["name"]: each for each in interpreter.get_tensor_details() if _has_row_axis(each)}
        self._tensors = {name: (each["index"], *each["quantization"]) for name, each in tensors.items()}
        self.inputs = {each["name"]: _shape(each) for each in interpreter.get_input_details()}
        self.outputs = {name: _shape(each) for name, each in tensors.items() if name not in self.inputs}

    def run_outputs(self, outputs: list[str], **inputs: np.ndarray) -> list[np.ndarray]:
        """The tensors of these names as (rows, …) float32; rows run one by one, as some files need it."""
        interpreter, outputs_of_rows = self._interpreter(), []
        for row in range(len(next(iter(inputs.values())))):
            for name, values in inputs.items():
                interpreter.set_tensor(self._tensors[name][0], values[row : row + 1])
            with in_session():
                interpreter.invoke()
            outputs_of_rows.append([self._value(interpreter, name) for name in outputs])
        return [np.concatenate(parts) for parts in zip(*outputs_of_rows, strict=True)]

    def _interpreter(self):
        """This thread's interpreter; it preserves inner tensors, which otherwise later ones overwrite."""
        if not hasattr(self._own, "interpreter"):
            with warnings.catch_warnings():  # it warns that keeping them costs memory
                warnings.simplefilter("ignore", UserWarning)
                self._own.interpreter = _open(self.path)
            self._own.interpreter.allocate_tensors()
        return self._own.interpreter

    def _value(self, interpreter, name: str) -> np.ndarray:
        """A tensor as float32; quantised numbers stand for (number - zero) * scale."""
        index, scale, zero = self._tensors[name]
        value = interpreter.get_tensor(index).astype(np.float32)
        return (value - zero) * np.float32(scale) if scale else value


def _open(path: Path):
    """A new interpreter of a file."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise BadInput(
            f"{path.name} cannot be opened here",
            expected="ai-edge-litert, which reads TFLite",
            got=error,
            do="pip install ai-edge-litert, attach its wheel, or take an ONNX file",
        ) from error
    try:
        return Interpreter(str(path), experimental_preserve_all_tensors=True, num_threads=1)
    except ValueError as error:
        raise BadInput(f"{path} cannot be opened", expected="a TFLite model", got=error, do="fetch it again") from error


def _shape(tensor: dict) -> tuple[int, ...]:
    return tuple(map(int, tensor["shape"]))


def _has_row_axis(tensor: dict) -> bool:
    """True if a tensor's first axis is that of rows."""
    return _shape(tensor)[:1] == (1,)
