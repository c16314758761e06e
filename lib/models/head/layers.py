"""Layers that the heads' networks share: standardised tokens, and attention among them."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

CLIP = 4.0  # standard deviations: a token far outside the training range must not dominate the others


class Standardizer(nn.Module):
    """Tokens less their mean, over their spread, clipped; the two are part of the weights."""

    centre: Tensor
    spread: Tensor

    def __init__(self, rows: np.ndarray):
        super().__init__()
        spread = rows.std(axis=0)
        self.width = rows.shape[1]
        self.register_buffer("centre", torch.from_numpy(rows.mean(axis=0).astype(np.float32)))
        self.register_buffer("spread", torch.from_numpy(np.where(spread > 1e-6, spread, 1.0).astype(np.float32)))

    def forward(self, tokens: Tensor) -> Tensor:
        """(…, width) of the same."""
        return ((tokens - self.centre) / self.spread).clamp(-CLIP, CLIP)


class Attention(nn.Module):
    """Multi-head self-attention, written out so that any exporter reads it."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.enter, self.leave = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, width) of the same."""
        parts = self.enter(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], dropout_p=dropout)
        return self.leave(mixed.transpose(1, 2).flatten(2))
