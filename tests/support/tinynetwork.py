"""A network of a few thousand weights that learnt something: quantisation is not to be judged on random ones."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch

from lib.learn.network.losses import LossSettings, make_loss, output_loss
from lib.models.export.network import export_network
from lib.models.network.network import Network, NetworkSettings, build_network

CLASSES = 4


def pictures_of(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, 1, 32, 40) noise with a stripe for each class present, and (rows, classes) which those are."""
    random = np.random.default_rng(seed)
    pictures = random.normal(size=(rows, 1, 32, 40)).astype(np.float32)
    present = random.random((rows, CLASSES)) < 0.4
    for row, heard in np.argwhere(present):
        start = random.integers(30)
        pictures[row, 0, 8 * heard + 2 : 8 * heard + 5, start : start + 10] += 1.0
    return pictures, present


@cache
def trained() -> Network:
    """The network, evaluated; made once, so leave it as it is."""
    torch.manual_seed(0)
    network = build_network(NetworkSettings(width=8, hidden=16, dropout_hidden=0.1), CLASSES)
    optimizer, loss = torch.optim.AdamW(network.parameters(), 5e-3), make_loss(LossSettings())
    for step in range(120):
        pictures, present = pictures_of(16, seed=1000 + step)
        targets = torch.from_numpy(present.astype(np.float32))
        answer = network(torch.from_numpy(pictures))
        optimizer.zero_grad()
        output_loss(loss, LossSettings(), answer, targets, torch.ones_like(targets)).backward()
        optimizer.step()
    return network.eval()


@cache
def graph() -> bytes:
    """Its graph in ONNX, exported once: that takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        export_network(trained(), path, mels=32, frames=40)
        return path.read_bytes()
