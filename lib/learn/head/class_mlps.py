"""Fit the per-class MLPs: all classes at once, each stopped early by recordings set validation."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.core.errors import BadInput
from lib.learn.head.base import FittedNetwork, network_inputs
from lib.learn.head.data import HeadData, Sequences, validation_mask
from lib.learn.head.loop import reproducible
from lib.models.head.class_mlps import ClassMlps, MlpBank, Reduction

INNER_FOLDS = 5  # one of them is for early stopping


@dataclass(frozen=True)
class ClassMlpSettings:
    """Settings of the per-class MLPs, by default the public chain's sizes."""

    inputs: tuple[str, ...] = ("embedding", "logits")
    fewest_positives: int = 5  # labelled windows that a class must have to get an MLP
    components: int = 64
    hidden: tuple[int, ...] = (128, 64)
    many_positives: int = 50
    hidden_many: tuple[int, ...] = (256, 128)  # of classes with so many positives
    oversampling: float = 8.0  # a positive is drawn at most so often as a negative, and at most half of the time
    share: float = 0.4  # of the MLP in the logit, the rest is the embedder's; all of it where the embedder's is flat
    learning_rate: float = 1e-3
    weight_decay: float = 0.005
    rows_per_step: int = 64  # of each class
    steps: int = 400  # at most
    validate_every: int = 10  # steps, on the recordings set validation
    patience: int = 100  # steps without a better loss on them


def fit_class_mlps(data: HeadData, settings: ClassMlpSettings, *, seed: int) -> FittedNetwork:
    """Fit MLPs of the classes with enough labelled windows; clips are left out, as they have no neighbours."""
    sequences = data.sequences
    positives = sequences.truth.sum(axis=(0, 1))
    flat = np.ptp(sequences.embeddings["logits"], axis=(0, 1)) == 0
    probed = positives >= settings.fewest_positives
    if not probed.any():
        raise BadInput(
            "no class has enough labelled windows for an MLP",
            expected=f"{settings.fewest_positives} windows (fewest_positives)",
            got=f"at most {positives.max()}",
            do="use the zero-shot head, or lower fewest_positives",
        )
    network = ClassMlps(
        fit_reduction(sequences.windows("embedding"), settings.components),
        sequences.embeddings["logits"],
        np.where(probed, np.where(flat, 1.0, settings.share), 0.0),
    )
    many = positives >= settings.many_positives
    with reproducible(seed):
        for columns, hidden in ((probed & ~many, settings.hidden), (probed & many, settings.hidden_many)):
            if columns.any():
                network.banks.append(
                    _fit_bank(network, sequences, np.flatnonzero(columns).tolist(), hidden, settings, seed)
                )
    return FittedNetwork(network.eval().requires_grad_(False))


def fit_reduction(rows: np.ndarray, components: int) -> Reduction:
    """Fit a PCA of standardised (rows, width) embeddings, scaled to a mean variance of 1."""
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    _, sizes, axes = np.linalg.svd((rows - centre) / scale, full_matrices=False)
    kept = axes[:components]
    mean_variance = np.square(sizes[:components]).mean() / len(rows)
    return Reduction(centre, kept.T / scale[:, None] / np.sqrt(max(mean_variance, 1e-12)))


def _fit_bank(
    network: ClassMlps,
    sequences: Sequences,
    columns: list[int],
    hidden: tuple[int, ...],
    settings: ClassMlpSettings,
    seed: int,
) -> MlpBank:
    """Fit the MLPs of these classes twice: first to find each one's number of steps, then on all data."""
    known = sequences.known.ravel()
    features = network.features(network_inputs(network, sequences), columns)[:, known]
    truth = torch.from_numpy(sequences.truth[..., columns].reshape(len(known), -1)[known].T).float()
    files = validation_mask(sequences, INNER_FOLDS, seed)
    validation = torch.from_numpy(np.repeat(files, sequences.known.shape[1])[known])
    size = features.shape[2]
    steps = _steps(MlpBank(columns, size, hidden, seed), features, truth, validation, settings, seed)
    bank = MlpBank(columns, size, hidden, seed)
    kept = [values.detach().clone() for values in bank.parameters()]
    for step in _train(bank, features, truth, int(steps.max()), settings, seed):
        done = steps == step
        for best, now in zip(kept, bank.parameters(), strict=True):
            best[done] = now.detach()[done]
    for values, best in zip(bank.parameters(), kept, strict=True):
        values.data = best
    return bank


def _steps(
    bank: MlpBank, features: Tensor, truth: Tensor, validation: Tensor, settings: ClassMlpSettings, seed: int
) -> Tensor:
    """(classes,) the step after which each class's loss on the validation rows was least.

    A class without positives on both sides takes the others' median, or all steps if there are no others.
    """
    scored = (truth[:, validation].sum(dim=1) > 0) & (truth[:, ~validation].sum(dim=1) > 0)
    targets, odds = truth[:, validation], draw_probabilities(truth[:, validation], settings.oversampling)
    best = torch.full((len(truth),), torch.inf)
    steps = torch.full((len(truth),), settings.steps)
    for step in _train(bank, features[:, ~validation], truth[:, ~validation], settings.steps, settings, seed):
        if not scored.any() or step % settings.validate_every:
            continue
        with torch.no_grad():
            logits = bank(features[:, validation])
            cells = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        loss = (odds * cells).sum(dim=1)
        better = loss < best
        best, steps = torch.where(better, loss, best), torch.where(better, step, steps)
        if step - int(steps[scored].max()) >= settings.patience:
            break
    median = int(steps[scored].median()) if scored.any() else settings.steps
    return torch.where(scored, steps, median)


def _train(
    bank: MlpBank, features: Tensor, truth: Tensor, steps: int, settings: ClassMlpSettings, seed: int
) -> Iterator[int]:
    """Train all classes side by side, yielding the number of each step after it is taken."""
    optimiser = torch.optim.Adam(bank.parameters(), lr=settings.learning_rate)
    odds, random = draw_probabilities(truth, settings.oversampling), torch.Generator().manual_seed(seed)
    classes = torch.arange(len(truth))[:, None]
    for step in range(1, steps + 1):
        rows = torch.multinomial(odds, settings.rows_per_step, replacement=True, generator=random)
        loss = functional.binary_cross_entropy_with_logits(
            bank(features[classes, rows]), truth[classes, rows], reduction="none"
        )
        size = sum(weight.square().sum() for weight in bank.weights) / settings.rows_per_step
        optimiser.zero_grad()
        (loss.mean(dim=1).sum() + 0.5 * settings.weight_decay * size).backward()
        optimiser.step()
        yield step


def draw_probabilities(truth: Tensor, oversampling: float) -> Tensor:
    """(classes, rows) sampling probabilities: positives as often as negatives, at most `oversampling` times each."""
    positives = truth.sum(dim=1, keepdim=True)
    ratio = ((truth.shape[1] - positives) / positives.clamp(min=1)).clamp(1.0, oversampling)
    odds = torch.where(truth > 0, ratio, 1.0)
    return odds / odds.sum(dim=1, keepdim=True)
