"""A head that is a torch network, fitted: its logits, and its export."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib.learn.head.data import Sequences
from lib.models.export.head import HeadNetwork, export_head, head_inputs

_FILES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """An evaluated network."""

    network: HeadNetwork

    def logits(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) logits."""
        inputs = network_inputs(self.network, sequences)
        parts = {name: values.split(_FILES_AT_ONCE) for name, values in inputs.items()}
        with torch.inference_mode():
            said = [self.network(dict(zip(parts, values, strict=True))) for values in zip(*parts.values(), strict=True)]
        return torch.cat(said).numpy()

    def export(self, path: Path) -> None:
        """Write the graph."""
        export_head(self.network, path)


def network_inputs(network: HeadNetwork, sequences: Sequences) -> dict[str, Tensor]:
    """What the network reads of the soundscapes, by name: tokens (files, 12, width), `site` and `hour` (files,)."""
    context = {"site": sequences.sites, "hour": sequences.hours}
    return {name: torch.from_numpy((sequences.tokens | context)[name]) for name in head_inputs(network)}
