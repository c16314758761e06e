"""A second set of weights that follows the first: an exponential (EMA) or a plain (SWA) mean of them.

Batch norm's running statistics are part of the set and averaged like the weights. A mean of finite means is finite
and a mean of variances is positive, so nothing can become NaN; a pass over the data that estimates them anew
(`update_bn`) can, when a batch overflows, and it costs an epoch's reading.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The averaged state of a network; `count` states went into it."""

    def __init__(self, network: nn.Module):
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.count = 0

    def follow(self, network: nn.Module, decay: float) -> None:
        """Move a step of an EMA; the decay warms up, so that the first weights, which know nothing, are soon gone."""
        self.count += 1
        self._move(network, 1 - min(decay, (1 + self.count) / (10 + self.count)))

    def add(self, network: nn.Module) -> None:
        """Take one more state into the plain mean."""
        self.count += 1
        self._move(network, 1 / self.count)

    def saved(self) -> dict:
        """What `load` goes on from."""
        return {"state": self.state, "count": self.count}

    def load(self, saved: dict) -> None:
        """Go on from what was saved."""
        self.count = saved["count"]
        for name, value in self.state.items():
            value.copy_(saved["state"][name])

    @contextmanager
    def in_place_of(self, network: nn.Module) -> Iterator[None]:
        """The network holds the averaged state inside the block, and its own again after it."""
        own = {name: value.detach().clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.state)
        try:
            yield
        finally:
            network.load_state_dict(own)

    @torch.no_grad()
    def _move(self, network: nn.Module, share: float) -> None:
        """Go a share of the way to the network; counters are integers, and copied."""
        pairs = [(self.state[name], value) for name, value in network.state_dict().items()]
        moving = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_(*_columns(moving), share)
        for mine, theirs in pairs:
            if not mine.is_floating_point():
                mine.copy_(theirs)


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """The first tensors and the second tensors of the pairs."""
    return [first for first, _second in pairs], [second for _first, second in pairs]
