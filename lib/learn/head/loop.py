"""The loop of the heads: small, judged after each epoch on files that it does not learn from."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.learn.network.optim import Average, share_of_peak


@dataclass(frozen=True)
class HeadLoopSettings:
    """The public chain's numbers for LightProtoSSM."""

    epochs: int = 40
    rate: float = 1e-3
    weight_decay: float = 1e-3
    warmup_share: float = 0.1
    clip_norm: float = 1.0
    patience: int = 8  # epochs without a better judgement
    average_from: float = 0.65  # share of the epochs after which the weights are averaged, at a constant rate
    average_rate: float = 4e-4


@contextmanager
def steady(seed: int) -> Iterator[None]:
    """torch draws from this seed and on one thread inside the block, and goes on as before after it.

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


def fit_small(
    network: nn.Module,
    losses: Callable[[], Iterable[Tensor]],
    steps: int,
    settings: HeadLoopSettings,
    judge: Callable[[], float] | None,
) -> None:
    """Leave in the network, evaluated, the best of its epochs and of their mean; without a judge, the mean.

    `losses` gives an epoch's `steps` losses, one after the other; `judge` is the smaller the better.
    """
    optimiser = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=settings.weight_decay)
    average, first_averaged = Average(network), round(settings.average_from * settings.epochs)
    best, best_epoch, weights = _judged(network, judge), -1, deepcopy(network.state_dict())
    for epoch in range(settings.epochs):
        network.train()
        for step, loss in enumerate(losses(), start=epoch * steps):
            optimiser.param_groups[0]["lr"] = _rate(step, steps, epoch >= first_averaged, settings)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
            optimiser.step()
        if epoch >= first_averaged:
            average.add(network)
        judged = _judged(network, judge)
        if judged < best:
            best, best_epoch, weights = judged, epoch, deepcopy(network.state_dict())
        if judge and epoch - best_epoch >= settings.patience:
            break
    if average.count:
        network.load_state_dict(average.state)
        if judge and _judged(network, judge) >= best:
            network.load_state_dict(weights)
    elif judge:
        network.load_state_dict(weights)
    network.eval()


def _rate(step: int, steps: int, averaging: bool, settings: HeadLoopSettings) -> float:
    """One-cycle until the weights are averaged, then constant, so that the states averaged differ."""
    if averaging:
        return settings.average_rate
    return settings.rate * share_of_peak(step, steps * settings.epochs, "one-cycle", settings.warmup_share)


def _judged(network: nn.Module, judge: Callable[[], float] | None) -> float:
    """The evaluated network's judgement."""
    if judge is None:
        return float("inf")
    network.eval()
    with torch.no_grad():
        return judge()
