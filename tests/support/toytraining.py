"""A network of a few hundred weights and a task for it, in a module that new processes can import."""

import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lib.learn.network.dataset import Batch
from lib.learn.network.loop import Trained, train
from lib.learn.network.settings import TrainingSettings

SETTINGS = TrainingSettings(epochs=3, steps_per_epoch=4, learning_rate=0.01, average="ema", ema_decay=0.9, swa_from=0.3)


def toy_network() -> nn.Module:
    """Batch norm, whose statistics must be kept, and dropout, whose randomness must be."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 3))


def toy_batch(number: int) -> Batch:
    """Batch `number`: class k sounds where the mean of its third of the samples is high."""
    audio = np.random.default_rng([7, number]).normal(size=(8, 16)).astype(np.float32)
    targets = (audio[:, :15].reshape(8, 3, 5).mean(axis=2) > 0).astype(np.float32)
    targets = torch.from_numpy(targets)
    return Batch(torch.from_numpy(audio), targets, torch.ones_like(targets), torch.zeros(8, dtype=torch.bool))


def toy_batches(start: int):
    """Batches without end."""
    while True:
        yield toy_batch(start)
        start += 1


def toy_loss(network: nn.Module, batch: Batch, generator: torch.Generator) -> torch.Tensor:
    """Binary cross-entropy of noisy audio."""
    noise = torch.randn(batch.audio.shape, generator=generator, device=generator.device)
    logits = network(batch.audio + 0.1 * noise).float()
    return nn.functional.binary_cross_entropy_with_logits(logits, batch.targets)


def toy_score(network: nn.Module) -> dict[str, float]:
    """The share of right predictions on held-out batches."""
    batch = toy_batch(1_000_000)
    return {"right": ((network(batch.audio) > 0) == (batch.targets > 0)).float().mean().item()}


def toy_train(folder: Path, network: nn.Module, settings: TrainingSettings = SETTINGS, **options) -> Trained:
    """The task, learned on one thread."""
    torch.set_num_threads(1)
    given = {"batches": toy_batches, "step_loss": toy_loss, "score": toy_score, "seed": 5} | options
    batches, step_loss = given.pop("batches"), given.pop("step_loss")
    return train(network, batches, step_loss, settings, folder, **given)


def train_until_stuck(folder: str, stuck_at: int) -> None:
    """Train, and at one batch write `<folder>/stuck` and wait to be killed."""

    def batches(start: int):
        for number, batch in enumerate(toy_batches(start), start):
            if number == stuck_at:
                Path(folder, "stuck").touch()
                time.sleep(120)
            yield batch

    toy_train(Path(folder), toy_network(), batches=batches)


def fold_that_returns(fold: int, device: str) -> tuple[int, str, int, int]:
    """The fold's number, its device, its threads and its process."""
    print(f"hello from {device}", end="")  # a last line without an end is reported too
    return fold, device, torch.get_num_threads(), os.getpid()


def fold_that_fails(fold: int, device: str) -> None:
    """Fold 1 meets an error, the others sleep."""
    if fold == 1:
        raise ZeroDivisionError("planted")
    time.sleep(120)


def fold_that_dies(fold: int, device: str) -> None:
    """A process that is killed."""
    os.kill(os.getpid(), 9)


def fold_that_waits(folder: str, fold: int, device: str) -> None:
    """Leave the process's number in the folder and wait."""
    Path(folder, f"{fold}.partial").write_text(str(os.getpid()))
    Path(folder, f"{fold}.partial").rename(Path(folder, f"{fold}.pid"))
    time.sleep(120)
