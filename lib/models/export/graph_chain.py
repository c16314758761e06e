"""Two heads' graphs made one: the second reads, beside its tokens, what the first answers."""

from pathlib import Path

import onnx
from onnx import compose, helper

from lib.models.export.checks import check_graph


def chain_graphs(first: Path, then: Path, joint: str, path: Path) -> None:
    """Write the graph in which the answer of the head in `first` is the input `joint` of the one in `then`."""
    first, then = onnx.load(first), onnx.load(then)
    (output,) = [value.name for value in then.graph.output]
    first = compose.add_prefix(first, "first/", rename_inputs=False)
    whole = compose.add_prefix(then, "then/", rename_inputs=False, rename_outputs=False)
    bridge = helper.make_node("Identity", [first.graph.output[0].name], [joint])
    nodes = [*first.graph.node, bridge, *whole.graph.node]
    inputs = {value.name: value for part in (first, whole) for value in part.graph.input if value.name != joint}
    for field, values in (("node", nodes), ("input", inputs.values())):
        whole.graph.ClearField(field)
        getattr(whole.graph, field).extend(values)
    whole.graph.initializer.extend(first.graph.initializer)
    whole.graph.value_info.extend(first.graph.value_info)
    check_graph(whole, inputs=list(inputs), outputs=[output])
    path.write_bytes(whole.SerializeToString(deterministic=True))
