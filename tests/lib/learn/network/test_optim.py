"""Steps change nothing where a loss is not finite; groups, averages and schedules do as torch and timm do."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, SequentialLR
from torch.optim.swa_utils import AveragedModel

from lib.core.errors import BadInput
from lib.learn.network.optim import Average, layer_depths, learning_rate_share, parameter_groups
from lib.learn.network.train_step import GuardedOptimizer
from lib.models.network.pretrained import load_timm
from tests.support.toytraining import toy_batch, toy_loss, toy_network


def optimizer(network, step_loss=toy_loss, precision="float32", clip_norm=1.0, seed=3):
    groups = parameter_groups(network, weight_decay=0.01, layer_decay=1.0)
    device = torch.device("cpu")
    network.train()
    return GuardedOptimizer(
        network, step_loss, groups, seed=seed, device=device, precision=precision, clip_norm=clip_norm
    )


def poisoned(number: int):
    batch = toy_batch(number)
    audio = batch.audio.clone()
    audio[0, 0] = float("inf")
    return replace(batch, audio=audio)


def copied(network) -> dict:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_poisoned_batch_changes_neither_weights_nor_batch_norm_and_is_counted(precision):
    network = toy_network()
    steps = optimizer(network, precision=precision)
    taken = [steps.train_step(toy_batch(n), n, 0.01) for n in range(20)]
    assert taken[-1] is not None
    before, skipped = copied(network), steps.skipped
    assert steps.train_step(poisoned(20), 20, 0.01) is None
    assert same(copied(network), before)
    assert steps.skipped == skipped + 1
    assert steps.train_step(toy_batch(21), 21, 0.01) is not None
    assert not same(copied(network), before)


def test_a_gradient_that_is_not_finite_is_skipped_though_the_loss_is_fine():
    def loss(network, batch, generator):
        return toy_loss(network, batch, generator) + (network[0].weight * 0).sqrt().sum()  # slope 0 / 0 at 0

    network = toy_network()
    before = copied(network)
    assert optimizer(network, loss).train_step(toy_batch(0), 0, 0.01) is None
    assert same(copied(network), before)


def test_many_in_a_row_are_an_error_with_what_to_try():
    steps = optimizer(toy_network())
    for n in range(24):
        assert steps.train_step(poisoned(n), n, 0.01) is None
    with pytest.raises(BadInput, match="learning_rate"):
        steps.train_step(poisoned(24), 24, 0.01)


def test_one_finite_step_breaks_the_row():
    steps = optimizer(toy_network())
    for n in range(40):
        steps.train_step(toy_batch(n) if n == 20 else poisoned(n), n, 0.01)
    assert steps.skipped == 39


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_every_precision_learns_in_float32_weights(precision):
    network = toy_network()
    steps = optimizer(network, precision=precision)
    losses = [steps.train_step(toy_batch(n), n, 0.01) for n in range(150)]
    losses = [loss for loss in losses if loss is not None]
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_the_precision_is_that_of_the_computation():
    seen = []

    def loss(network, batch, generator):
        seen.append(network[0](batch.audio).dtype)
        return toy_loss(network, batch, generator)

    for precision in ("float32", "bfloat16", "float16"):
        optimizer(toy_network(), loss, precision).train_step(toy_batch(0), 0, 0.01)
    assert seen == [torch.float32, torch.bfloat16, torch.float16]


def test_a_step_depends_on_the_seed_and_its_number_and_on_nothing_drawn_before():
    def after(number, seed=3, drawn=0):
        network = toy_network()
        torch.randn(drawn + 1)
        optimizer(network, seed=seed).train_step(toy_batch(0), number, 0.01)
        return copied(network)

    assert same(after(4), after(4, drawn=17))
    assert not same(after(4), after(5))
    assert not same(after(4), after(4, seed=6))


def test_dropout_is_seeded_too():
    drawn = []

    def loss(network, batch, generator):
        drawn.append(torch.rand(1).item())
        return toy_loss(network, batch, generator)

    steps = optimizer(toy_network(), loss)
    for number in (1, 2, 1):
        steps.train_step(toy_batch(0), number, 0.01)
    assert drawn[0] == drawn[2] != drawn[1]


def test_clipping_bounds_the_gradient_and_zero_is_off():
    def norm(clip_norm):
        network = toy_network()
        steps = optimizer(network, lambda *given: 100 * toy_loss(*given), clip_norm=clip_norm)
        steps.train_step(toy_batch(0), 0, 0.01)
        return torch.stack([p.grad.norm() for p in network.parameters()]).norm().item()

    assert norm(0.5) == pytest.approx(0.5, rel=1e-4)
    assert norm(0.0) > 5


def test_the_rate_of_a_group_is_its_share_of_the_steps():
    network = torch.nn.Sequential(torch.nn.Linear(16, 4, bias=False), torch.nn.Linear(4, 3, bias=False))
    groups = parameter_groups(network, weight_decay=0.0, layer_decay=0.1)
    steps = GuardedOptimizer(
        network, toy_loss, groups, seed=0, device=torch.device("cpu"), precision="float32", clip_norm=0
    )
    before = [p.clone() for p in network.parameters()]
    steps.train_step(toy_batch(0), 0, 0.01)
    moved = [(p - old).abs().max().item() for p, old in zip(network.parameters(), before, strict=True)]
    assert moved == pytest.approx([0.001, 0.01], rel=1e-3)  # Adam's first step is the rate itself


def test_the_loss_scale_goes_on_where_it_was():
    first, second = (optimizer(toy_network(), precision="float16") for _stepper in range(2))
    first.train_step(poisoned(0), 0, 0.01)
    second.load(first.state())
    assert second.state()["scaler"] == first.state()["scaler"]
    assert second.state()["scaler"]["scale"] == 2**15


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


def test_a_network_without_layers_is_refused_only_when_they_are_needed():
    assert len(parameter_groups(nn.Linear(1, 1), 0.1, 1.0)) == 2
    with pytest.raises(BadInput, match="layer_decay"):
        parameter_groups(nn.Linear(1, 1), 0.1, 0.5)


def moved(network: nn.Module, value: float) -> nn.Module:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
    return network


def test_a_plain_mean_is_the_mean():
    network = nn.Linear(2, 1)
    average = Average(network)
    for value in (1.0, 2.0, 6.0):
        average.update_mean(moved(network, value))
    assert average.count == 3
    assert average.state["weight"].flatten().tolist() == pytest.approx([3.0, 3.0])


def test_a_plain_mean_is_torchs():
    network = nn.Linear(3, 2)
    average, reference = Average(network), AveragedModel(network)
    for seed in range(4):
        torch.manual_seed(seed)
        nn.init.normal_(network.weight)
        average.update_mean(network)
        reference.update_parameters(network)
    assert torch.allclose(average.state["weight"], reference.module.weight)


def test_the_decay_of_an_ema_warms_up():
    network = moved(nn.Linear(1, 1), 0.0)
    average = Average(network)
    average.update_ema(moved(network, 1.0), decay=0.999)  # decay 2/11
    assert average.state["weight"].item() == pytest.approx(9 / 11)
    average.update_ema(moved(network, 0.0), decay=0.1)  # its own decay is smaller than 3/12
    assert average.state["weight"].item() == pytest.approx(0.1 * 9 / 11)


@pytest.mark.parametrize("kind", ["follow", "add"])
def test_batch_norm_is_averaged_and_stays_finite_and_positive(kind):
    network = nn.BatchNorm1d(2).train()
    average, variances = Average(network), []
    for spread in (1e-12, 1.0, 1e12):
        network(spread * torch.tensor([[1.0, -2.0], [3.0, 5.0]]))
        average.update_mean(network) if kind == "add" else average.update_ema(network, 0.9)
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
    first.update_mean(network)
    second.load(first.saved())
    for average in (first, second):
        average.update_mean(moved(network, 4.0))
    assert first.state["weight"].item() == second.state["weight"].item() == 3.5


def rates(make, steps: int) -> list[float]:
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, found = make(optimizer), []
    for _step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if len(found) < steps else None
    return found


@pytest.mark.parametrize(("steps", "warmup_share"), [(40, 0.25), (7, 0.3), (10, 0.0)])
def test_cosine_is_a_linear_warm_up_and_half_a_cosine(steps, warmup_share):
    warmup = round(steps * warmup_share)

    def make(optimizer):
        cosine = CosineAnnealingLR(optimizer, T_max=steps - warmup)
        if not warmup:
            return cosine
        rising = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
        return SequentialLR(optimizer, [rising, cosine], milestones=[warmup])

    ours = [learning_rate_share(step, steps, "cosine", warmup_share) for step in range(steps)]
    assert ours == pytest.approx(rates(make, steps), rel=1e-6, abs=1e-9)
    assert max(ours) == 1
    assert min(ours) > 0


@pytest.mark.parametrize(("steps", "warmup_share"), [(40, 0.3), (25, 0.1), (10, 0.0), (1, 0.3)])
def test_one_cycle_is_torchs(steps, warmup_share):
    def make(optimizer):
        return OneCycleLR(optimizer, max_lr=1.0, total_steps=steps, pct_start=warmup_share, cycle_momentum=False)

    ours = [learning_rate_share(step, steps, "one-cycle", warmup_share) for step in range(steps)]
    assert ours == pytest.approx(rates(make, steps), rel=1e-6)
