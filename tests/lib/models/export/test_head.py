"""Each head's network is exported under its inputs' names, with torch's outputs for any number of files."""

import numpy as np
import onnx
import pytest
import torch

from lib.learn.head.base import FittedNetwork
from lib.models.export.head import export_head, head_inputs
from lib.models.export.linear import LINEAR_OPSET
from lib.models.head.proto_ssm import ProtoNetwork, ProtoSSM
from lib.models.head.residual_ssm import FIRST_PASS, ResidualNetwork, ResidualSSM
from lib.models.head.sequence import ScalarMix, SequenceHead, SequenceNetwork
from lib.models.runtime.onnx import OnnxSession
from tests.support.plantedsignals import SITES, soundscapes

SEQUENCES = soundscapes(3, seed=0)
SEQUENCES.embeddings[FIRST_PASS] = 2.0 * SEQUENCES.embeddings["logits"]
ROWS = {name: SEQUENCES.windows(name) for name in SEQUENCES.embeddings}
BLOCKS = {name: ROWS[name] for name in ("block:signal", "block:noise", "embedding")}


def residual():
    network = ResidualSSM(ResidualNetwork(width=8, states=4), ROWS["embedding"], ROWS[FIRST_PASS])
    torch.nn.init.normal_(network.classes.weight)  # as if it had learnt
    return network


MADE = {
    "sequence": lambda: SequenceHead(SequenceNetwork(width=8), BLOCKS, 4),
    "mix": lambda: ScalarMix(SequenceNetwork(width=8), BLOCKS, 4),
    "proto": lambda: ProtoSSM(ProtoNetwork(width=8, states=4), ROWS["embedding"], ROWS["logits"], SEQUENCES.sites),
    "residual": residual,
}


@pytest.mark.parametrize("kind", MADE)
def test_the_file_answers_as_the_network_for_any_number_of_files(kind, tmp_path):
    torch.manual_seed(0)
    network = MADE[kind]()
    for parameter in network.parameters():  # nothing may hide behind a nought
        parameter.data += 0.1 * torch.randn_like(parameter)
    export_head(network, tmp_path / "fold0.onnx")
    names = head_inputs(network)
    session = OnnxSession(tmp_path / "fold0.onnx", inputs=names, outputs=["logit"])
    for files in (1, 3):
        sequences = SEQUENCES.subset(np.arange(files))
        sequences.sites[:1] = len(SITES) + 5  # a site beyond those of training
        inputs = sequences.embeddings | {"site": sequences.sites, "hour": sequences.hours}
        (logits,) = session.run(**{name: inputs[name] for name in names})
        assert logits.shape == (files, 12, 4)
        assert np.ptp(logits) > 0.1
        np.testing.assert_allclose(logits, FittedNetwork(network).logits(sequences), atol=1e-5)


def test_the_graph_is_of_an_old_operator_set_and_of_the_same_bytes_each_time(tmp_path):
    network = MADE["mix"]()
    for name in ("one", "two"):
        export_head(network, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    model = onnx.load(tmp_path / "one")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", LINEAR_OPSET)]
    assert [value.name for value in model.graph.input] == ["block:signal", "block:noise", "embedding"]
