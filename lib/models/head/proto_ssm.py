"""LightProtoSSM, the public chain's stage C: windows hear each other, and are likened to a prototype of each class.

It differs from the public code in the state space (see selective_scan) and in that sites are hidden at random in
training and unmet ones taken as unknown, so its numbers are its own.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE
from lib.models.head.layers import Attention, Standard
from lib.models.head.selective_scan import BothWays

HOURS = 24
UNKNOWN_SITE = 0


@dataclass(frozen=True)
class ProtoNetwork:
    """The public chain's sizes; its larger variant has width 256, 32 states and 3 layers."""

    width: int = 128
    states: int = 16
    layers: int = 2
    attention_heads: int = 2
    dropout: float = 0.15
    context_width: int = 16  # numbers that describe a site, and as many an hour
    site_dropout: float = 0.25  # share of files whose site is hidden in training: so an unknown one means something
    temperature: float = 5.0  # before softplus


class ProtoSSM(nn.Module):
    """Embeddings and mapped logits of whole soundscapes in, with site and hour; logits of windows out."""

    context = ("site", "hour")

    def __init__(self, settings: ProtoNetwork, embedding: np.ndarray, logits: np.ndarray, sites: np.ndarray):
        """(rows, width) embeddings, (rows, classes) logits and (n,) site numbers: all that the network will know."""
        super().__init__()
        width, n_classes = settings.width, logits.shape[1]
        self.widths = {"embedding": embedding.shape[1], "logits": n_classes}
        self.site_dropout = settings.site_dropout
        self.embedding, self.logits = Standard(embedding), Standard(logits)
        self.register_buffer("mapped", torch.from_numpy(np.ptp(logits, axis=0) > 0))  # a flat column says nothing
        self.register_buffer("known_site", torch.from_numpy(_known(sites)))
        self.project = nn.Sequential(
            nn.Linear(embedding.shape[1], width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(settings.dropout)
        )
        self.positions = nn.Parameter(0.02 * torch.randn(WINDOWS_PER_SOUNDSCAPE, width))
        # plain tables: torch exports a layer for them under the name "embedding", which is an input's
        self.sites = nn.Parameter(torch.randn(len(self.known_site), settings.context_width))
        self.hours = nn.Parameter(torch.randn(HOURS, settings.context_width))
        self.place = nn.Linear(2 * settings.context_width, width)
        self.layers = nn.ModuleList(_Layer(settings) for _ in range(settings.layers))
        self.prototypes = nn.Parameter(torch.randn(n_classes, width))
        self.temperature = nn.Parameter(torch.tensor(settings.temperature))
        self.bias, self.fusion = nn.Parameter(torch.zeros(n_classes)), nn.Parameter(torch.zeros(n_classes))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """(files, 12, classes) logits; what the embedder maps to a class is mixed in, in a share learnt per class."""
        likeness = functional.normalize(self.hidden(inputs), dim=-1) @ functional.normalize(self.prototypes, dim=-1).T
        said = functional.softplus(self.temperature) * likeness + self.bias
        share = torch.where(self.mapped, torch.sigmoid(self.fusion), torch.ones_like(self.fusion))
        return share * said + (1 - share) * inputs["logits"]

    def hidden(self, inputs: dict[str, Tensor]) -> Tensor:
        """(files, 12, width) the windows, each in the light of the others, of the site and of the hour."""
        site = self.site_met(inputs["site"])
        place = self.place(torch.cat([self.sites[site], self.hours[inputs["hour"]]], dim=-1))
        windows = self.projected(inputs["embedding"]) + self.positions + place[:, None]
        for layer in self.layers:
            windows = layer(windows)
        return windows

    def projected(self, embedding: Tensor) -> Tensor:
        """(…, width) windows by themselves, of (…, embedding width)."""
        return self.project(self.embedding(embedding))

    def site_met(self, site: Tensor) -> Tensor:
        """(files,) numbers of sites met in training, 0 for others; in training some are hidden at random."""
        last = len(self.known_site) - 1
        site = torch.where(site > last, UNKNOWN_SITE, site)
        site = self.known_site[site]
        if self.training:
            site = torch.where(torch.rand(site.shape) < self.site_dropout, UNKNOWN_SITE, site)
        return site


class _Layer(nn.Module):
    """Both ways through the windows, then attention among them."""

    def __init__(self, settings: ProtoNetwork):
        super().__init__()
        self.scan = BothWays(settings.width, settings.states, settings.dropout)
        self.attention = Attention(settings.width, settings.attention_heads, settings.dropout)
        self.dropout, self.norm = nn.Dropout(settings.dropout), nn.LayerNorm(settings.width)

    def forward(self, windows: Tensor) -> Tensor:
        """(files, 12, width) of the same."""
        windows = self.scan(windows)
        return self.norm(windows + self.dropout(self.attention(windows)))


def _known(sites: np.ndarray) -> np.ndarray:
    """(highest + 1,) each site's own number where it was met, else 0."""
    numbers = np.zeros(sites.max(initial=UNKNOWN_SITE) + 1, dtype=np.int64)
    numbers[sites] = sites
    return numbers
