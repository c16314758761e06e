"""Fitting the per-class probes: all classes at once, each for as many steps as recordings it was not shown bear."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.core.errors import BadInput
from lib.learn.head.base import FittedNetwork, network_inputs
from lib.learn.head.data import HeadData, Sequences, held_out
from lib.learn.head.loop import steady
from lib.models.head.class_mlps import Bank, ClassMlps, Reduction

INNER_FOLDS = 5  # one of them tells when to stop


@dataclass(frozen=True)
class ClassMlpSettings:
    """The public chain's sizes."""

    inputs: tuple[str, ...] = ("embedding", "logits")
    fewest_positives: int = 5  # labelled windows in which a class must be heard to get a probe
    components: int = 64
    hidden: tuple[int, ...] = (128, 64)
    many_positives: int = 50
    hidden_many: tuple[int, ...] = (256, 128)  # of classes with so many positives
    oversampling: float = 8.0  # a positive is drawn at most so often as a negative, and at most half of the time
    share: float = 0.4  # of the probe; the whole where the embedder's logit is flat
    learning_rate: float = 1e-3
    weight_decay: float = 0.005
    rows_per_step: int = 64  # of each class
    steps: int = 400  # at most
    look_every: int = 10  # steps, at the watched recordings
    patience: int = 100  # steps without a better loss there


def fit_class_mlps(lesson: HeadData, settings: ClassMlpSettings, *, seed: int) -> FittedNetwork:
    """Probes of the classes with enough labelled windows; clips have no neighbours, so they do not count."""
    heard = lesson.sequences
    positives = heard.truth.sum(axis=(0, 1))
    flat = np.ptp(heard.tokens["logits"], axis=(0, 1)) == 0
    probed = positives >= settings.fewest_positives
    if not probed.any():
        raise BadInput(
            "no class is heard often enough for a probe",
            expected=f"{settings.fewest_positives} windows",
            got=f"at most {positives.max()}",
            do="take the zero-shot head, or ask for fewer",
        )
    network = ClassMlps(
        reduction(heard.windows("embedding"), settings.components),
        heard.tokens["logits"],
        np.where(probed, np.where(flat, 1.0, settings.share), 0.0),
    )
    many = positives >= settings.many_positives
    with steady(seed):
        for columns, hidden in ((probed & ~many, settings.hidden), (probed & many, settings.hidden_many)):
            if columns.any():
                network.banks.append(_fit_bank(network, heard, np.flatnonzero(columns), hidden, settings, seed))
    return FittedNetwork(network.eval().requires_grad_(False))


def reduction(rows: np.ndarray, components: int) -> Reduction:
    """The first principal components of (rows, width) embeddings, standardised first."""
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    _, sizes, axes = np.linalg.svd((rows - centre) / scale, full_matrices=False)
    kept = axes[:components]
    mean_variance = np.square(sizes[:components]).mean() / len(rows)
    return Reduction(centre, kept.T / scale[:, None] / np.sqrt(max(mean_variance, 1e-12)))


def _fit_bank(
    network: ClassMlps,
    heard: Sequences,
    columns: np.ndarray,
    hidden: tuple[int, ...],
    settings: ClassMlpSettings,
    seed: int,
) -> Bank:
    """The probes of these classes: fitted once to learn for how many steps, then once on everything."""
    known = heard.known.ravel()
    features = network.features(network_inputs(network, heard), columns)[:, known]
    truth = torch.from_numpy(heard.truth[..., columns].reshape(len(known), -1)[known].T).float()
    aside = torch.from_numpy(np.repeat(held_out(heard, INNER_FOLDS, seed), heard.known.shape[1])[known])
    size = features.shape[2]
    steps = _steps(Bank(columns, size, hidden, seed), features, truth, aside, settings, seed)
    bank = Bank(columns, size, hidden, seed)
    kept = [values.detach().clone() for values in bank.parameters()]
    for step in _descend(bank, features, truth, int(steps.max()), settings, seed):
        done = steps == step
        for best, now in zip(kept, bank.parameters(), strict=True):
            best[done] = now.detach()[done]
    for values, best in zip(bank.parameters(), kept, strict=True):
        values.data = best
    return bank


def _steps(bank: Bank, features: Tensor, truth: Tensor, aside: Tensor, settings: ClassMlpSettings, seed: int) -> Tensor:
    """(classes,) after how many steps each class's loss was least on the rows set aside.

    A class that is not heard on both sides takes the others' median, or all steps if there are no others.
    """
    seen = (truth[:, aside].sum(dim=1) > 0) & (truth[:, ~aside].sum(dim=1) > 0)
    watched, odds = truth[:, aside], draw_odds(truth[:, aside], settings.oversampling)
    best = torch.full((len(truth),), torch.inf)
    steps = torch.full((len(truth),), settings.steps)
    for step in _descend(bank, features[:, ~aside], truth[:, ~aside], settings.steps, settings, seed):
        if not seen.any() or step % settings.look_every:
            continue
        with torch.no_grad():
            cells = functional.binary_cross_entropy_with_logits(bank(features[:, aside]), watched, reduction="none")
        loss = (odds * cells).sum(dim=1)
        better = loss < best
        best, steps = torch.where(better, loss, best), torch.where(better, step, steps)
        if step - int(steps[seen].max()) >= settings.patience:
            break
    usual = int(steps[seen].median()) if seen.any() else settings.steps
    return torch.where(seen, steps, usual)


def _descend(
    bank: Bank, features: Tensor, truth: Tensor, steps: int, settings: ClassMlpSettings, seed: int
) -> Iterator[int]:
    """Take the steps, of all classes side by side, and give the number of each."""
    descent = torch.optim.Adam(bank.parameters(), lr=settings.learning_rate)
    odds, random = draw_odds(truth, settings.oversampling), torch.Generator().manual_seed(seed)
    classes = torch.arange(len(truth))[:, None]
    for step in range(1, steps + 1):
        rows = torch.multinomial(odds, settings.rows_per_step, replacement=True, generator=random)
        loss = functional.binary_cross_entropy_with_logits(
            bank(features[classes, rows]), truth[classes, rows], reduction="none"
        )
        size = sum(weight.square().sum() for weight in bank.weights) / settings.rows_per_step
        descent.zero_grad()
        (loss.mean(dim=1).sum() + 0.5 * settings.weight_decay * size).backward()
        descent.step()
        yield step


def draw_odds(truth: Tensor, oversampling: float) -> Tensor:
    """(classes, rows) the chance that a row is drawn: a positive as often as negatives allow, at most so many times."""
    positives = truth.sum(dim=1, keepdim=True)
    ratio = ((truth.shape[1] - positives) / positives.clamp(min=1)).clamp(1.0, oversampling)
    odds = torch.where(truth > 0, ratio, 1.0)
    return odds / odds.sum(dim=1, keepdim=True)
