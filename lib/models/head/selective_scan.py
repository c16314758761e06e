"""A selective state space over a soundscape's windows (Gu & Dao 2023, arXiv 2312.00752), forwards and backwards.

The public notebooks' "SSM" has neither gate nor out-projection, and feeds its state with what entered the convolution
instead of what left it. Here all three are as in the paper, so numbers of theirs do not carry over unmeasured.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOWEST, FASTEST = 0.05, 0.5  # first step sizes: at A = -1 a window is half forgotten after 14 windows, or after one


def selective_scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """(batch, windows, channels) what the states say: h = exp(dt·a)·h + dt·b·x, y = c·h, from h = 0.

    x and dt are (batch, windows, channels), a (channels, states), b and c (batch, windows, states). In an
    export the loop is unrolled: a graph knows its number of windows.
    """
    keep = torch.exp(dt[..., None] * a)
    add = (dt * x)[..., None] * b[:, :, None]
    states = [add[:, 0]]
    for kept, added in zip(keep[:, 1:].unbind(1), add[:, 1:].unbind(1), strict=True):
        states.append(kept * states[-1] + added)
    return (torch.stack(states, dim=1) @ c[..., None]).squeeze(-1)


class SelectiveScan(nn.Module):
    """One direction: a window hears itself and those before it."""

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
        said = selective_scan(x, functional.softplus(self.step(rate)), -torch.exp(self.a_log), b, c)
        return self.leave((said + self.skip * x) * functional.silu(gate))


class BothWays(nn.Module):
    """Two scans, one of them over the windows in reverse, merged and added to what came in."""

    def __init__(self, width: int, states: int, dropout: float):
        super().__init__()
        self.forwards, self.backwards = SelectiveScan(width, states), SelectiveScan(width, states)
        self.merge, self.dropout, self.norm = nn.Linear(2 * width, width), nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, windows: Tensor) -> Tensor:
        """(batch, windows, width) of the same."""
        heard = [self.forwards(windows), self.backwards(windows.flip(1)).flip(1)]
        return self.norm(windows + self.dropout(self.merge(torch.cat(heard, dim=-1))))
