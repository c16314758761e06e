"""Checks of an exported graph: in evaluation mode, finite, of a known opset, with the agreed interface."""

import numpy as np
import onnx
from onnx import numpy_helper

from lib.core.errors import BadInput, shorten

OPSETS = range(13, 22)  # read by every ONNX Runtime since 2024 and by OpenVINO


def check_graph(model: onnx.ModelProto, *, inputs: list[str], outputs: list[str]) -> None:
    """Raise BadInput, naming everything at fault, unless the graph may become a member."""
    faults = [*_interface(model, inputs, outputs), *_opsets(model), *_training(model), *_unfinite(model)]
    if faults:
        raise BadInput(
            "the exported graph cannot be a member",
            expected=f"{inputs} -> {outputs}, evaluated, finite, opset {OPSETS.start} to {OPSETS.stop - 1}",
            got="; ".join(faults),
            do="fix the network or its export, and export again",
        )
    onnx.checker.check_model(model)


def _interface(model: onnx.ModelProto, inputs: list[str], outputs: list[str]) -> list[str]:
    """Faults of the names of inputs and outputs, and first dimensions that do not take any number of rows."""
    graph = model.graph
    have = [value.name for value in graph.input], [value.name for value in graph.output]
    faults = [] if have == (inputs, outputs) else [f"the interface is {have[0]} -> {have[1]}"]
    shapes = {value.name: value.type.tensor_type.shape.dim for value in (*graph.input, *graph.output)}
    return faults + [f"{name} has a fixed number of rows" for name, dims in shapes.items() if dims[0].dim_value]


def _opsets(model: onnx.ModelProto) -> list[str]:
    """Operator sets that a runtime may not support."""
    used = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    needed = {node.domain or "ai.onnx" for node in model.graph.node}
    return [
        f"opset {version} of {domain}"
        for domain, version in used.items()
        if domain in needed and (domain != "ai.onnx" or version not in OPSETS)
    ]


def _training(model: onnx.ModelProto) -> list[str]:
    """Nodes that behave as in training."""
    batch_norms = [
        node.name or node.output[0]
        for node in model.graph.node
        if node.op_type == "BatchNormalization"
        and any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute)
    ]
    dropouts = [node.name or node.output[0] for node in model.graph.node if node.op_type == "Dropout"]
    return [
        f"{what} left in training mode: {shorten(nodes, 3)}"
        for what, nodes in (("batch-norm", batch_norms), ("dropout", dropouts))
        if nodes
    ]


def _unfinite(model: onnx.ModelProto) -> list[str]:
    """Weights and constants that hold NaN or infinity."""
    constants = [
        (node.output[0], attribute.t)
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    tensors = [(tensor.name, tensor) for tensor in model.graph.initializer] + constants
    wrong = [name for name, tensor in tensors if not np.isfinite(numpy_helper.to_array(tensor)).all()]
    return [f"NaN or infinity in {shorten(wrong, 3)}"] if wrong else []
