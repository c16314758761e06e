"""ResidualSSM, the public chain's stage E: predicts the error of a first pass from its logits and the embeddings.

The target y − σ(first pass) is the slope of the cross-entropy, so adding a share of it to the logits is one step of
gradient boosting, and the share its step length.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lib.models.head.layers import Standardizer
from lib.models.head.proto_ssm import BidirectionalScan

FIRST_PASS = "first_pass"  # the input's name; in a member's graph, the first pass's own output takes its place


@dataclass(frozen=True)
class ResidualNetwork:
    """The public chain's sizes."""

    width: int = 64
    states: int = 8
    dropout: float = 0.15
    correction_weight: float = 0.3


class ResidualSSM(nn.Module):
    """Embeddings and a first pass's logits of whole soundscapes in, better logits out; at first, the same."""

    context: tuple[str, ...] = ()

    def __init__(self, settings: ResidualNetwork, embedding: np.ndarray, first_pass: np.ndarray):
        """(rows, width) embeddings and (rows, classes) first logits, of which the scales are taken."""
        super().__init__()
        rows = {"embedding": embedding, FIRST_PASS: first_pass}
        self.widths = {name: values.shape[1] for name, values in rows.items()}
        self.weight = settings.correction_weight
        self.standards = nn.ModuleList(Standardizer(values) for values in rows.values())
        self.project = nn.Sequential(
            nn.Linear(sum(self.widths.values()), settings.width),
            nn.LayerNorm(settings.width),
            nn.GELU(),
            nn.Dropout(settings.dropout),
        )
        self.scan = BidirectionalScan(settings.width, settings.states, settings.dropout)
        self.classes = nn.Linear(settings.width, first_pass.shape[1])
        nn.init.zeros_(self.classes.weight)
        nn.init.zeros_(self.classes.bias)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """(files, 12, classes) the first pass's logits, corrected."""
        return inputs[FIRST_PASS] + self.weight * self.correction(inputs)

    def correction(self, inputs: dict[str, Tensor]) -> Tensor:
        """(files, 12, classes) the predicted truth less the first pass's probability."""
        scaled = [standard(inputs[name]) for name, standard in zip(self.widths, self.standards, strict=True)]
        return self.classes(self.scan(self.project(torch.cat(scaled, dim=-1))))
