"""A packed embedder with Perch's interface whose embedding is the level of 1,536 stretches of a window."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lib.competition.classes import ClassList
from lib.competition.row_ids import WINDOW_SAMPLES
from lib.models.embedder.labels import FLAT_LOGIT, LabelMap
from lib.models.embedder.pack import pack_embedder

CLASSES = ClassList(("ant", "bee", "cow"))
LABELS = ("Bos taurus", "Formica rufa")  # nothing stands for the bee
_STRETCH = 104  # samples: 1,536 of them fit into a window
_KEPT = 1536 * _STRETCH


def embedding_of(windows: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """(rows, 1536) float32 the mean size of the samples in each stretch."""
    return gain * np.abs(windows[:, :_KEPT]).reshape(len(windows), 1536, _STRETCH).mean(axis=2)


def logits_of(windows: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """(rows, 3) float32: the first stretch for the cow, the second for the ant."""
    embedding = embedding_of(windows, gain)
    return np.stack([embedding[:, 1], np.full(len(windows), FLAT_LOGIT, np.float32), embedding[:, 0]], axis=1)


def pack_tiny(folder: Path, gain: float = 1.0) -> Path:
    """The sealed folder of the embedder, whose outputs are `gain` times as large."""
    raw = folder.parent / f"{folder.name}-raw"
    raw.mkdir(parents=True)
    (raw / "labels.csv").write_text("\n".join(("inat2024_fsd50k", *LABELS)) + "\n")
    _write(raw / "tiny.onnx", gain)
    label_map = LabelMap(CLASSES.labels, ((1,), (), (0,)), ("name", "none", "name"), len(LABELS))
    pack_embedder(raw / "tiny.onnx", None, label_map, CLASSES, folder)
    return folder


def _write(path: Path, gain: float) -> None:
    constants = {
        "from": np.array([0]),
        "to": np.array([_KEPT]),
        "axis1": np.array([1]),
        "axis2": np.array([2]),
        "shape": np.array([-1, 1536, _STRETCH]),
        "gain": np.array(gain, np.float32),
        "first": np.array([0, 1]),
    }
    nodes = [
        helper.make_node("Slice", ["inputs", "from", "to", "axis1"], ["kept"]),
        helper.make_node("Reshape", ["kept", "shape"], ["stretches"]),
        helper.make_node("Abs", ["stretches"], ["sizes"]),
        helper.make_node("ReduceMean", ["sizes", "axis2"], ["loudness"], keepdims=0),
        helper.make_node("Mul", ["loudness", "gain"], ["embedding"]),
        helper.make_node("Gather", ["embedding", "first"], ["label"], axis=1),
    ]
    floats, sizes = TensorProto.FLOAT, {"embedding": 1536, "label": len(LABELS)}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("inputs", floats, ["rows", WINDOW_SAMPLES])],
        [helper.make_tensor_value_info(name, floats, ["rows", size]) for name, size in sizes.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
