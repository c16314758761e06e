"""An ONNX graph as it grows: constants and nodes are added by name, and the written bytes depend on nothing else."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lib.models.export.linear import IR_VERSION, LINEAR_OPSET

STANDIN_GRAPH = "standin"  # the graph's name in the file: by it a packed embedder's card marks a stand-in


class Graph:
    """Nodes in the order they were added; what has no scope of its own is numbered, as exporters do."""

    def __init__(self):
        self.outputs: dict[str, list] = {}  # name -> shape
        self._nodes, self._tensors = [], []

    def add(self, operator: str, *inputs: str | np.ndarray | float, scope: str = "", **attributes) -> str:
        """The name of the new node's output; inputs that are numbers become constants."""
        name = scope or f"val_{len(self._nodes)}"
        names = [self._constant(item, f"{name}/const_{place}") for place, item in enumerate(inputs)]
        label = f"{scope}_{operator}" if scope else f"node_{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, names, [name], name=label, **attributes))
        return name

    def add_output(self, source: str, name: str, shape: list) -> None:
        """Make a tensor an output of this name and shape."""
        self._nodes.append(helper.make_node("Identity", [source], [name], name=f"node_{name}"))
        self.outputs[name] = shape

    def save(self, path: Path, inputs: dict[str, list]) -> None:
        """Write the checked model with float32 inputs of these shapes; the same graph gives the same bytes."""
        values_in, values_out = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in side.items()]
            for side in (inputs, self.outputs)
        )
        graph = helper.make_graph(self._nodes, STANDIN_GRAPH, values_in, values_out, self._tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", LINEAR_OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))

    def _constant(self, item: str | np.ndarray | float, name: str) -> str:
        """The item where it names a tensor; else the name of a new one: int64 for whole numbers, float32 for others."""
        if isinstance(item, str):
            return item
        kind = np.int64 if np.issubdtype(np.asarray(item).dtype, np.integer) else np.float32
        self._tensors.append(numpy_helper.from_array(np.array(item, dtype=kind, order="C"), name))
        return name
