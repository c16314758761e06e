"""TFLite through LiteRT, where that is installed: any tensor by name, on one thread."""

import threading
import warnings
from pathlib import Path

import numpy as np

from lib.core.errors import BadInput
from lib.models.runtime.onnx import in_session


class LitertFile:
    """One model file, opened, with the shapes of its inputs and of its tensors of one row; safe in several threads."""

    def __init__(self, path: Path):
        self.path, self._own = path, threading.local()  # an interpreter holds its tensors: each thread has one
        interpreter = self._interpreter()
        tensors = {each["name"]: each for each in interpreter.get_tensor_details() if _of_one_row(each)}
        self._places = {name: (each["index"], *each["quantization"]) for name, each in tensors.items()}
        self.inputs = {each["name"]: _shape(each) for each in interpreter.get_input_details()}
        self.outputs = {name: _shape(each) for name, each in tensors.items() if name not in self.inputs}

    def run_outputs(self, outputs: list[str], **inputs: np.ndarray) -> list[np.ndarray]:
        """The tensors of these names as (rows, …) float32; rows are asked one by one, as some files have it."""
        interpreter, answers = self._interpreter(), []
        for row in range(len(next(iter(inputs.values())))):
            for name, values in inputs.items():
                interpreter.set_tensor(self._places[name][0], values[row : row + 1])
            with in_session():
                interpreter.invoke()
            answers.append([self._value(interpreter, name) for name in outputs])
        return [np.concatenate(parts) for parts in zip(*answers, strict=True)]

    def _interpreter(self):
        """This thread's interpreter; it keeps the inner tensors, which else are overwritten by later ones."""
        if not hasattr(self._own, "interpreter"):
            with warnings.catch_warnings():  # it warns that keeping them costs memory
                warnings.simplefilter("ignore", UserWarning)
                self._own.interpreter = _open(self.path)
            self._own.interpreter.allocate_tensors()
        return self._own.interpreter

    def _value(self, interpreter, name: str) -> np.ndarray:
        """A tensor as float32; whole numbers stand for (number - zero) * scale."""
        index, scale, zero = self._places[name]
        value = interpreter.get_tensor(index).astype(np.float32)
        return (value - zero) * np.float32(scale) if scale else value


def _open(path: Path):
    """LiteRT's interpreter of a file."""
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


def _of_one_row(tensor: dict) -> bool:
    """Whether a tensor's first axis is that of rows."""
    return _shape(tensor)[:1] == (1,)
