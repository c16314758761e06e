"""Training loop of the heads: small, validated after each epoch on files that it does not train on."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lib.core.progress import LiveLine
from lib.learn.network.optim import Average, learning_rate_share


@dataclass(frozen=True)
class HeadLoopSettings:
    """The public chain's numbers for LightProtoSSM."""

    epochs: int = 40
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    warmup_share: float = 0.1
    clip_norm: float = 1.0
    patience: int = 8  # epochs without a better validation loss
    average_from: float = 0.65  # share of the epochs after which the weights are averaged, at a constant rate
    average_learning_rate: float = 4e-4


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Inside the block torch draws from this seed and uses one thread; afterwards both are as before.

    Networks this small lose time with more threads, and their numbers would depend on how many there are.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def fit_with_early_stopping(
    network: nn.Module,
    losses: Callable[[], Iterable[Tensor]],
    steps: int,
    settings: HeadLoopSettings,
    validate: Callable[[], float] | None,
) -> None:
    """Train the network and leave it in eval mode with the best weights of all epochs and of their mean.

    `losses` yields an epoch's `steps` losses; `validate` returns a loss, and without it the mean weights are taken.
    """
    optimiser = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    average, first_averaged = Average(network), round(settings.average_from * settings.epochs)
    best, best_epoch, weights = _validation_loss(network, validate), -1, deepcopy(network.state_dict())
    live = LiveLine(type(network).__name__, every_s=30.0)
    for epoch in range(settings.epochs):
        live.update(partial("epoch {}/{}, validation loss {:.4f}".format, epoch, settings.epochs, best))
        network.train()
        for step, loss in enumerate(losses(), start=epoch * steps):
            optimiser.param_groups[0]["lr"] = _learning_rate(step, steps, epoch >= first_averaged, settings)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
            optimiser.step()
        if epoch >= first_averaged:
            average.update_mean(network)
        validation_loss = _validation_loss(network, validate)
        if validation_loss < best:
            best, best_epoch, weights = validation_loss, epoch, deepcopy(network.state_dict())
        if validate and epoch - best_epoch >= settings.patience:
            break
    live.close()
    if average.count:
        network.load_state_dict(average.state)
        if validate and _validation_loss(network, validate) >= best:
            network.load_state_dict(weights)
    elif validate:
        network.load_state_dict(weights)
    network.eval()


def _learning_rate(step: int, steps: int, averaging: bool, settings: HeadLoopSettings) -> float:
    """One-cycle until the weights are averaged, then constant, so that the states averaged differ."""
    if averaging:
        return settings.average_learning_rate
    return settings.learning_rate * learning_rate_share(
        step, steps * settings.epochs, "one-cycle", settings.warmup_share
    )


def _validation_loss(network: nn.Module, validate: Callable[[], float] | None) -> float:
    """The validation loss of the network in eval mode; infinite without `validate`."""
    if validate is None:
        return float("inf")
    network.eval()
    with torch.no_grad():
        return validate()
