"""A TFLite file gives any of its tensors by name, row by row, dequantised, in any thread."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lib.core.errors import BadInput
from lib.models.runtime.tflite import TfliteFile
from tests.support.tinytflite import write_tflite

FIRST, SECOND = np.array([[1.0, 2, 0, -1], [0, 1, 1, 3]]), np.array([[2.0, 1], [-1, 0], [1, 1]])
ROWS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


@pytest.fixture
def tiny(tmp_path):
    write_tflite(tmp_path / "tiny.tflite", {"first": FIRST, "second": SECOND}, quantised=(0.25, 3))
    return TfliteFile(tmp_path / "tiny.tflite")


def test_inner_tensors_are_given_by_name_in_the_requested_order_for_all_rows(tiny):
    second, first, probabilities = tiny.run_outputs(["second", "first", "Identity"], sound=ROWS)
    np.testing.assert_allclose(first, ROWS @ FIRST.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second, ROWS @ FIRST.T @ SECOND.T, rtol=1e-5, atol=1e-5)
    assert probabilities.shape == (5, 3)
    assert {array.dtype for array in (first, second, probabilities)} == {np.dtype("float32")}


def test_quantised_tensors_are_dequantised(tiny):
    exact, whole = tiny.run_outputs(["second", "whole"], sound=ROWS)
    assert np.abs(whole - exact).max() <= 0.125 + 1e-6
    np.testing.assert_array_equal(whole * 4, np.round(whole * 4))
    assert np.unique(whole).size > 4


def test_shapes_are_those_of_the_input_and_of_tensors_with_a_row_axis(tiny):
    assert tiny.inputs == {"sound": (1, 4)}
    assert {name: tiny.outputs[name] for name in ("first", "second")} == {"first": (1, 2), "second": (1, 3)}
    assert not {"sound", "first/weights", "second/weights"} & set(tiny.outputs)


def test_threads_do_not_disturb_each_other(tiny):
    many = np.random.default_rng(1).normal(size=(8, 400, 4)).astype(np.float32)
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda rows: tiny.run_outputs(["second"], sound=rows)[0], many))
    for rows, output in zip(many, outputs, strict=True):
        np.testing.assert_allclose(output, rows @ FIRST.T @ SECOND.T, rtol=1e-4, atol=1e-4)


def test_a_missing_package_and_a_damaged_file_are_refused(tmp_path, monkeypatch):
    (tmp_path / "broken.tflite").write_bytes(b"no model")
    with pytest.raises(BadInput, match="fetch it again"):
        TfliteFile(tmp_path / "broken.tflite")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(BadInput, match="pip install ai-edge-litert"):
        TfliteFile(tmp_path / "broken.tflite")
