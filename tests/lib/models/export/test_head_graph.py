"""Graphs of heads say what the fitted models say, for any number of files, and a mean of graphs is their mean."""

import numpy as np
import pytest

from lib.core.errors import BadInput
from lib.learn.baseline.logistic import LogisticSettings, fit_logistic
from lib.models.export.head import identity_graph, linear_graph, mean_graph, write_graph
from lib.models.runtime.onnx import OnnxSession

WIDTHS = {"embedding": 5, "block:signal": 2}


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(60, 7)).astype(np.float32) * [1, 9, 1, 1, 0.1, 3, 1] + 2


@pytest.fixture(scope="module")
def linears(rows):
    truths = [np.random.default_rng(n).random((60, 3)) < 0.4 for n in (1, 2)]
    return [fit_logistic(rows, truth, np.ones(truth.shape), LogisticSettings(clip=1.0)) for truth in truths]


def run(graph, path, **tokens):
    write_graph(graph, path)
    return OnnxSession(path, inputs=list(tokens), outputs=["logit"]).run(**tokens)[0]


def tokens(rows):
    files = rows.astype(np.float32).reshape(5, 12, 7)
    return {"embedding": files[..., :5], "block:signal": files[..., 5:]}


def test_a_linear_graph_lays_the_tokens_side_by_side_and_clips_them(rows, linears, tmp_path):
    found = run(linear_graph(linears[0], WIDTHS), tmp_path / "a.onnx", **tokens(rows))
    np.testing.assert_allclose(found, linears[0].logits(rows).reshape(5, 12, 3), atol=1e-5)
    assert np.abs(linears[0].standard(rows)).max() == 1.0  # so the clipping was tried


def test_the_mean_of_graphs_is_the_mean_of_their_logits_and_one_alone_is_itself(rows, linears, tmp_path):
    graphs = [linear_graph(linear, WIDTHS) for linear in linears]
    found = run(mean_graph(graphs), tmp_path / "a.onnx", **tokens(rows))
    expected = np.mean([linear.logits(rows) for linear in linears], axis=0).reshape(5, 12, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(linears[0].logits(rows) - linears[1].logits(rows)).max() > 0.1
    assert mean_graph(graphs[:1]) == graphs[0]


def test_the_identity_graph_outputs_the_token_itself(tmp_path):
    logits = np.random.default_rng(3).normal(size=(2, 12, 4)).astype(np.float32)
    np.testing.assert_array_equal(run(identity_graph("logits", 4), tmp_path / "a.onnx", logits=logits), logits)


def test_the_same_models_give_the_same_bytes(linears, tmp_path):
    for name in "ab":
        write_graph(mean_graph([linear_graph(linear, WIDTHS) for linear in linears]), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_graph_that_is_no_head_is_not_written(tmp_path):
    graph = identity_graph("logits", 4)
    graph.graph.output[0].name = graph.graph.node[0].output[0] = "prob"
    with pytest.raises(BadInput, match="prob"):
        write_graph(graph, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()
