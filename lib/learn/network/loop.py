"""The training loop: killed at any moment and started again, it ends with the same weights."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.records import write_text
from lib.learn.network.checkpoint import PREVIOUS, load_checkpoint, save_checkpoint
from lib.learn.network.dataset import Batch
from lib.learn.network.optim import Average, learning_rate_share, parameter_groups
from lib.learn.network.pace import Pace, named_scores
from lib.learn.network.settings import TrainingSettings
from lib.learn.network.train_step import GuardedOptimizer, StepLoss

_KEPT = ("step", "finished", "losses", "history", "pace", "best")

ScoreCallback = Callable[[Any], dict[str, float]]  # of a network, of whatever class


@dataclass(frozen=True)
class Trained:
    """The result of training beside the weights: a row an epoch of what happened, and of how fast it went."""

    history: list[dict]  # the same for the same seed: epoch, step, learning_rate, loss, skipped, and the scores
    pace: list[dict]  # seconds, clips_per_s, waiting_share


def train(
    network: nn.Module,
    batches: Callable[[int], Iterator[Batch]],
    step_loss: StepLoss,
    settings: TrainingSettings,
    folder: Path,
    *,
    seed: int,
    config: str = "",
    score: ScoreCallback | None = None,
    device: str = "cpu",
    checkpoint_s: float = 300.0,
) -> Trained:
    """Train the network, which ends in eval mode with the final weights; returns an entry an epoch of what happened.

    `batches(n)` gives batch n and those after it; `step_loss` runs under autocast and so takes logits as float32
    itself; `score` gives an epoch's scores, the first of which early stopping follows. The folder keeps the checkpoint
    and `history.jsonl`; `config` is the fingerprint of all that the loop does not see and the weights depend on.
    """
    if settings.patience and score is None:
        raise BadInput("patience needs a score", expected="a scoring function", got="none", do="set patience=0")
    groups = parameter_groups(network.to(device), settings.weight_decay, settings.layer_decay)
    optimizer = GuardedOptimizer(
        network,
        step_loss,
        groups,
        seed=seed,
        device=torch.device(device),
        precision=settings.precision,
        clip_norm=settings.clip_norm,
    )
    made_by = fingerprint.of_json({"settings": asdict(settings), "seed": seed, "config": config})
    run = _Run(network, optimizer, settings, folder, made_by, score)
    run.resume()
    if not run.finished:
        stream, pace = batches(run.step), Pace(folder.name, run.step, settings.steps)
        try:
            run.run(stream, checkpoint_s, pace)
        finally:
            pace.close()
            getattr(stream, "close", lambda: None)()  # a generator's threads end with it
    network.eval()
    return Trained(run.history, run.pace)


class _Run:
    """A training run between two steps; with the optimizer's, its state is what a checkpoint holds."""

    def __init__(
        self,
        network: nn.Module,
        optimizer: GuardedOptimizer,
        settings: TrainingSettings,
        folder: Path,
        made_by: str,
        score: ScoreCallback | None,
    ):
        self.network, self.optimizer, self.settings = network, optimizer, settings
        self.folder, self.made_by, self.score = folder, made_by, score
        self.average = Average(network) if settings.average != "none" else None
        self.step, self.finished = 0, False
        self.losses: list[float] = []  # of this epoch
        self.history: list[dict] = []
        self.pace: list[dict] = []
        self.best: dict[str, Tensor] | None = None  # weights of the best epoch, with patience

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        saved = load_checkpoint(self.folder, self.made_by)
        if saved is None:
            return
        self.network.load_state_dict(saved["network"])
        for name in _KEPT:
            setattr(self, name, saved[name])
        if not self.finished:
            self.optimizer.load(saved["optimizer"])
            if self.average:
                self.average.load(saved["average"])
        print(
            f"{self.folder.name}: {'finished before,' if self.finished else 'goes on'} at step {self.step}", flush=True
        )

    def save(self) -> None:
        """Write the checkpoint; of a finished run only what is read again."""
        state = {"network": self.network.state_dict()} | {name: getattr(self, name) for name in _KEPT}
        if not self.finished:
            state["optimizer"] = self.optimizer.state()
            if self.average:
                state["average"] = self.average.saved()
        save_checkpoint(self.folder, self.made_by, state)
        if self.finished:
            (self.folder / PREVIOUS).unlink(missing_ok=True)  # it is several times as large as the last

    def run(self, stream: Iterator[Batch], checkpoint_s: float, pace: Pace) -> None:
        """Take all the steps that are left."""
        settings, saved = self.settings, time.monotonic()
        while not self.finished:
            batch = pace.next_batch(stream)
            share = learning_rate_share(self.step, settings.steps, settings.schedule, settings.warmup_share)
            rate = settings.learning_rate * share
            self.network.train()
            loss = self.optimizer.train_step(batch, self.step, rate)
            self.step += 1
            if loss is not None:
                self.losses.append(loss)
                if self.average and settings.average == "ema":
                    self.average.update_ema(self.network, self.settings.ema_decay)
            pace.step_done(len(batch.audio), loss)
            epoch_ends = self.step % settings.steps_per_epoch == 0
            if epoch_ends:
                self.end_epoch(pace, rate)
            if epoch_ends or time.monotonic() - saved >= checkpoint_s:
                self.save()
                saved = time.monotonic()

    def end_epoch(self, pace: Pace, rate: float) -> None:
        """Average, score and note what happened; finish after the last epoch, or when patience is over."""
        settings, epoch = self.settings, self.step // self.settings.steps_per_epoch
        self.pace.append(pace.lap())
        if self.average and settings.average == "swa" and epoch > settings.swa_from * settings.epochs:
            self.average.update_mean(self.network)
        loss = math.fsum(self.losses) / len(self.losses) if self.losses else None
        row = {
            "epoch": epoch,
            "step": self.step,
            "learning_rate": rate,
            "loss": loss,
            "skipped": self.optimizer.skipped,
        }
        average = self.average if self.average and self.average.count else None
        with average.in_place_of(self.network) if average else nullcontext():
            self.history.append(row | {"scores": self._scores()})
            best = self._epoch_of_best() if settings.patience else epoch
            if settings.patience and best == epoch:
                self.best = {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}
        self.losses = []
        self.finished = epoch == settings.epochs or epoch - best >= settings.patience > 0
        final = self.best or (average.state if average else None)
        if self.finished and final:
            self.network.load_state_dict(final)
            self.best = None
        lines = [json.dumps(row, allow_nan=False) + "\n" for row in self.history]
        write_text(self.folder / "history.jsonl", "".join(lines))
        pace.scores = self.history[-1]["scores"]
        pace.end_lap(_summary(self.history[-1], settings.epochs))

    def _scores(self) -> dict[str, float | None]:
        """The scores of the network as it is now; None where there was nothing to score."""
        if self.score is None:
            return {}
        self.network.eval()
        with torch.no_grad():
            found = self.score(self.network)
        scores = {name: float(value) if math.isfinite(value) else None for name, value in found.items()}
        if self.settings.patience and next(iter(scores.values()), None) is None:
            raise BadInput(
                "patience needs a score that is a number",
                expected="a finite first score",
                got=found,
                do="hold out rows that can be scored, or set patience=0",
            )
        return scores

    def _epoch_of_best(self) -> int:
        """The first epoch with the highest leading score, counted from 1."""
        leads = [next(iter(row["scores"].values())) for row in self.history]
        return 1 + leads.index(max(leads))


def _summary(row: dict, epochs: int) -> str:
    """An epoch's row as a line of text."""
    loss = "no finite loss" if row["loss"] is None else f"loss {row['loss']:.4f}"
    skipped = [f"{row['skipped']} steps skipped so far"] if row["skipped"] else []
    return ", ".join([f"epoch {row['epoch']}/{epochs}", loss, *named_scores(row["scores"]), *skipped])
