"""Optimisation: guarded steps, parameter groups with layer-wise decay, weight averages, learning-rate schedules."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lib.core.errors import BadInput
from lib.models.network.pretrained import load_timm


def parameter_groups(network: nn.Module, weight_decay: float, layer_decay: float) -> list[dict]:
    """Groups for an optimizer, from shallow to deep, each with its `weight_decay` and its `share` of the rate."""
    depths = layer_depths(network) if layer_decay != 1 else {}
    deepest = max(depths.values(), default=0)
    groups: dict[tuple[int, bool], dict] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            depth, decays = depths.get(name, 0), parameter.ndim > 1  # vectors are biases, norms and gains
            group = {
                "params": [],
                "weight_decay": weight_decay if decays else 0.0,
                "share": layer_decay ** (deepest - depth),
            }
            groups.setdefault((depth, decays), group)["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]


def layer_depths(network: nn.Module) -> dict[str, int]:
    """The depth of each parameter by name, 0 nearest to the input; what is outside the backbone is deepest.

    Networks of timm list their layers; in others they are the children of the first Sequential.
    """
    name, backbone = _backbone(network)
    prefix = f"{name}." if name else ""
    if hasattr(backbone, "group_matcher"):
        layers = load_timm().models.group_parameters(backbone, backbone.group_matcher(coarse=False), reverse=True)
    else:
        children = [child for child, _module in backbone.named_children()]
        layers = {of: children.index(of.split(".")[0]) for of, _parameter in backbone.named_parameters()}
    above = max(layers.values()) + 1
    return {of: layers.get(of.removeprefix(prefix), above) for of, _parameter in network.named_parameters()}


def _backbone(network: nn.Module) -> tuple[str, Any]:
    """The first module that comes in layers, with its name."""
    for name, module in network.named_modules():
        if hasattr(module, "group_matcher") or isinstance(module, nn.Sequential):
            return name, module
    raise BadInput(
        "layer_decay needs a network in layers",
        expected="a backbone of timm, or a Sequential",
        got=type(network).__name__,
        do="set layer_decay=1",
    )


class Average:
    """An exponential (EMA) or plain (SWA) mean of a network's states; `count` states went into it.

    Batch norm's running statistics are averaged like the weights. A mean of finite means is finite and a mean of
    variances is positive, so nothing can become NaN; a pass over the data that estimates them anew (`update_bn`) can,
    when a batch overflows, and it costs an epoch's reading.
    """

    def __init__(self, network: nn.Module):
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.count = 0

    def update_ema(self, network: nn.Module, decay: float) -> None:
        """Move a step of an EMA; the decay warms up, so that the random first weights are soon gone."""
        self.count += 1
        self._move(network, 1 - min(decay, (1 + self.count) / (10 + self.count)))

    def update_mean(self, network: nn.Module) -> None:
        """Include one more state in the plain mean."""
        self.count += 1
        self._move(network, 1 / self.count)

    def saved(self) -> dict:
        """The state that `load` restores."""
        return {"state": self.state, "count": self.count}

    def load(self, saved: dict) -> None:
        """Restore a `saved` state."""
        self.count = saved["count"]
        for name, value in self.state.items():
            value.copy_(saved["state"][name])

    @contextmanager
    def in_place_of(self, network: nn.Module) -> Iterator[None]:
        """Give the network the averaged state inside the block, and its own again after it."""
        own = {name: value.detach().clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.state)
        try:
            yield
        finally:
            network.load_state_dict(own)

    @torch.no_grad()
    def _move(self, network: nn.Module, share: float) -> None:
        """Move a share of the way to the network's state; counters are integers, and copied."""
        pairs = [(self.state[name], value) for name, value in network.state_dict().items()]
        moving = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_(*_columns(moving), share)
        for average, value in pairs:
            if not average.is_floating_point():
                average.copy_(value)


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """The first tensors and the second tensors of the pairs."""
    return [first for first, _second in pairs], [second for _first, second in pairs]


_FIRST, _LAST = 1 / 25, 1 / 25 / 1e4  # where one-cycle starts and ends: torch's defaults


def learning_rate_share(step: int, steps: int, schedule: str, warmup_share: float) -> float:
    """The learning rate of step 0, 1, … `steps` - 1 as a share of the peak, above 0 and at most 1.

    A pure function of the step: there is no scheduler whose state a resumed run could lose.
    """
    if schedule == "one-cycle":
        peak = warmup_share * steps - 1
        if step < peak:
            return _between(_FIRST, 1, step / peak)
        return _between(1, _LAST, (step - peak) / (steps - 1 - peak))
    warmup = round(warmup_share * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return _between(1, 0, (step - warmup) / (steps - warmup))


def _between(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
