"""Per-class probes: a small MLP a class on reduced embeddings and on the course of the class's logit through the file.

All MLPs of one size are one batch of matrices. Classes without a probe keep the embedder's logit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE


@dataclass(frozen=True, eq=False)
class Reduction:
    """Principal components of standardised embeddings: (embedding - centre) @ projection."""

    centre: np.ndarray  # (width,)
    projection: np.ndarray  # (width, components), such that the mean component has variance 1


class MlpBank(nn.Module):
    """MLPs of one size, one for each of these columns: (classes, rows, features) in, (classes, rows) logits out."""

    def __init__(self, columns: Sequence[int], features: int, hidden: Sequence[int], seed: int):
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        pairs = list(pairwise((features, *hidden, 1)))
        self.columns = list(columns)
        self.weights = nn.ParameterList(
            torch.randn(len(columns), wide, narrow, generator=random) * (2 / wide) ** 0.5 for wide, narrow in pairs
        )
        self.biases = nn.ParameterList(torch.zeros(len(columns), 1, narrow) for _, narrow in pairs)

    def forward(self, rows: Tensor) -> Tensor:
        """(classes, rows) logits."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            rows = torch.relu(rows @ weight + bias)
        return (rows @ self.weights[-1] + self.biases[-1])[..., 0]


class ClassMlps(nn.Module):
    """Embeddings and mapped logits of whole soundscapes in, logits out: a share of each probe's, the rest as it was."""

    context: tuple[str, ...] = ()
    centre: Tensor
    projection: Tensor
    shares: Tensor
    score_centre: Tensor
    score_spread: Tensor

    def __init__(self, reduction: Reduction, logits: np.ndarray, shares: np.ndarray):
        """(files, 12, classes) logits that the scales are taken from, and (classes,) the share of a class's probe."""
        super().__init__()
        self.widths = {"embedding": len(reduction.centre), "logits": logits.shape[2]}
        self.banks = nn.ModuleList()  # of MlpBank
        scores = score_features(torch.from_numpy(logits)).flatten(0, 1)
        spread = scores.std(dim=0)
        for name, value in {
            "centre": torch.from_numpy(reduction.centre.astype(np.float32)),
            "projection": torch.from_numpy(reduction.projection.astype(np.float32)),
            "shares": torch.from_numpy(shares.astype(np.float32)),
            "score_centre": scores.mean(dim=0),
            "score_spread": torch.where(spread > 1e-6, spread, torch.ones_like(spread)),
        }.items():
            self.register_buffer(name, value)

    def features(self, inputs: dict[str, Tensor], columns: Sequence[int]) -> Tensor:
        """(columns, files * 12, features) the inputs of these classes' probes."""
        reduced = ((inputs["embedding"] - self.centre) @ self.projection).flatten(0, 1)
        scores = (score_features(inputs["logits"]).flatten(0, 1) - self.score_centre) / self.score_spread
        own = scores[:, columns].transpose(0, 1)
        return torch.cat([reduced.expand(len(columns), -1, -1), own], dim=2)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """(files, 12, classes) logits."""
        mixed = inputs["logits"] * (1 - self.shares)
        for bank in self.banks:
            assert isinstance(bank, MlpBank)
            outputs = bank(self.features(inputs, bank.columns)).T.unflatten(0, (-1, WINDOWS_PER_SOUNDSCAPE))
            places = torch.eye(len(self.shares))[bank.columns] * self.shares
            mixed = mixed + outputs @ places
        return mixed


def score_features(logits: Tensor) -> Tensor:
    """(files, 12, classes, 6) of (files, 12, classes): own logit, the neighbours', the file's mean, highest and spread.

    At the ends of a file a window is its own neighbour.
    """
    before = torch.cat([logits[:, :1], logits[:, :-1]], dim=1)
    after = torch.cat([logits[:, 1:], logits[:, -1:]], dim=1)
    mean = logits.mean(dim=1, keepdim=True)
    spread = (logits - mean).square().mean(dim=1, keepdim=True).sqrt()
    whole = [value.expand_as(logits) for value in (mean, logits.amax(dim=1, keepdim=True), spread)]
    return torch.stack([logits, before, after, *whole], dim=3)
