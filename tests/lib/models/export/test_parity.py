"""An exported network has the outputs of the trained one in every runtime installed, or is refused with the table."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from lib.core.errors import BadInput
from lib.models.export.parity import NOT_INSTALLED, batch_probabilities, onnx_runner, openvino_runner, parity
from lib.models.member.windows import WindowSpec
from tests.support.tinynetwork import graph, spectrograms_of, trained

TO_PROBABILITIES = WindowSpec().probabilities


@pytest.fixture(scope="module")
def network():
    return trained()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("parity") / "fold0.onnx"
    path.write_bytes(graph())
    return path


@pytest.fixture(scope="module")
def spectrograms():
    return spectrograms_of(30, seed=5)[0]


def changed(exported, tmp_path, change):
    """A copy of the graph whose first convolution went through `change`."""
    model = onnx.load(exported)
    tensor = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))
    onnx.save(model, tmp_path / "changed.onnx")
    return tmp_path / "changed.onnx"


def test_the_runtimes_agree_with_torch_to_a_hundredth_of_the_limit(network, exported, spectrograms):
    table = parity(network, exported, spectrograms, TO_PROBABILITIES)
    assert table.index[0] == "onnxruntime"
    assert table.max_abs.max() < 1e-5
    assert table.rank_lowest.min() > 0.99


def test_openvino_computes_in_float32_where_it_is_installed(exported, spectrograms):
    pytest.importorskip("openvino")
    runs = [
        batch_probabilities(run, spectrograms, TO_PROBABILITIES)
        for run in (onnx_runner(exported), openvino_runner(exported))
    ]
    np.testing.assert_allclose(*runs, atol=1e-5)


def test_without_openvino_the_table_notes_it(network, exported, spectrograms, monkeypatch):
    monkeypatch.setattr("lib.models.export.parity.openvino_installed", lambda: False)
    table = parity(network, exported, spectrograms, TO_PROBABILITIES)
    assert table.note.to_dict() == {"onnxruntime": "", "openvino": NOT_INSTALLED}


def test_a_graph_of_other_outputs_is_refused_with_the_table(network, exported, spectrograms, tmp_path):
    with pytest.raises(BadInput, match=r"(?s)rank_lowest.*onnxruntime"):
        parity(
            network,
            changed(exported, tmp_path, lambda weight: weight * np.float32(1.1)),
            spectrograms,
            TO_PROBABILITIES,
        )


def test_outputs_that_are_not_numbers_are_refused(network, exported, spectrograms):
    with pytest.raises(BadInput, match="gives other probabilities than the network"):
        parity(network, exported, spectrograms, lambda clip, frames: clip * np.nan)


def test_a_network_left_in_training_mode_is_found(network, exported, spectrograms):
    network.train()
    try:
        torch.manual_seed(0)
        with pytest.raises(BadInput, match="gives other probabilities than the network"):
            parity(network, exported, spectrograms, TO_PROBABILITIES)
    finally:
        network.eval()


def test_every_spectrogram_is_run_once_in_order(exported, spectrograms):
    run = onnx_runner(exported)
    outputs = batch_probabilities(run, spectrograms, lambda clip, frames: clip)
    np.testing.assert_array_equal(outputs, np.concatenate([run(spectrograms[n : n + 12])[0] for n in (0, 12, 24)]))
    assert len(outputs) == 30
