"""ResidualSSM adds nothing before it has learnt, nor at weight nought, and then uses windows in both directions."""

import pytest
import torch

from lib.models.head.residual_ssm import FIRST_PASS, ResidualNetwork, ResidualSSM
from tests.support.plantedsignals import soundscapes

SEQUENCES = soundscapes(4, seed=0)


def network_of(weight: float) -> ResidualSSM:
    torch.manual_seed(0)
    settings = ResidualNetwork(width=8, states=4, correction_weight=weight)
    return ResidualSSM(settings, SEQUENCES.windows("embedding"), SEQUENCES.windows("logits")).eval()


@pytest.fixture
def inputs():
    return {
        name: torch.from_numpy(SEQUENCES.embeddings[of])
        for name, of in (("embedding", "embedding"), (FIRST_PASS, "logits"))
    }


def test_at_first_it_is_its_first_pass_exactly(inputs):
    assert torch.equal(network_of(0.3)(inputs), inputs[FIRST_PASS])


def test_at_weight_nought_it_is_its_first_pass_exactly_whatever_it_has_learnt(inputs):
    network = network_of(0.0)
    torch.nn.init.normal_(network.classes.weight)
    assert network.correction(inputs).abs().max() > 0.1
    assert torch.equal(network(inputs), inputs[FIRST_PASS])


def test_the_correction_counts_by_its_weight_and_hears_before_and_after(inputs):
    network = network_of(0.5)
    torch.nn.init.normal_(network.classes.weight)
    torch.testing.assert_close(network(inputs) - inputs[FIRST_PASS], 0.5 * network.correction(inputs))
    for name in inputs:
        changed = inputs[name].clone()
        changed[:, 6] += 1.0
        apart = (network.correction(inputs | {name: changed}) - network.correction(inputs)).abs().amax((0, 2))
        assert (apart > 0).all()
