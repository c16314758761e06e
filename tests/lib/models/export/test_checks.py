"""A graph that would disappoint on Kaggle is refused before it becomes a member, and everything at fault is named."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from lib.core.errors import BadInput
from lib.models.export.checks import check_graph


def graph(*, opset=18, names=("x", "y"), rows="rows", weight=1.0, nodes=(), domain=""):
    """y = x × weight, through further nodes of the form (operator, attributes)."""
    tensors = [numpy_helper.from_array(np.full(2, 1.0, np.float32), name) for name in ("scale", "bias", "mean", "var")]
    tensors.append(numpy_helper.from_array(np.array([1.0, weight], np.float32), "weight"))
    last, made = "weighted", [helper.make_node("Mul", [names[0], "weight"], ["weighted"])]
    for n, (kind, attributes) in enumerate(nodes):
        extra = ["scale", "bias", "mean", "var"] if kind == "BatchNormalization" else []
        outputs = [f"n{n}", f"mean{n}", f"var{n}"] if attributes.get("training_mode") else [f"n{n}"]
        made.append(helper.make_node(kind, [last, *extra], outputs, name=f"{kind}_{n}", domain=domain, **attributes))
        last = f"n{n}"
    made.append(helper.make_node("Identity", [last], [names[1]]))
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, 2]) for name in names]
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(helper.make_graph(made, "g", infos[:1], infos[1:], tensors), opset_imports=opsets)


def check(model):
    check_graph(model, inputs=["x"], outputs=["y"])


def test_a_sound_graph_passes():
    check(graph(nodes=[("BatchNormalization", {"training_mode": 0}), ("Relu", {})]))
    check(graph(nodes=[("BatchNormalization", {})]))
    unused = graph()
    unused.opset_import.append(helper.make_opsetid("com.microsoft", 1))  # quantisers leave such entries
    check(unused)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (graph(nodes=[("BatchNormalization", {"training_mode": 1})]), "batch-norm left in training mode: BatchNorm"),
        (graph(nodes=[("Dropout", {})]), "dropout left in training mode"),
        (graph(weight=np.nan), "NaN or infinity in weight"),
        (graph(weight=-np.inf), "NaN or infinity in weight"),
        (graph(opset=11), "opset 11 of ai.onnx"),
        (graph(opset=23), "opset 23 of ai.onnx"),
        (graph(nodes=[("Gelu", {})], domain="com.microsoft"), "opset 1 of com.microsoft"),
        (graph(names=("spectrogram", "y")), "the interface is"),
        (graph(names=("x", "logits")), "the interface is"),
        (graph(rows=12), "x has a fixed number of rows"),
    ],
)
def test_each_fault_is_refused_by_name(model, named):
    with pytest.raises(BadInput, match=named):
        check(model)


def test_all_faults_are_named_at_once():
    with pytest.raises(BadInput, match=r"opset 11.*dropout.*NaN"):
        check(graph(opset=11, weight=np.nan, nodes=[("Dropout", {})]))


def test_a_constant_inside_the_graph_is_looked_at_too():
    model = graph()
    value = numpy_helper.from_array(np.array([np.nan], np.float32))
    model.graph.node.insert(0, helper.make_node("Constant", [], ["c"], value=value))
    with pytest.raises(BadInput, match="NaN or infinity in c"):
        check(model)
