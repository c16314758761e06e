"""Whatever its format, a frozen model opens by one call with outputs in its own labels, unless these never change."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lib.core.errors import BadInput
from lib.models.embedder.open import open_frozen
from lib.models.embedder.perch import Perch
from lib.models.embedder.short_window import ShortWindowEmbedder
from tests.support.standin import write_labels, write_standin
from tests.support.tinytflite import write_tflite

LEVELS = np.random.default_rng(0).normal(size=(6, 15_600))
HEAD = np.random.default_rng(1).normal(size=(4, 6))
WINDOWS = np.random.default_rng(2).normal(size=(2, 160_000)).astype(np.float32)


def write_birdnet(path):
    """An ONNX file with the interface of public exports of BirdNET 2.4: six thousand samples a level."""
    constants = {"parts": np.array([-1, 24, 6000]), "axis": np.array([2]), "head": np.eye(24, 5, dtype=np.float32)}
    nodes = [
        helper.make_node("Reshape", ["input", "parts"], ["cut"]),
        helper.make_node("Abs", ["cut"], ["sizes"]),
        helper.make_node("ReduceMean", ["sizes", "axis"], ["model/GLOBAL_AVG_POOL/Mean_reduced_0"], keepdims=0),
        helper.make_node("MatMul", ["model/GLOBAL_AVG_POOL/Mean_reduced_0", "head"], ["output"]),
    ]
    shapes = {"output": ["n", 5], "model/GLOBAL_AVG_POOL/Mean_reduced_0": ["n", 24]}
    graph = helper.make_graph(
        nodes,
        "birdnet",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 144_000])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)


def test_a_tflite_file_gives_its_pooled_tensor_and_the_sums_before_its_probabilities(tmp_path):
    write_tflite(tmp_path / "m.tflite", {"net/global_average_pooling2d/Mean": LEVELS, "net/dense/BiasAdd": HEAD})
    write_labels(tmp_path / "labels.csv", 4)
    model = open_frozen(tmp_path / "m.tflite")
    assert isinstance(model, ShortWindowEmbedder)
    assert (model.embedding_size, len(model.labels), model.blocks) == (6, 4, ())
    outputs = model.embed(WINDOWS)
    levels = model._format.inputs(WINDOWS) @ LEVELS.T  # (rows, 5 excerpts, 6)
    np.testing.assert_allclose(outputs.embedding, levels.mean(axis=1), rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(outputs.logits, (levels @ HEAD.T).max(axis=1), rtol=1e-3, atol=1e-1)


def test_perch_and_birdnet_as_onnx_are_distinguished_by_their_input(tmp_path):
    write_birdnet(tmp_path / "birdnet.onnx")
    (tmp_path / "birdnet.txt").write_text("\n".join(f"Genus species{n}_Bird {n}" for n in range(5)))
    birdnet = open_frozen(tmp_path / "birdnet.onnx")
    outputs = birdnet.embed(WINDOWS)
    levels = np.abs(birdnet._format.inputs(WINDOWS).reshape(2, 2, 24, 6000)).mean(axis=3)
    np.testing.assert_allclose(outputs.embedding, levels.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(outputs.logits, levels.max(axis=1)[:, :5], rtol=1e-4)
    assert birdnet.labels[4] == "Genus species4"
    write_standin(tmp_path / "perch.onnx")
    names = write_labels(tmp_path / "perch.csv")
    perch = open_frozen(tmp_path / "perch.onnx", tmp_path / "perch.csv")
    assert isinstance(perch, Perch)
    assert perch.labels == names


@pytest.mark.parametrize(
    ("output", "factor", "message"),
    [
        ("label", 0.0, "identical output for different sounds"),
        ("embedding", 0.0, "identical for two"),
        ("label", np.nan, "NaN"),
    ],
)
def test_a_model_of_constant_or_infinite_output_is_refused(tmp_path, output, factor, message):
    write_standin(tmp_path / "perch.onnx")
    write_labels(tmp_path / "labels.csv")
    open_frozen(tmp_path / "perch.onnx")
    model = onnx.load(tmp_path / "perch.onnx")
    node = next(node for node in model.graph.node if node.output[0] == output)
    node.output[0] = "before"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(factor), "factor"))
    model.graph.node.append(helper.make_node("Mul", ["before", "factor"], [output]))
    onnx.save(model, tmp_path / "constant.onnx")
    with pytest.raises(BadInput, match=message):
        open_frozen(tmp_path / "constant.onnx")


def test_another_format_or_a_damaged_file_is_refused(tmp_path):
    write_labels(tmp_path / "labels.csv")
    (tmp_path / "perch.onnx").write_bytes(b"half a model")
    with pytest.raises(BadInput, match=r"perch\.onnx cannot be opened[\s\S]*ONNX Runtime"):
        open_frozen(tmp_path / "perch.onnx")
    with pytest.raises(BadInput, match=r"\.onnx or \.tflite[\s\S]*\.pt"):
        open_frozen(tmp_path / "perch.pt")
