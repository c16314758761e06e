"""S2's heads on an embedder's blocks, a window at a time: attention from a learnt token, or a plain weighted sum."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lib.models.head.layers import Attention, Standardizer
from lib.models.network.heads import INITIAL_LOGIT

S2_BLOCKS = ("block:MBConv_21", "block:MBConv_24", "block:MBConv_25")


@dataclass(frozen=True)
class SequenceNetwork:
    """The sizes; on S2's three blocks and 234 classes they make the 430 thousand weights that S2 reports."""

    width: int = 144
    attention_heads: int = 4
    hidden_ratio: int = 4
    dropout: float = 0.1


class PerWindow(nn.Module):
    """A network that scores each window alone: its inputs may have any leading shape."""

    context: tuple[str, ...] = ()

    def __init__(self, rows: dict[str, np.ndarray], width: int):
        super().__init__()
        self.widths = {name: values.shape[1] for name, values in rows.items()}
        self.standards = nn.ModuleList(Standardizer(values) for values in rows.values())
        self.projections = nn.ModuleList(nn.Linear(size, width) for size in self.widths.values())

    def project_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """(…, tokens, width) each token standardised and brought to the common width."""
        layers = zip(self.widths, self.standards, self.projections, strict=True)
        return torch.stack([project(standard(inputs[name])) for name, standard, project in layers], dim=-2)


class SequenceHead(PerWindow):
    """Tokens and a learnt one of the head's own through one transformer block; that one is read for the classes."""

    def __init__(self, settings: SequenceNetwork, rows: dict[str, np.ndarray], n_classes: int):
        width = settings.width
        super().__init__(rows, width)
        self.reader = nn.Parameter(0.02 * torch.randn(width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attention = Attention(width, settings.attention_heads, settings.dropout)
        self.think = nn.Sequential(
            nn.Linear(width, settings.hidden_ratio * width),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.hidden_ratio * width, width),
            nn.Dropout(settings.dropout),
        )
        self.classes = _classes(width, n_classes)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """(…, classes) logits of (…, width) tokens by name."""
        tokens = self.project_tokens(inputs)
        rows = tokens.flatten(0, -3)
        rows = torch.cat([self.reader.expand(rows.shape[0], 1, -1), rows], dim=1)
        rows = rows + self.attention(self.norms[0](rows))
        read = rows[:, 0] + self.think(self.norms[1](rows[:, 0]))
        return self.classes(self.norms[2](read)).unflatten(0, tokens.shape[:-2])


class ScalarMix(PerWindow):
    """A weighted sum of the tokens, the weights a softmax, then one linear layer.

    Each token is normalised before it is weighted: otherwise its projection could do the weighting unseen.
    """

    def __init__(self, settings: SequenceNetwork, rows: dict[str, np.ndarray], n_classes: int):
        super().__init__(rows, settings.width)
        self.norm = nn.LayerNorm(settings.width, elementwise_affine=False)
        self.preference = nn.Parameter(torch.zeros(len(rows)))
        self.dropout, self.classes = nn.Dropout(settings.dropout), _classes(settings.width, n_classes)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """(…, classes) logits of (…, width) tokens by name."""
        mixed = (self.norm(self.project_tokens(inputs)) * self.preference.softmax(0)[:, None]).sum(-2)
        return self.classes(self.dropout(mixed))

    def shares(self) -> dict[str, float]:
        """The weight of each token by name, 1 in sum."""
        return dict(zip(self.widths, self.preference.softmax(0).tolist(), strict=True))


def _classes(width: int, n_classes: int) -> nn.Linear:
    """The last layer, whose bias starts where most cells are empty."""
    layer = nn.Linear(width, n_classes)
    nn.init.constant_(layer.bias, INITIAL_LOGIT)
    return layer
