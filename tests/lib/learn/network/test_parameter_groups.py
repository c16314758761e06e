"""Deeper layers learn faster, vectors do not decay, every weight is in one group."""

import pytest
from torch import nn

from lib.core.errors import BadInput
from lib.learn.network.optim import layer_depths, parameter_groups
from lib.models.network.pretrained import load_timm


class Headed(nn.Module):
    """A backbone and a head, as our networks are."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(2, 2)


def test_only_matrices_decay():
    network = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2))
    groups = parameter_groups(network, weight_decay=0.1, layer_decay=1.0)
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert decays == {id(p): 0.1 if p is network[0].weight else 0.0 for p in network.parameters()}
    assert {group["share"] for group in groups} == {1.0}


def test_each_layer_learns_at_a_share_of_the_next():
    network = Headed(nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2)))
    groups = parameter_groups(network, weight_decay=0.1, layer_decay=0.5)
    shares = {id(p): group["share"] for group in groups for p in group["params"]}
    assert shares[id(network.head.weight)] == shares[id(network.head.bias)] == 1
    assert shares[id(network.backbone[2].weight)] == 0.5
    assert shares[id(network.backbone[0].weight)] == 0.125
    assert [group["share"] for group in groups] == sorted(group["share"] for group in groups)


def test_frozen_weights_are_left_out():
    network = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    network[0].requires_grad_(False)
    found = [p for group in parameter_groups(network, 0.1, 0.5) for p in group["params"]]
    assert {id(p) for p in found} == {id(p) for p in network[1].parameters()}


@pytest.mark.parametrize("name", ["mobilenetv4_conv_small", "regnety_008", "convnext_atto"])
def test_layers_of_timm_are_its_own(name):
    backbone = load_timm().create_model(name, in_chans=1, num_classes=0, global_pool="")
    depths = layer_depths(Headed(backbone))
    assert set(depths) == {name for name, _parameter in Headed(backbone).named_parameters()}
    assert depths["head.weight"] == max(depths.values()) > max(d for n, d in depths.items() if "backbone" in n)
    first = next(iter(depths))
    assert depths[first] == 0
    assert sorted(set(depths.values())) == list(range(max(depths.values()) + 1))
    assert max(depths.values()) > 5


def test_a_network_without_layers_is_refused_only_when_they_are_asked_for():
    assert len(parameter_groups(nn.Linear(1, 1), 0.1, 1.0)) == 2
    with pytest.raises(BadInput, match="layer_decay"):
        parameter_groups(nn.Linear(1, 1), 0.1, 0.5)
