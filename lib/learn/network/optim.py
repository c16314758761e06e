"""Optimisation: guarded steps, parameter groups with layer-wise decay, weight averages, learning-rate schedules."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lib.core.errors import BadInput
from lib.learn.network.dataset import Batch, batch_generator
from lib.models.network.pretrained import load_timm

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
_MAX_SKIPPED_IN_A_ROW = 25  # float16 begins by halving its scale of 2^16, a skipped step each

StepLoss = Callable[[Any, Batch, torch.Generator], Tensor]  # of a network, of whatever class


class GuardedOptimizer:
    """An AdamW optimizer whose steps change nothing where loss or gradient is not finite, and count such steps.

    With the network's state, `state` is all that the next step depends on.
    """

    def __init__(
        self,
        network: nn.Module,
        step_loss: StepLoss,
        groups: list[dict],
        *,
        seed: int,
        device: torch.device,
        precision: str,
        clip_norm: float,
    ):
        self._network, self._step_loss, self._seed, self._device = network, step_loss, seed, device
        self._type, self._clip_norm = PRECISIONS[precision], clip_norm or float("inf")
        self._optimizer = torch.optim.AdamW(groups)
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
        self._parameters = [parameter for group in groups for parameter in group["params"]]
        self.skipped = self._in_a_row = 0

    def train_step(self, batch: Batch, step: int, learning_rate: float) -> float | None:
        """Take a step; returns the loss before it, or None where loss or gradient was not finite and it was skipped.

        All randomness is set anew from the seed and the step's number, so a resumed run goes on as it would have.
        """
        generator = batch_generator(self._seed, step, self._device)
        torch.manual_seed(generator.initial_seed() ^ 1)  # dropout draws from the global generators
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate * group["share"]
        before = [buffer.clone() for buffer in self._network.buffers()]
        self._optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self._device.type, self._type) if self._type else nullcontext():
            loss = self._step_loss(self._network, batch.to(self._device), generator)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimizer)
        norm = nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        value, size = torch.stack([loss.detach().float(), norm.float()]).tolist()  # the step's one wait for the device
        finite = abs(value) + size < float("inf")
        if finite:
            self._scaler.step(self._optimizer)
        else:  # batch norm has already seen the batch
            for buffer, old in zip(self._network.buffers(), before, strict=True):
                buffer.copy_(old)
        self._scaler.update()
        self._count(finite, value, step)
        return value if finite else None

    def state(self) -> dict:
        """The optimizer's state, the loss scale and the counts of skipped steps."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "skipped": [self.skipped, self._in_a_row],
        }

    def load(self, state: dict) -> None:
        """Restore a `state`."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self.skipped, self._in_a_row = state["skipped"]

    def _count(self, finite: bool, loss: float, step: int) -> None:
        self.skipped, self._in_a_row = (self.skipped, 0) if finite else (self.skipped + 1, self._in_a_row + 1)
        if self._in_a_row == _MAX_SKIPPED_IN_A_ROW:
            raise BadInput(
                f"training diverged: {self._in_a_row} steps in a row were not finite, the last of them step {step}",
                expected="a finite loss and a finite gradient",
                got=f"loss {loss}",
                do="lower learning_rate, lengthen warmup_share, or set precision to bfloat16 or float32; "
                "if the loss is never finite, remove NaN from the audio or the targets",
            )


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


SCHEDULES = ("cosine", "one-cycle")
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
