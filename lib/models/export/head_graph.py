"""Small graphs of heads, written by hand: tokens (files, 12, width) in, `logit` (files, 12, classes) out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE
from lib.models.export.checks import check_graph
from lib.models.export.linear import IR_VERSION, OPSET

LOGIT = "logit"


def linear_graph(linear, widths: Mapping[str, int]) -> onnx.ModelProto:
    """The graph of a fitted `Linear` on the tokens of these widths, side by side in this order."""
    tensors = [
        numpy_helper.from_array(np.asarray(value, dtype=np.float32), name)
        for name, value in {
            "centre": linear.centre,
            "spread": linear.spread,
            "low": -linear.clip,
            "high": linear.clip,
            "weights": linear.weights,
            "bias": linear.bias,
        }.items()
    ]
    nodes = [
        helper.make_node("Concat", list(widths), ["features"], axis=2),
        helper.make_node("Sub", ["features", "centre"], ["centred"]),
        helper.make_node("Div", ["centred", "spread"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["clipped"]),
        helper.make_node("MatMul", ["clipped", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], [LOGIT]),
    ]
    return _model(nodes, widths, linear.weights.shape[1], tensors)


def same_graph(name: str, classes: int) -> onnx.ModelProto:
    """The graph that answers with the token of that name, as it is."""
    return _model([helper.make_node("Identity", [name], [LOGIT])], {name: classes}, classes, [])


def mean_graph(graphs: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    """One graph that answers with the mean logit of graphs with the same inputs: the seeds of a fold."""
    if len(graphs) == 1:
        return graphs[0]
    parts = [
        compose.add_prefix(graph, f"seed{n}/", rename_inputs=False, rename_outputs=True)
        for n, graph in enumerate(graphs)
    ]
    whole = onnx.ModelProto()
    whole.CopyFrom(parts[0])
    for part in parts[1:]:
        whole.graph.node.extend(part.graph.node)
        whole.graph.initializer.extend(part.graph.initializer)
        whole.graph.value_info.extend(part.graph.value_info)
    whole.graph.node.append(helper.make_node("Mean", [part.graph.output[0].name for part in parts], [LOGIT]))
    whole.graph.output[0].name = LOGIT
    return whole


def export_mean(exports: Sequence[Callable[[Path], None]], path: Path) -> list[str]:
    """Write one graph that answers with the mean logit of what these write; the names of its inputs."""
    graphs = []
    for export in exports:
        export(path)
        graphs.append(onnx.load(path))
    whole = mean_graph(graphs)
    write_graph(whole, path)
    return [value.name for value in whole.graph.input]


def write_graph(graph: onnx.ModelProto, path: Path) -> None:
    """Write the graph of a head, once it is one: `logit` out, any number of files, finite."""
    check_graph(graph, inputs=[value.name for value in graph.graph.input], outputs=[LOGIT])
    path.write_bytes(graph.SerializeToString(deterministic=True))


def _model(nodes: list, widths: Mapping[str, int], classes: int, tensors: list) -> onnx.ModelProto:
    """A model of these nodes."""

    def sequence(name: str, width: int):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["files", WINDOWS_PER_SOUNDSCAPE, width])

    inputs = [sequence(name, width) for name, width in widths.items()]
    graph = helper.make_graph(nodes, "head", inputs, [sequence(LOGIT, classes)], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
