"""Export of heads to ONNX: tokens (files, 12, width) by name, site and hour where it reads them, to `logit`.

Torch networks are exported, linear heads are built node by node; graphs are averaged over seeds and chained in two
stages.
"""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper, numpy_helper
from torch import Tensor, nn

from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE
from lib.models.export.checks import check_graph
from lib.models.export.linear import IR_VERSION, LINEAR_OPSET
from lib.models.export.network import remove_metadata
from lib.models.member.averaging import AVERAGING

LOGIT = "logit"


class HeadNetwork(Protocol):
    """The common interface of the heads' networks."""

    widths: dict[str, int]  # of the embeddings that it reads, by name

    @property
    def context(self) -> tuple[str, ...]:
        """Its other inputs: "site" and "hour", or nothing."""

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        """(files, 12, classes) logits."""


class _ByPosition(nn.Module):
    """The network with positional inputs, as the exporter names them."""

    def __init__(self, network: HeadNetwork):
        super().__init__()
        self.network, self.names = network, head_inputs(network)

    def forward(self, *values: Tensor) -> Tensor:
        """The network's logits."""
        return self.network(dict(zip(self.names, values, strict=True)))


def head_inputs(network: HeadNetwork) -> list[str]:
    """The names of a network's inputs, in the order of its graph."""
    return [*network.widths, *network.context]


def export_head(network: HeadNetwork, path: Path) -> None:
    """Write the checked graph of an evaluated network, for any number of soundscapes.

    torch's older exporter is taken: over an unrolled scan the newer one needs 30 times as long for the same outputs.
    """
    names = head_inputs(network)
    tokens = [torch.zeros(2, WINDOWS_PER_SOUNDSCAPE, width) for width in network.widths.values()]
    context = [torch.zeros(2, dtype=torch.int64) for _ in network.context]
    written = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the older exporter warns that it is the older one
        torch.onnx.export(
            _ByPosition(network).eval(),
            (*tokens, *context),
            written,  # type: ignore[arg-type]  # the older exporter writes to a buffer, the annotation is the newer one's
            dynamo=False,
            opset_version=LINEAR_OPSET,
            input_names=names,
            output_names=[LOGIT],
            dynamic_axes={name: {0: "files"} for name in (*names, LOGIT)},
        )
    model = remove_metadata(onnx.load_from_string(written.getvalue()))
    check_graph(model, inputs=names, outputs=[LOGIT])
    path.write_bytes(model.SerializeToString(deterministic=True))


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


def identity_graph(name: str, classes: int) -> onnx.ModelProto:
    """The graph whose logit is the token of that name, unchanged."""
    return _model([helper.make_node("Identity", [name], [LOGIT])], {name: classes}, classes, [])


def mean_graph(graphs: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    """One graph of the mean logit of graphs with the same inputs: the seeds of a fold, by the table of averages."""
    if AVERAGING["head"].seeds != "logit":
        raise ValueError("graphs of heads output logits, and can be averaged as nothing else")
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
    """Write one graph of the mean logit of the graphs that these write; return the names of its inputs."""
    graphs = []
    for export in exports:
        export(path)
        graphs.append(onnx.load(path))
    whole = mean_graph(graphs)
    write_graph(whole, path)
    return [value.name for value in whole.graph.input]


def write_graph(graph: onnx.ModelProto, path: Path) -> None:
    """Check the graph of a head (`logit` out, any number of files, finite) and write it."""
    check_graph(graph, inputs=[value.name for value in graph.graph.input], outputs=[LOGIT])
    path.write_bytes(graph.SerializeToString(deterministic=True))


def _model(nodes: list, widths: Mapping[str, int], classes: int, tensors: list) -> onnx.ModelProto:
    """A model of these nodes."""

    def sequence(name: str, width: int):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["files", WINDOWS_PER_SOUNDSCAPE, width])

    inputs = [sequence(name, width) for name, width in widths.items()]
    graph = helper.make_graph(nodes, "head", inputs, [sequence(LOGIT, classes)], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", LINEAR_OPSET)], ir_version=IR_VERSION)


def chain_graphs(first: Path, then: Path, joint: str, path: Path) -> None:
    """Write the graph in which the output of the head in `first` is the input `joint` of the one in `then`."""
    second = onnx.load(then)
    (output,) = [value.name for value in second.graph.output]
    head = compose.add_prefix(onnx.load(first), "first/", rename_inputs=False)
    whole = compose.add_prefix(second, "then/", rename_inputs=False, rename_outputs=False)
    bridge = helper.make_node("Identity", [head.graph.output[0].name], [joint])
    nodes = [*head.graph.node, bridge, *whole.graph.node]
    inputs = {value.name: value for part in (head, whole) for value in part.graph.input if value.name != joint}
    for field, values in (("node", nodes), ("input", inputs.values())):
        whole.graph.ClearField(field)
        getattr(whole.graph, field).extend(values)
    whole.graph.initializer.extend(head.graph.initializer)
    whole.graph.value_info.extend(head.graph.value_info)
    check_graph(whole, inputs=list(inputs), outputs=[output])
    path.write_bytes(whole.SerializeToString(deterministic=True))
