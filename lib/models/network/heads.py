"""Heads from feature maps to logits: attention over time (SED), plain pooling, and interaction of classes."""

import torch
from torch import Tensor, nn

INITIAL_LOGIT = -3.0  # most cells are empty: a network that starts there need not unlearn 234 coin tosses


class GeM(nn.Module):
    """Generalised mean (Radenović et al. 2018): p = 1 is the mean, large p the maximum; p is learnt."""

    def __init__(self, dimensions: tuple[int, ...]):
        super().__init__()
        self.dimensions = dimensions
        self.p = nn.Parameter(torch.tensor(3.0))

    def forward(self, features: Tensor) -> Tensor:
        """The features with the pooled dimensions gone, in float32: powers overflow half precision."""
        return features.float().clamp(min=1e-6).pow(self.p).mean(self.dimensions).pow(1.0 / self.p)


class SedHead(nn.Module):
    """Logits of every frame; per class, attention weighs the frames for the clip (Kong et al. 2020)."""

    def __init__(self, features: int, n_classes: int, hidden: int, dropout_features: float, dropout_hidden: float):
        super().__init__()
        self.pool = GeM((2,))
        self.hidden = nn.Sequential(
            nn.Dropout(dropout_features), nn.Conv1d(features, hidden, 1), nn.ReLU(), nn.Dropout(dropout_hidden)
        )
        self.attention = nn.Conv1d(hidden, n_classes, 1)
        self.classes = nn.Conv1d(hidden, n_classes, 1)
        assert self.classes.bias is not None
        nn.init.constant_(self.classes.bias, INITIAL_LOGIT)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Clip logits (batch, classes) and frame logits (batch, classes, frames)."""
        hidden = self.hidden(self.pool(features))
        frame_logits = self.classes(hidden)
        attention = torch.softmax(torch.tanh(self.attention(hidden)), dim=-1)
        return (attention * frame_logits).sum(-1), frame_logits


class PooledHead(nn.Module):
    """One linear layer on the features pooled over frequency and time."""

    def __init__(self, features: int, n_classes: int, pool: nn.Module, dropout: float):
        super().__init__()
        self.pool, self.dropout = pool, nn.Dropout(dropout)
        self.classes = nn.Linear(features, n_classes)
        nn.init.constant_(self.classes.bias, INITIAL_LOGIT)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Clip logits (batch, classes) and the same as a single frame (batch, classes, 1)."""
        logits = self.classes(self.dropout(self.pool(features)))
        return logits, logits[..., None]


class Mean(nn.Module):
    """The plain mean over frequency and time."""

    def forward(self, features: Tensor) -> Tensor:
        """(batch, features) of (batch, features, rows, columns)."""
        return features.float().mean((2, 3))


class ClassInteraction(nn.Module):
    """A shift of each class's logit by the other classes' logits (co-occurrence); zero before training."""

    def __init__(self, n_classes: int, hidden: int):
        super().__init__()
        last = nn.Linear(hidden, n_classes)
        self.layers = nn.Sequential(nn.Linear(n_classes, hidden), nn.ReLU(), last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, clip_logits: Tensor, applies: Tensor | None) -> Tensor:
        """(batch, classes) shifts; zero, and without a gradient, in rows where `applies` (batch,) is False."""
        shift = self.layers(clip_logits)
        return shift if applies is None else shift * applies[:, None]
