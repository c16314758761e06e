"""A network leaves for ONNX whole, the same bytes each time, and not at all when something is wrong with it."""

import numpy as np
import onnx
import pytest
import torch

from lib.core.errors import BadInput
from lib.models.export.checks import check_graph
from lib.models.export.network import NETWORK_INPUTS, NETWORK_OPSET, NETWORK_OUTPUTS, export_network
from lib.models.export.parity import onnx_runner
from lib.models.network.network import build_network
from lib.models.network.settings import NetworkSettings

EVERYTHING = NetworkSettings(width=8, hidden=16, interaction=4, distil_size=6, stop_gradient=True)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = build_network(EVERYTHING, 5)
    network.interaction.layers[2].weight.data.normal_()
    network.train()
    for _ in range(3):  # batch-norm must have something to remember
        network(2.0 + torch.randn(8, 1, 32, 40))
    return network.eval()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "fold0.onnx"
    export_network(network, path, mels=32, frames=40)
    return path


def test_any_number_of_rows_gets_the_answers_of_the_network(network, exported):
    run = onnx_runner(exported)
    for rows in (1, 5, 12):
        spectrograms = np.random.default_rng(rows).normal(2, 1, size=(rows, 1, 32, 40)).astype(np.float32)
        clip, frames = run(spectrograms)
        with torch.inference_mode():
            expected = network(torch.from_numpy(spectrograms))
        np.testing.assert_allclose(clip, expected.clip_logits, atol=1e-4)
        np.testing.assert_allclose(frames, expected.frame_logits, atol=1e-4)


def test_another_size_of_picture_is_refused_by_the_graph(exported):
    with pytest.raises(Exception, match="Got invalid dimensions"):
        onnx_runner(exported)(np.zeros((1, 1, 32, 44), np.float32))


def test_the_graph_holds_what_inference_needs_and_nothing_else(exported, network):
    model = onnx.load(exported)
    assert [value.name for value in model.graph.input] == NETWORK_INPUTS
    assert [value.name for value in model.graph.output] == NETWORK_OUTPUTS
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", NETWORK_OPSET)]
    assert not any("distil" in tensor.name for tensor in model.graph.initializer)
    assert b".py" not in exported.read_bytes()  # the exporter notes paths and lines of source


def test_the_same_network_gives_the_same_bytes_and_stays_as_it_was(network, exported, tmp_path):
    export_network(network, tmp_path / "again.onnx", mels=32, frames=40)
    assert (tmp_path / "again.onnx").read_bytes() == exported.read_bytes()
    assert not any(module.training for module in network.modules())


def test_a_network_in_training_is_refused_and_nothing_is_written(network, tmp_path):
    one_norm = next(module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d))
    one_norm.train()
    try:
        with pytest.raises(BadInput, match=r"backbone\.stages\.0"):
            export_network(network, tmp_path / "no.onnx", mels=32, frames=40)
    finally:
        one_norm.eval()
    assert not (tmp_path / "no.onnx").exists()


def test_a_weight_that_is_not_a_number_is_refused_and_nothing_is_written(network, tmp_path):
    weight = network.head.classes.weight.data
    before = weight[0, 0].clone()
    weight[0, 0] = float("nan")
    try:
        with pytest.raises(BadInput, match="NaN or infinity"):
            export_network(network, tmp_path / "no.onnx", mels=32, frames=40)
    finally:
        weight[0, 0] = before
    assert not (tmp_path / "no.onnx").exists()


@pytest.mark.filterwarnings("ignore")
def test_what_others_export_in_training_mode_is_found_in_the_graph(tmp_path):
    """torch itself writes such a graph without a word."""
    layers = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Dropout(0.5))
    torch.onnx.export(
        layers,
        torch.zeros(2, 1, 8, 8),
        tmp_path / "t.onnx",
        dynamo=False,
        training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": [0], "y": [0]},
    )
    with pytest.raises(BadInput, match=r"batch-norm left in training mode.*dropout left in training mode"):
        check_graph(onnx.load(tmp_path / "t.onnx"), inputs=["x"], outputs=["y"])
