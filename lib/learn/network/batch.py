"""A batch: what a network is shown at once, and the random numbers that belong to it."""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops of audio with their targets; all tensors have one row an example."""

    audio: torch.Tensor  # (batch, samples) float32
    targets: torch.Tensor  # (batch, classes) float32 in [0, 1]
    weights: torch.Tensor  # (batch, classes) float32; 0: unknown, does not count
    soundscape: torch.Tensor  # (batch,) bool: cut from a soundscape, and unmixed
    taught: torch.Tensor | None = None  # (batch,) bool: the targets are a teacher's; None: nobody's are
    background: torch.Tensor | None = None  # (batch, samples) float32 unlabelled soundscape to lay under the audio

    def to(self, device: torch.device | str, non_blocking: bool = True) -> "Batch":
        """The batch on a device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pinned(self) -> "Batch":
        """The batch in memory that a GPU copies from while it computes."""
        return self._with(torch.Tensor.pin_memory)

    def _with(self, change) -> "Batch":
        present = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(tensor) for name, tensor in present.items() if tensor is not None})


def generator_of(seed: int, number: int, device: torch.device | str) -> torch.Generator:
    """The random numbers of batch `number` of a run, the same whenever and in whatever order batches are made."""
    state = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))  # torch takes 63 bits and a sign
