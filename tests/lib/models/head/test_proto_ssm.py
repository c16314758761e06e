"""LightProtoSSM: windows exchange context, a new site is the unknown one, a flat column is not mixed in."""

import numpy as np
import pytest
import torch

from lib.learn.head.base import network_inputs
from lib.models.head.proto_ssm import ProtoNetwork, ProtoSSM
from tests.support.plantedsignals import CALL, FLAT_LOGIT, soundscapes

SEQUENCES = soundscapes(6, seed=0)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ProtoSSM(
        ProtoNetwork(width=16, states=4), SEQUENCES.windows("embedding"), SEQUENCES.windows("logits"), np.array([1, 3])
    ).eval()


@pytest.fixture
def inputs(network):
    return network_inputs(network, SEQUENCES)


def test_a_window_hears_the_first_and_the_last(network, inputs):
    for far in (0, 11):
        embedding = inputs["embedding"].clone()
        embedding[:, far] += 2.0
        assert ((network(inputs | {"embedding": embedding}) - network(inputs))[:, 5].abs().amax(1) > 0).all()


def test_a_site_that_was_not_met_is_the_unknown_one_and_a_met_one_is_not(network, inputs):
    unknown = network(inputs | {"site": torch.zeros(6, dtype=torch.int64)})
    for site in (2, 4, 1000):
        assert torch.equal(network(inputs | {"site": torch.full((6,), site)}), unknown)
    for site in (1, 3):
        assert not torch.allclose(network(inputs | {"site": torch.full((6,), site)}), unknown)


def test_the_hour_is_heard(network, inputs):
    assert not torch.allclose(network(inputs | {"hour": (inputs["hour"] + 1) % 24}), network(inputs))


def test_sites_are_hidden_in_training_only_in_the_share_asked_for(network):
    sites = torch.full((4000,), 3)
    assert (network.known_or_unknown_site(sites) == 3).all()
    hidden = (network.train().known_or_unknown_site(sites) == 0).float().mean()
    assert hidden == pytest.approx(network.site_dropout, abs=0.03)


def test_what_the_embedder_maps_is_mixed_in_and_a_flat_column_is_not(network, inputs):
    assert network.mapped.tolist() == [number == CALL for number in range(4)]
    logits = network(inputs)
    higher = network(inputs | {"logits": inputs["logits"] + 1.0})
    share = torch.sigmoid(network.fusion[CALL])
    torch.testing.assert_close(higher[..., CALL] - logits[..., CALL], (1 - share).expand(6, 12))
    others = [number for number in range(4) if number != CALL]
    assert torch.equal(higher[..., others], logits[..., others])
    assert logits[..., others].min() > FLAT_LOGIT  # nothing of the flat logit is left in them


def test_the_answer_is_the_cosine_with_the_prototype_times_the_temperature(network, inputs):
    hidden = network.hidden(inputs).detach()
    network.prototypes.data[1] = 7.0 * hidden[2, 4]
    at = network(inputs)[2, 4, 1]
    assert at.item() == pytest.approx(torch.nn.functional.softplus(torch.tensor(5.0)).item(), abs=1e-4)
