"""A tiny embedder with Perch's interface: the loudness of each twentieth of a second, through fixed random weights."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = 100
CHANNELS = 3  # of the one block, whose input is the loudness in ten rows of ten, times 1, 2 and 3


def loudness(windows: np.ndarray) -> np.ndarray:
    """(rows, 100) the levels of (rows, 160000) audio, the embedder's first step."""
    return np.abs(windows.reshape(len(windows), 100, 1600)).mean(axis=2)


def write_standin(path: Path, ones: int = 0) -> np.ndarray:
    """Write the embedder, whose input has `ones` further axes of length 1; its (100, 1536) weights."""
    weights = np.random.default_rng(0).normal(size=(100, 1536)).astype(np.float32)
    kernel = np.arange(1, CHANNELS + 1, dtype=np.float32).reshape(-1, 1, 1, 1)
    constants = {"shape": np.array([-1, 100, 1600]), "axis": np.array([2]), "weights": weights}
    constants |= {"square": np.array([-1, 1, 10, 10]), "kernel": kernel}
    nodes = [
        helper.make_node("Reshape", ["inputs", "shape"], ["parts"]),
        helper.make_node("Abs", ["parts"], ["sizes"]),
        helper.make_node("ReduceMean", ["sizes", "axis"], ["loudness"], keepdims=0),
        helper.make_node("MatMul", ["loudness", "weights"], ["embedding"]),
        helper.make_node("Neg", ["loudness"], ["label"]),
        helper.make_node("Reshape", ["loudness", "square"], ["square_map"]),
        helper.make_node("Conv", ["square_map", "kernel"], ["encoder/MBConv_0/out"]),
    ]
    shapes = {"label": ["rows", LABELS], "embedding": ["rows", 1536]}  # not in Perch's order: outputs are found by name
    graph = helper.make_graph(
        nodes,
        "standin",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["rows", 160_000, *[1] * ones])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return weights


def write_labels(path: Path, count: int = LABELS) -> tuple[str, ...]:
    """Write its table of labels as Perch has it; return the labels, "Genus species0" and on."""
    names = tuple(f"Genus species{number}" for number in range(count))
    path.write_text("\n".join(["inat2024_fsd50k", *names]) + "\n")
    return names
