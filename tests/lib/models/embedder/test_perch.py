"""Perch is read through its named input and outputs; a file that differs from it anywhere is refused."""

import numpy as np
import onnx
import pytest
from onnx import helper

from lib.core.errors import BadInput
from lib.models.embedder.perch import Perch
from lib.models.runtime.onnx import OnnxFile
from tests.support.standin import LABELS, loudness, write_standin

NAMES = tuple(f"Genus species{number}" for number in range(LABELS))


@pytest.mark.parametrize("ones", [0, 2])
def test_tokens_are_those_of_the_outputs_of_that_name_whatever_their_order_and_the_rank_of_the_input(tmp_path, ones):
    weights = write_standin(tmp_path / "perch.onnx", ones)
    windows = np.random.default_rng(1).normal(size=(14, 160_000)).astype(np.float32)
    perch = Perch(OnnxFile(tmp_path / "perch.onnx"), NAMES)
    outputs = perch.embed(windows)
    np.testing.assert_allclose(outputs.embedding, loudness(windows) @ weights, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs.logits, -loudness(windows), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(perch.embeddings(windows), outputs.embedding)
    assert (perch.labels, perch.embedding_size, perch.blocks, outputs.blocks) == (NAMES, 1536, (), {})


def with_other_input(model, *shape):
    value = helper.make_tensor_value_info("inputs", onnx.TensorProto.FLOAT, shape)
    model.graph.input[0].CopyFrom(value)


def with_output(model, operation, inputs, name, **attributes):
    model.graph.node.append(helper.make_node(operation, inputs, [name], **attributes))
    model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))


def rename(model, old, new):
    for node in model.graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
    for value in model.graph.output:
        value.name = new if value.name == old else value.name


WRONG = {
    "no embedding": (lambda model: rename(model, "embedding", "vector"), r"called embedding[\s\S]*'vector'"),
    "no logits": (lambda model: rename(model, "label", "logits"), r"called label[\s\S]*'logits'"),
    "another embedding": (
        lambda model: (rename(model, "embedding", "long"), with_output(model, "Abs", ["loudness"], "embedding")),
        r"embedding \(rows, 1536\)[\s\S]*\(2, 100\)",
    ),
    "another spatial embedding": (
        lambda model: with_output(model, "Abs", ["square_map"], "spatial_embedding"),
        r"spatial_embedding \(rows, 16, 4, 1536\)[\s\S]*\(2, 1, 10, 10\)",
    ),
    "another spectrogram": (
        lambda model: with_output(model, "Abs", ["loudness"], "spectrogram"),
        r"spectrogram \(rows, 500, 128\)[\s\S]*\(2, 100\)",
    ),
    "another length": (lambda model: with_other_input(model, "rows", 144_000), r"any rows, 160000[\s\S]*144000"),
    "a fixed number of rows": (lambda model: with_other_input(model, 1, 160_000), r"any rows[\s\S]*\(1, 160000\)"),
    "rows in another axis": (lambda model: with_other_input(model, 160_000, "rows"), r"any rows"),
    "another axis": (lambda model: with_other_input(model, "rows", 160_000, 2), r"axes of 1[\s\S]*160000, 2"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_another_interface_is_refused_with_what_was_expected_and_got(tmp_path, wrong):
    write_standin(tmp_path / "perch.onnx")
    model = onnx.load(tmp_path / "perch.onnx")
    change, message = WRONG[wrong]
    change(model)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(BadInput, match=message):
        Perch(OnnxFile(tmp_path / "other.onnx"), NAMES)


def test_another_number_of_labels_than_its_table_has_is_refused_and_without_a_table_it_still_embeds(tmp_path):
    write_standin(tmp_path / "perch.onnx")
    file = OnnxFile(tmp_path / "perch.onnx")
    with pytest.raises(BadInput, match=r"as many as its table has labels \(99\)[\s\S]*\(2, 100\)"):
        Perch(file, NAMES[1:])
    assert Perch(file).embeddings(np.ones((1, 160_000))).shape == (1, 1536)
