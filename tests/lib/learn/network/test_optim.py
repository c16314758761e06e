"""A step: what is not finite changes nothing, half precision learns, and the random numbers are the step's own."""

from dataclasses import replace

import pytest
import torch

from lib.core.errors import BadInput
from lib.learn.network.optim import GuardedOptimizer, parameter_groups
from tests.support.toytraining import toy_batch, toy_loss, toy_network


def stepper(network, step_loss=toy_loss, precision="float32", clip_norm=1.0, seed=3):
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
    steps = stepper(network, precision=precision)
    taken = [steps.take(toy_batch(n), n, 0.01) for n in range(20)]
    assert taken[-1] is not None
    before, skipped = copied(network), steps.skipped
    assert steps.take(poisoned(20), 20, 0.01) is None
    assert same(copied(network), before)
    assert steps.skipped == skipped + 1
    assert steps.take(toy_batch(21), 21, 0.01) is not None
    assert not same(copied(network), before)


def test_a_gradient_that_is_not_finite_is_skipped_though_the_loss_is_fine():
    def loss(network, batch, generator):
        return toy_loss(network, batch, generator) + (network[0].weight * 0).sqrt().sum()  # slope 0 / 0 at 0

    network = toy_network()
    before = copied(network)
    assert stepper(network, loss).take(toy_batch(0), 0, 0.01) is None
    assert same(copied(network), before)


def test_many_in_a_row_are_an_error_that_says_what_to_try():
    steps = stepper(toy_network())
    for n in range(24):
        assert steps.take(poisoned(n), n, 0.01) is None
    with pytest.raises(BadInput, match="learning_rate"):
        steps.take(poisoned(24), 24, 0.01)


def test_one_finite_step_breaks_the_row():
    steps = stepper(toy_network())
    for n in range(40):
        steps.take(toy_batch(n) if n == 20 else poisoned(n), n, 0.01)
    assert steps.skipped == 39


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_every_precision_learns_in_float32_weights(precision):
    network = toy_network()
    steps = stepper(network, precision=precision)
    losses = [steps.take(toy_batch(n), n, 0.01) for n in range(150)]
    losses = [loss for loss in losses if loss is not None]
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_the_precision_is_that_of_the_computation():
    seen = []

    def loss(network, batch, generator):
        seen.append(network[0](batch.audio).dtype)
        return toy_loss(network, batch, generator)

    for precision in ("float32", "bfloat16", "float16"):
        stepper(toy_network(), loss, precision).take(toy_batch(0), 0, 0.01)
    assert seen == [torch.float32, torch.bfloat16, torch.float16]


def test_a_step_depends_on_the_seed_and_its_number_and_on_nothing_drawn_before():
    def after(number, seed=3, drawn=0):
        network = toy_network()
        torch.randn(drawn + 1)
        stepper(network, seed=seed).take(toy_batch(0), number, 0.01)
        return copied(network)

    assert same(after(4), after(4, drawn=17))
    assert not same(after(4), after(5))
    assert not same(after(4), after(4, seed=6))


def test_dropout_is_seeded_too():
    drawn = []

    def loss(network, batch, generator):
        drawn.append(torch.rand(1).item())
        return toy_loss(network, batch, generator)

    steps = stepper(toy_network(), loss)
    for number in (1, 2, 1):
        steps.take(toy_batch(0), number, 0.01)
    assert drawn[0] == drawn[2] != drawn[1]


def test_clipping_bounds_the_gradient_and_zero_is_off():
    def norm(clip_norm):
        network = toy_network()
        steps = stepper(network, lambda *given: 100 * toy_loss(*given), clip_norm=clip_norm)
        steps.take(toy_batch(0), 0, 0.01)
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
    steps.take(toy_batch(0), 0, 0.01)
    moved = [(p - old).abs().max().item() for p, old in zip(network.parameters(), before, strict=True)]
    assert moved == pytest.approx([0.001, 0.01], rel=1e-3)  # Adam's first step is the rate itself


def test_the_loss_scale_goes_on_where_it_was():
    first, second = (stepper(toy_network(), precision="float16") for _stepper in range(2))
    first.take(poisoned(0), 0, 0.01)
    second.load(first.state())
    assert second.state()["scaler"] == first.state()["scaler"]
    assert second.state()["scaler"]["scale"] == 2**15
