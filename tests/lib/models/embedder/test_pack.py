"""Blocks are read off a graph, whatever its layout, and a copy outputs their means beside all other outputs."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from lib.core.errors import BadInput
from lib.models.embedder.pack import Block, expose_block_outputs, list_blocks

SOUND = np.random.default_rng(0).normal(size=(2, 1, 6, 4)).astype(np.float32)


def write_network(path, opset):
    """Three blocks: one with channels first, one with channels last and a gate, one whose kernel stands turned."""
    rng = np.random.default_rng(1)

    def kernel(*shape):
        return rng.normal(size=shape).astype(np.float32)

    constants = {"k0": kernel(3, 1, 1, 1), "k1": kernel(5, 3, 1, 1), "k10": kernel(1, 1, 5, 7), "two": np.float32(2)}
    constants |= {"square": np.array([-1, 1, 6, 4]), "flat": np.array([-1, 24])}
    turned = helper.make_node("Constant", [], ["turned"], value=numpy_helper.from_array(constants.pop("k10")))
    nodes = [
        turned,
        helper.make_node("Reshape", ["sound", "square"], ["front/map"]),
        helper.make_node("Conv", ["front/map", "k0"], ["net/MBConv_0/conv"]),
        helper.make_node("Relu", ["net/MBConv_0/conv"], ["a"], name="net/MBConv_0/relu"),  # named by the node alone
        helper.make_node("Conv", ["a", "k1"], ["net/MBConv_1/conv"]),
        helper.make_node("Transpose", ["net/MBConv_1/conv"], ["net/MBConv_1/last"], perm=[0, 2, 3, 1]),
        helper.make_node("Exp", ["two"], ["net/MBConv_1/gate"]),
        helper.make_node("Mul", ["net/MBConv_1/gate", "net/MBConv_1/last"], ["net/MBConv_1/gated"]),
        helper.make_node("Shape", ["net/MBConv_1/gated"], ["net/MBConv_1/shape"]),  # no feature map, though the last
        helper.make_node("Transpose", ["net/MBConv_1/gated"], ["net/MBConv_10/first"], perm=[0, 3, 1, 2]),
        helper.make_node("Transpose", ["turned"], ["k10"], perm=[3, 2, 0, 1]),
        helper.make_node("Conv", ["net/MBConv_10/first", "k10"], ["net/MBConv_10/conv"]),
        helper.make_node("GlobalAveragePool", ["net/MBConv_10/conv"], ["net/Head_0/pool"]),
    ]
    outputs = [helper.make_tensor_value_info("net/Head_0/pool", TensorProto.FLOAT, ["rows", 7, 1, 1])]
    sound = helper.make_tensor_value_info("sound", TensorProto.FLOAT, ["rows", 24])
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "network", [sound], outputs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)


def outputs_of(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, {"sound": SOUND.reshape(2, 24)}), strict=True))


def test_blocks_are_listed_in_order_with_their_last_feature_map_and_its_channels(tmp_path):
    write_network(tmp_path / "n.onnx", 18)
    assert list_blocks(tmp_path / "n.onnx") == (
        Block("MBConv_0", "a", 3, 1),
        Block("MBConv_1", "net/MBConv_1/gated", 5, 3),
        Block("MBConv_10", "net/MBConv_10/conv", 7, 1),
    )


@pytest.mark.parametrize("opset", [13, 18])
def test_the_copy_outputs_the_means_over_time_and_frequency_beside_all_other_outputs(tmp_path, opset):
    write_network(tmp_path / "n.onnx", opset)
    model = onnx.load(tmp_path / "n.onnx")
    for name in ("a", "net/MBConv_1/gated", "net/MBConv_10/conv"):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    onnx.save(model, tmp_path / "open.onnx")
    expected, before = outputs_of(tmp_path / "open.onnx"), outputs_of(tmp_path / "n.onnx")
    expose_block_outputs(tmp_path / "n.onnx", ("MBConv_10", "MBConv_0", "MBConv_1"), tmp_path / "exposed.onnx")
    onnx.checker.check_model(tmp_path / "exposed.onnx", full_check=True)
    after = outputs_of(tmp_path / "exposed.onnx")
    assert list(after) == ["net/Head_0/pool", "block:MBConv_10", "block:MBConv_0", "block:MBConv_1"]
    np.testing.assert_array_equal(after["net/Head_0/pool"], before["net/Head_0/pool"])
    for block, tensor, axes in (
        ("0", "a", (2, 3)),
        ("1", "net/MBConv_1/gated", (1, 2)),
        ("10", "net/MBConv_10/conv", (2, 3)),
    ):
        np.testing.assert_allclose(
            after[f"block:MBConv_{block}"], expected[tensor].mean(axis=axes), rtol=1e-5, atol=1e-6
        )


def test_a_block_that_the_graph_lacks_is_refused_with_those_it_has(tmp_path):
    write_network(tmp_path / "n.onnx", 18)
    with pytest.raises(BadInput, match=r"MBConv_0, MBConv_1, MBConv_10[\s\S]*MBConv_2"):
        expose_block_outputs(tmp_path / "n.onnx", ("MBConv_2",), tmp_path / "exposed.onnx")
    assert not (tmp_path / "exposed.onnx").exists()
