"""One step of training, guarded: a step that is not finite changes nothing, and is counted."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lib.core.errors import BadInput
from lib.learn.network.dataset import Batch, batch_generator
from lib.learn.network.settings import PRECISIONS

_TYPES = dict(zip(PRECISIONS, (None, torch.bfloat16, torch.float16), strict=True))

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
        self._type, self._clip_norm = _TYPES[precision], clip_norm or float("inf")
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
