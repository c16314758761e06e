"""A network of a few thousand weights that learnt something: quantisation is not to be judged on random ones."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch

from lib.learn.network.losses import make_loss, output_loss
from lib.learn.network.settings import LossSettings
from lib.models.export.network import export_network
from lib.models.network.network import Network, build_network
from lib.models.network.settings import NetworkSettings

CLASSES = 4


def spectrograms_of(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, 1, 32, 40) noise with a stripe for each class present, and (rows, classes) of these."""
    random = np.random.default_rng(seed)
    spectrograms = random.normal(size=(rows, 1, 32, 40)).astype(np.float32)
    present = random.random((rows, CLASSES)) < 0.4
    for row, column in np.argwhere(present):
        start = random.integers(30)
        spectrograms[row, 0, 8 * column + 2 : 8 * column + 5, start : start + 10] += 1.0
    return spectrograms, present


@cache
def trained() -> Network:
    """The network, evaluated; made once, so leave it as it is."""
    torch.manual_seed(0)
    network = build_network(NetworkSettings(width=8, hidden=16, dropout_hidden=0.1), CLASSES)
    optimizer, loss = torch.optim.AdamW(network.parameters(), 5e-3), make_loss(LossSettings())
    for step in range(120):
        spectrograms, present = spectrograms_of(16, seed=1000 + step)
        targets = torch.from_numpy(present.astype(np.float32))
        output = network(torch.from_numpy(spectrograms))
        optimizer.zero_grad()
        output_loss(loss, LossSettings(), output, targets, torch.ones_like(targets)).backward()
        optimizer.step()
    return network.eval()


@cache
def graph() -> bytes:
    """Its graph in ONNX, exported once: that takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        export_network(trained(), path, mels=32, frames=40)
        return path.read_bytes()
