"""OpenVINO runs by name, in several threads at once, in the precision that was set, and without telemetry."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from build.project import ROOT
from lib.models.runtime.openvino import OpenvinoSession, multiplies_bfloat16, openvino_installed

pytestmark = pytest.mark.skipif(not openvino_installed(), reason="OpenVINO is optional")


def test_inputs_and_outputs_go_by_name(tmp_path):
    nodes = [helper.make_node("Sub", ["a", "b"], ["less"]), helper.make_node("Add", ["a", "b"], ["more"])]
    infos = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows"]) for name in ("a", "b", "less", "more")
    }
    graph = helper.make_graph(nodes, "g", [infos["a"], infos["b"]], [infos["less"], infos["more"]])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "g.onnx")
    session = OpenvinoSession(tmp_path / "g.onnx", inputs=["a", "b"], outputs=["more", "less"])
    more, less = session.run(b=np.array([1.0, 5.0], np.float32), a=np.array([2.0, 3.0], np.float32))
    np.testing.assert_array_equal(more, [3.0, 8.0])
    np.testing.assert_array_equal(less, [1.0, -2.0])


@pytest.fixture
def product(tmp_path):
    """The file of a graph `a` (rows, 64) -> `b` (rows, 64) = a @ weights, and the weights."""
    weights = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 64]) for name in "ab"]
    node = helper.make_node("MatMul", ["a", "weights"], ["b"])
    graph = helper.make_graph([node], "g", infos[:1], infos[1:], [numpy_helper.from_array(weights, "weights")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "g.onnx")
    return tmp_path / "g.onnx", weights


def test_several_threads_may_run_at_once_and_outputs_stay(product):
    path, weights = product
    session = OpenvinoSession(path, inputs=["a"], outputs=["b"])
    inputs = [np.random.default_rng(n).normal(size=(200, 64)).astype(np.float32) for n in range(60)]
    with ThreadPoolExecutor(6) as pool:
        outputs = list(pool.map(lambda a: session.run(a=a)[0], inputs))
    for a, output in zip(inputs, outputs, strict=True):
        np.testing.assert_allclose(output, a @ weights, rtol=1e-4, atol=1e-4)


def test_float32_is_float32_and_bfloat16_is_rounder(product):
    path, weights = product
    a = np.random.default_rng(1).normal(size=(12, 64)).astype(np.float32)
    errors = {
        precision: np.abs(
            OpenvinoSession(path, inputs=["a"], outputs=["b"], precision=precision).run(a=a)[0] - a @ weights
        )
        for precision in ("f32", "bf16")
    }
    assert errors["f32"].max() < 1e-4
    assert 1e-3 < errors["bf16"].max() < 0.5 or not multiplies_bfloat16()


def test_openvinos_telemetry_is_off(tmp_path):
    """Its telemetry counts every import in a file below the home folder before it goes online."""
    code = "import sys; from lib.models.runtime.openvino import load_openvino; print(load_openvino().__version__)"
    code += "; print([name for name, module in sys.modules.items() if 'openvino_telemetry' in name and module])"
    home = os.environ | {"HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=home, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[1] == "[]"
    assert list(tmp_path.iterdir()) == []
