"""LightProtoSSM, the public chain's stage C: windows exchange context, and are compared with a prototype per class.

It differs from the public code in the state space and in that sites are hidden at random in training and new ones taken
as unknown, so its numbers are its own. The state space is selective (Gu & Dao 2023, arXiv 2312.00752) and runs forwards
and backwards over a soundscape's windows. The public notebooks' "SSM" has neither gate nor out-projection, and feeds
its state with the convolution's input instead of its output. Here all three are as in the paper, so numbers of theirs
do not carry over unmeasured.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE
from lib.models.head.layers import Attention, Standardizer

SLOWEST, FASTEST = 0.05, 0.5  # first step sizes: at A = -1 a window is half forgotten after 14 windows, or after one


def selective_scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """(batch, windows, channels) the outputs of the states: h = exp(dt·a)·h + dt·b·x, y = c·h, from h = 0.

    x and dt are (batch, windows, channels), a (channels, states), b and c (batch, windows, states). In an
    export the loop is unrolled: a graph has a fixed number of windows.
    """
    keep = torch.exp(dt[..., None] * a)
    add = (dt * x)[..., None] * b[:, :, None]
    states = [add[:, 0]]
    for kept, added in zip(keep[:, 1:].unbind(1), add[:, 1:].unbind(1), strict=True):
        states.append(kept * states[-1] + added)
    return (torch.stack(states, dim=1) @ c[..., None]).squeeze(-1)


class SelectiveScan(nn.Module):
    """One direction: a window's output depends on itself and those before it."""

    def __init__(self, width: int, states: int, kernel: int = 4):
        super().__init__()
        self.rank, self.states = math.ceil(width / 16), states
        self.enter = nn.Linear(width, 2 * width)
        self.convolve = nn.Conv1d(width, width, kernel, groups=width, padding=kernel - 1)
        self.select = nn.Linear(width, self.rank + 2 * states, bias=False)
        self.step = nn.Linear(self.rank, width)
        first = torch.exp(torch.empty(width).uniform_(math.log(SLOWEST), math.log(FASTEST)))
        self.step.bias.data = torch.log(torch.expm1(first))  # the inverse of softplus
        self.a_log = nn.Parameter(torch.log(torch.arange(1.0, states + 1)).repeat(width, 1))
        self.skip = nn.Parameter(torch.ones(width))
        self.leave = nn.Linear(width, width)

    def forward(self, windows: Tensor) -> Tensor:
        """(batch, windows, width) of the same."""
        x, gate = self.enter(windows).chunk(2, dim=-1)
        x = self.convolve(x.transpose(1, 2))[..., : windows.shape[1]].transpose(1, 2)
        x = functional.silu(x)
        rate, b, c = self.select(x).split((self.rank, self.states, self.states), dim=-1)
        scanned = selective_scan(x, functional.softplus(self.step(rate)), -torch.exp(self.a_log), b, c)
        return self.leave((scanned + self.skip * x) * functional.silu(gate))


class BidirectionalScan(nn.Module):
    """Two scans, one of them over the windows in reverse, merged and added to the input."""

    def __init__(self, width: int, states: int, dropout: float):
        super().__init__()
        self.forwards, self.backwards = SelectiveScan(width, states), SelectiveScan(width, states)
        self.merge, self.dropout, self.norm = nn.Linear(2 * width, width), nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, windows: Tensor) -> Tensor:
        """(batch, windows, width) of the same."""
        scans = [self.forwards(windows), self.backwards(windows.flip(1)).flip(1)]
        return self.norm(windows + self.dropout(self.merge(torch.cat(scans, dim=-1))))


HOURS_A_DAY = 24
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
    mapped: Tensor
    known_site: Tensor

    def __init__(self, settings: ProtoNetwork, embedding: np.ndarray, logits: np.ndarray, sites: np.ndarray):
        """(rows, width) embeddings, (rows, classes) logits and (n,) site numbers: the training data's."""
        super().__init__()
        width, n_classes = settings.width, logits.shape[1]
        self.widths = {"embedding": embedding.shape[1], "logits": n_classes}
        self.site_dropout = settings.site_dropout
        self.embedding, self.logits = Standardizer(embedding), Standardizer(logits)
        self.register_buffer("mapped", torch.from_numpy(np.ptp(logits, axis=0) > 0))  # a flat column has no information
        self.register_buffer("known_site", torch.from_numpy(_known(sites)))
        self.project = nn.Sequential(
            nn.Linear(embedding.shape[1], width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(settings.dropout)
        )
        self.positions = nn.Parameter(0.02 * torch.randn(WINDOWS_PER_SOUNDSCAPE, width))
        # plain tables: torch exports a layer for them under the name "embedding", which is an input's
        self.sites = nn.Parameter(torch.randn(len(self.known_site), settings.context_width))
        self.hours = nn.Parameter(torch.randn(HOURS_A_DAY, settings.context_width))
        self.place = nn.Linear(2 * settings.context_width, width)
        self.layers = nn.ModuleList(_Layer(settings) for _ in range(settings.layers))
        self.prototypes = nn.Parameter(torch.randn(n_classes, width))
        self.temperature = nn.Parameter(torch.tensor(settings.temperature))
        self.bias, self.fusion = nn.Parameter(torch.zeros(n_classes)), nn.Parameter(torch.zeros(n_classes))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """(files, 12, classes) logits; the embedder's mapped logits are mixed in, in a share learnt per class."""
        similarity = functional.normalize(self.hidden(inputs), dim=-1) @ functional.normalize(self.prototypes, dim=-1).T
        logits = functional.softplus(self.temperature) * similarity + self.bias
        share = torch.where(self.mapped, torch.sigmoid(self.fusion), torch.ones_like(self.fusion))
        return share * logits + (1 - share) * inputs["logits"]

    def hidden(self, inputs: dict[str, Tensor]) -> Tensor:
        """(files, 12, width) the windows, each in the context of the others, of the site and of the hour."""
        site = self.known_or_unknown_site(inputs["site"])
        place = self.place(torch.cat([self.sites[site], self.hours[inputs["hour"]]], dim=-1))
        windows = self.project_tokens(inputs["embedding"]) + self.positions + place[:, None]
        for layer in self.layers:
            windows = layer(windows)
        return windows

    def project_tokens(self, embedding: Tensor) -> Tensor:
        """(…, width) windows by themselves, of (…, embedding width)."""
        return self.project(self.embedding(embedding))

    def known_or_unknown_site(self, site: Tensor) -> Tensor:
        """(files,) numbers of sites of the training data, 0 for others; in training some are hidden at random."""
        last = len(self.known_site) - 1
        site = torch.where(site > last, UNKNOWN_SITE, site)
        site = self.known_site[site]
        if self.training:
            site = torch.where(torch.rand(site.shape) < self.site_dropout, UNKNOWN_SITE, site)
        return site


class _Layer(nn.Module):
    """A scan in both directions, then attention among the windows."""

    def __init__(self, settings: ProtoNetwork):
        super().__init__()
        self.scan = BidirectionalScan(settings.width, settings.states, settings.dropout)
        self.attention = Attention(settings.width, settings.attention_heads, settings.dropout)
        self.dropout, self.norm = nn.Dropout(settings.dropout), nn.LayerNorm(settings.width)

    def forward(self, windows: Tensor) -> Tensor:
        """(files, 12, width) of the same."""
        windows = self.scan(windows)
        return self.norm(windows + self.dropout(self.attention(windows)))


def _known(sites: np.ndarray) -> np.ndarray:
    """(highest + 1,) each site's own number where the training data has it, else 0."""
    numbers = np.zeros(sites.max(initial=UNKNOWN_SITE) + 1, dtype=np.int64)
    numbers[sites] = sites
    return numbers
