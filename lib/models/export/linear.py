"""Export of linear models to ONNX: each fold standardises, clips and multiplies; the folds' average is in the graph."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lib.models.member.averaging import AVERAGING

LINEAR_OPSET = 17  # old enough for every ONNX Runtime that a kernel may carry
IR_VERSION = 8


def export_linear(path: Path, folds: Sequence) -> None:
    """Write the graph `features` (rows, n) float32 -> `prob` (rows, classes): the average of fitted linear models."""
    nodes, tensors = [], []

    def constant(name: str, value: np.ndarray | float) -> str:
        tensors.append(numpy_helper.from_array(np.asarray(value, dtype=np.float32), name))
        return name

    low, high = constant("low", -folds[0].clip), constant("high", folds[0].clip)
    for n, fold in enumerate(folds):
        centre, spread = constant(f"centre{n}", fold.centre), constant(f"spread{n}", fold.spread)
        weights, bias = constant(f"weights{n}", fold.weights), constant(f"bias{n}", fold.bias)
        nodes += [
            helper.make_node("Sub", ["features", centre], [f"centred{n}"]),
            helper.make_node("Div", [f"centred{n}", spread], [f"scaled{n}"]),
            helper.make_node("Clip", [f"scaled{n}", low, high], [f"clipped{n}"]),
            helper.make_node("Gemm", [f"clipped{n}", weights, bias], [f"logit{n}"]),
        ]
    nodes += _average_nodes([f"logit{n}" for n in range(len(folds))])
    features, classes = folds[0].weights.shape
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", features])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, ["rows", classes])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", LINEAR_OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _average_nodes(logits: list[str]) -> list[onnx.NodeProto]:
    """The nodes from the folds' logits to `prob`, by the table of averages."""
    if AVERAGING["statistics"].folds == "logit":
        return [helper.make_node("Mean", logits, ["logit"]), helper.make_node("Sigmoid", ["logit"], ["prob"])]
    probabilities = [f"prob of {logit}" for logit in logits]
    sigmoids = [helper.make_node("Sigmoid", [logit], [prob]) for logit, prob in zip(logits, probabilities, strict=True)]
    return [*sigmoids, helper.make_node("Mean", probabilities, ["prob"])]
