"""Two graphs joined into one compute what the two do in turn, whatever names they share."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lib.core.errors import BadInput
from lib.models.export.head import chain_graphs
from lib.models.export.linear import LINEAR_OPSET
from lib.models.runtime.onnx import OnnxSession


def graph(path, inputs, nodes, constant, batch="files"):
    """A head's graph on inputs of width 2, with one constant called `c`."""
    of = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 12, 2])  # noqa: E731
    tensors = [numpy_helper.from_array(np.array(constant, dtype=np.float32), "c")]
    made = helper.make_graph(nodes, "head", [of(name) for name in inputs], [of("logit")], tensors)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", LINEAR_OPSET)], ir_version=8), path)
    return path


@pytest.fixture
def first(tmp_path):
    """logit = 3 · embedding + block."""
    nodes = [helper.make_node("Mul", ["embedding", "c"], ["x"]), helper.make_node("Add", ["x", "block:a"], ["logit"])]
    return graph(tmp_path / "first.onnx", ["embedding", "block:a"], nodes, 3.0)


@pytest.fixture
def then(tmp_path):
    """logit = first_pass + 10 + embedding; `x` and `c` mean something else than in the first."""
    nodes = [
        helper.make_node("Add", ["first_pass", "c"], ["x"]),
        helper.make_node("Add", ["x", "embedding"], ["logit"]),
    ]
    return graph(tmp_path / "then.onnx", ["embedding", "first_pass"], nodes, 10.0)


def test_the_second_hears_the_first_and_an_input_of_both_is_asked_for_once(first, then, tmp_path):
    chain_graphs(first, then, "first_pass", tmp_path / "both.onnx")
    session = OnnxSession(tmp_path / "both.onnx", inputs=["embedding", "block:a"], outputs=["logit"])
    for files in (1, 3):
        random = np.random.default_rng(files)
        tokens = {name: random.normal(size=(files, 12, 2)).astype(np.float32) for name in ("embedding", "block:a")}
        (logit,) = session.run(**tokens)
        np.testing.assert_allclose(logit, 4 * tokens["embedding"] + tokens["block:a"] + 10, atol=1e-5)


def test_the_same_graphs_give_the_same_bytes(first, then, tmp_path):
    for name in ("one", "two"):
        chain_graphs(first, then, "first_pass", tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_graph_for_a_fixed_number_of_files_is_refused(first, tmp_path):
    node = helper.make_node("Add", ["first_pass", "c"], ["logit"])
    fixed = graph(tmp_path / "fixed.onnx", ["first_pass"], [node], 1.0, batch=4)
    with pytest.raises(BadInput, match="fixed number of rows"):
        chain_graphs(first, fixed, "first_pass", tmp_path / "both.onnx")
    assert not (tmp_path / "both.onnx").exists()
