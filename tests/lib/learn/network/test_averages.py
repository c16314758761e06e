"""Averages of weights: known means, batch norm that stays finite, and a network that gets its own weights back."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lib.learn.network.optim import Average


def moved(network: nn.Module, value: float) -> nn.Module:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
    return network


def test_a_plain_mean_is_the_mean():
    network = nn.Linear(2, 1)
    average = Average(network)
    for value in (1.0, 2.0, 6.0):
        average.add(moved(network, value))
    assert average.count == 3
    assert average.state["weight"].flatten().tolist() == pytest.approx([3.0, 3.0])


def test_a_plain_mean_is_torchs():
    network = nn.Linear(3, 2)
    average, reference = Average(network), AveragedModel(network)
    for seed in range(4):
        torch.manual_seed(seed)
        nn.init.normal_(network.weight)
        average.add(network)
        reference.update_parameters(network)
    assert torch.allclose(average.state["weight"], reference.module.weight)


def test_the_decay_of_an_ema_warms_up():
    network = moved(nn.Linear(1, 1), 0.0)
    average = Average(network)
    average.follow(moved(network, 1.0), decay=0.999)  # decay 2/11
    assert average.state["weight"].item() == pytest.approx(9 / 11)
    average.follow(moved(network, 0.0), decay=0.1)  # its own decay is smaller than 3/12
    assert average.state["weight"].item() == pytest.approx(0.1 * 9 / 11)


@pytest.mark.parametrize("kind", ["follow", "add"])
def test_batch_norm_is_averaged_and_stays_finite_and_positive(kind):
    network = nn.BatchNorm1d(2).train()
    average, variances = Average(network), []
    for spread in (1e-12, 1.0, 1e12):
        network(spread * torch.tensor([[1.0, -2.0], [3.0, 5.0]]))
        average.add(network) if kind == "add" else average.follow(network, 0.9)
        variances.append(network.running_var.clone())
    found = average.state["running_var"]
    assert bool((torch.isfinite(found) & (found > 0)).all())
    assert average.state["num_batches_tracked"].item() == 3
    if kind == "add":
        assert torch.allclose(found, torch.stack(variances).mean(0))


def test_the_network_gets_its_own_weights_back_after_an_error_too():
    network = moved(nn.Linear(1, 1), 5.0)
    average = Average(network)
    moved(network, 7.0)

    def inside():
        with average.in_place_of(network):
            assert network.weight.item() == 5
            raise KeyError

    with pytest.raises(KeyError):
        inside()
    assert network.weight.item() == 7


def test_what_was_saved_goes_on_the_same():
    network = moved(nn.Linear(1, 1), 1.0)
    first, second = Average(network), Average(moved(network, 3.0))
    first.add(network)
    second.load(first.saved())
    for average in (first, second):
        average.add(moved(network, 4.0))
    assert first.state["weight"].item() == second.state["weight"].item() == 3.5
