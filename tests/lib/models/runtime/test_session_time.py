"""Each thread counts its own time inside sessions, an ended one's and a failed one's alike."""

import threading
import time

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from lib.models.runtime.onnx import OnnxFile, in_session, session_seconds


def fail_inside():
    with in_session():
        time.sleep(0.01)
        return 1 / 0


def test_only_what_passes_inside_counts_and_only_in_its_thread():
    before, seen = session_seconds(), []
    time.sleep(0.01)
    assert session_seconds() == before
    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert session_seconds() >= before + 0.01
    other = threading.Thread(target=lambda: seen.append(session_seconds()))
    other.start()
    other.join()
    assert seen == [0.0]


def test_a_session_counts_its_runs(tmp_path):
    value = helper.make_tensor_value_info
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph(
        [node], "same", [value("x", TensorProto.FLOAT, ["n"])], [value("y", TensorProto.FLOAT, ["n"])]
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), tmp_path / "m.onnx")
    file, before = OnnxFile(tmp_path / "m.onnx"), session_seconds()
    file.run_outputs(["y"], x=np.ones(3, np.float32))
    assert session_seconds() > before
