"""Packing a frozen model into a sealed folder: the file with its inner blocks exposed, its labels, their classes.

A block is exposed in an ONNX graph by an output for the mean of the block's last tensor over time and frequency.
"""

import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lib.competition.classes import ClassList
from lib.competition.row_ids import WINDOW_SAMPLES
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.records import seal, to_json, write_json
from lib.models.embedder.base import block_of, find_labels, read_labels
from lib.models.embedder.card import BLOCK, LABELS_FILE, EmbedderCard
from lib.models.embedder.labels import LabelMap
from lib.models.embedder.open import open_frozen
from lib.models.standin.graph import STANDIN_GRAPH

# Operations whose result has the layout of the feature map that goes in.
_KEEP = (
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "GlobalAveragePool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LeakyRelu",
    "Log",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "Pad",
    "Pow",
    "Reciprocal",
    "Relu",
    "Sigmoid",
    "Softplus",
    "Sqrt",
    "Sub",
    "Tanh",
    "Where",
)


@dataclass(frozen=True)
class Block:
    """A block of a network, and the last tensor in its scope."""

    name: str  # such as "MBConv_24"
    tensor: str
    channels: int
    axis: int  # of the channels: 1 in (rows, channels, ., .), 3 in (rows, ., ., channels)


def list_blocks(path: Path) -> tuple[Block, ...]:
    """The blocks of a model, in the order of its graph."""
    return _blocks(onnx.load(path).graph)


def expose_block_outputs(path: Path, blocks: tuple[str, ...], target: Path) -> None:
    """Write a copy with outputs "block:<name>": the blocks' (rows, channels) means over time and frequency."""
    model = onnx.load(path)
    have = {block.name: block for block in _blocks(model.graph)}
    if unknown := [name for name in blocks if name not in have]:
        raise BadInput(
            f"{path} has no such blocks",
            expected=f"some of {', '.join(have) or 'none: it names none'}",
            got=shorten(unknown),
            do="choose blocks among these",
        )
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    for name in blocks:
        _add_means(model.graph, have[name], opset)
    onnx.save(model, target)


def _blocks(graph: onnx.GraphProto) -> tuple[Block, ...]:
    """The last laid-out tensor in each block's scope, in the order of the graph."""
    layouts = _layouts(graph)
    last: dict[str, Block] = {}
    for node in graph.node:
        tensor = node.output[0]
        name = block_of(node.name) or block_of(tensor)
        if name and tensor in layouts:
            last[name] = Block(name, tensor, *layouts[tensor])
    return tuple(last.values())


def _layouts(graph: onnx.GraphProto) -> dict[str, tuple[int, int]]:
    """Channels and their axis by tensor, for feature maps: these begin at convolutions and pass through other nodes.

    Shape inference is not used: it ends at a Fourier transform, and needs the weights again.
    """
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer} | _constants(graph)
    layouts: dict[str, tuple[int, int]] = {}
    for node in graph.node:
        laid = [layouts[name] for name in node.input if name in layouts]
        if node.op_type == "Conv" and len(weights.get(node.input[1], ())) == 4:
            layouts[node.output[0]] = weights[node.input[1]][0], 1
        elif node.op_type == "Transpose":
            order = list(_attribute(node, "perm") or (3, 2, 1, 0))
            if len(weights.get(node.input[0], ())) == len(order):
                weights[node.output[0]] = tuple(weights[node.input[0]][axis] for axis in order)
            elif laid:
                layouts[node.output[0]] = laid[0][0], order.index(laid[0][1])
        elif node.op_type in _KEEP and laid:
            layouts[node.output[0]] = max(laid)
    return layouts


def _constants(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Shapes of the constants that stand among the nodes."""
    values = {node.output[0]: _attribute(node, "value") for node in graph.node if node.op_type == "Constant"}
    return {name: np.shape(value) for name, value in values.items() if value is not None}


def _attribute(node: onnx.NodeProto, name: str):
    """The value of a node's attribute, a tensor's as an array; None if it has none."""
    values = [helper.get_attribute_value(each) for each in node.attribute if each.name == name]
    return None if not values else numpy_helper.to_array(values[0]) if hasattr(values[0], "dims") else values[0]


def _add_means(graph: onnx.GraphProto, block: Block, opset: int) -> None:
    """Add the output of a block's means to the graph."""
    output, axes = BLOCK + block.name, [axis for axis in (1, 2, 3) if axis != block.axis]
    if opset >= 18:  # from there on the axes are an input
        graph.initializer.append(numpy_helper.from_array(np.array(axes), f"{output}/axes"))
        node = helper.make_node("ReduceMean", [block.tensor, f"{output}/axes"], [output], f"{output}/mean", keepdims=0)
    else:
        node = helper.make_node("ReduceMean", [block.tensor], [output], f"{output}/mean", keepdims=0, axes=axes)
    graph.node.append(node)
    graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["rows", block.channels]))


def exposable_blocks(source: Path) -> tuple[str, ...]:
    """The blocks whose means a packed model can output, in their order."""
    if source.suffix == ".onnx":
        return tuple(block.name for block in list_blocks(source))
    return open_frozen(source).blocks


def pack_embedder(
    source: Path,
    labels: Path | None,
    label_map: LabelMap,
    classes: ClassList,
    folder: Path,
    *,
    blocks: Sequence[str] = (),
) -> EmbedderCard:
    """Pack the model into the folder and return its card; `labels` is its table, None for the one beside it."""
    names = read_labels(labels or find_labels(source))
    _check_map(label_map, classes, names)
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f"model{source.suffix}"
    for old in folder.glob("model.*"):
        old.unlink()
    if blocks and source.suffix == ".onnx":
        expose_block_outputs(source, tuple(blocks), model)
    else:
        shutil.copyfile(source, model)
    with (folder / LABELS_FILE).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("label",), *((name,) for name in names)])
    frozen = open_frozen(model, folder / LABELS_FILE)
    if unknown := [name for name in blocks if name not in frozen.blocks]:
        raise BadInput(
            f"{source} has no such blocks",
            expected=f"some of {', '.join(frozen.blocks) or 'none'}",
            got=shorten(unknown),
            do="choose blocks among these",
        )
    outputs = frozen.embed(np.zeros((1, WINDOW_SAMPLES), dtype=np.float32), blocks)
    widths = {BLOCK + name: outputs.blocks[name].shape[1] for name in blocks}
    card = EmbedderCard(
        name=folder.name,
        file=model.name,
        source=fingerprint.of_file(source),
        class_hash=classes.hash,
        widths={"embedding": frozen.embedding_size, "logits": len(classes), **widths},
        columns=[list(columns) for columns in label_map.columns],
        matched_by=list(label_map.matched_by),
        standin=source.suffix == ".onnx" and onnx.load(source).graph.name == STANDIN_GRAPH,
    )
    write_json(folder / "embedder.json", to_json(card))
    seal(folder, "embedder")
    return card


def _check_map(label_map: LabelMap, classes: ClassList, names: tuple[str, ...]) -> None:
    """Refuse a map that was made for other classes or of another table."""
    if label_map.labels != classes.labels or label_map.width != len(names):
        raise BadInput(
            "the labels were mapped for another model or other classes",
            expected=f"{len(classes)} classes in their order, {len(names)} labels",
            got=f"{len(label_map.labels)} classes, {label_map.width} labels",
            do="map this model's own labels to these classes (map_labels)",
        )
