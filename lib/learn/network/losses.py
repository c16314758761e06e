"""The losses: of cells (binary cross-entropy, focal, asymmetric), of pairs (soft AUC), and of a whole output."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lib.core.errors import BadInput
from lib.learn.soft_labels.crops import PseudoSettings

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # logits, targets, weights, all (batch, classes) -> scalar
_LEAST, _MOST = 1e-6, 1 - 1e-4  # chances beyond have no log-odds that a half-precision label tells apart
_NEVER = -1e4  # the logit of a class that is not taught
LOSS_KINDS = ("bce", "focal", "asymmetric", "soft_auc")


@dataclass(frozen=True)
class LossSettings:
    """Which loss, and its numbers; those of other kinds are not read."""

    kind: str = "bce"
    focal_gamma: float = 2.0
    focal_alpha: float = 0.25  # weight of positives against 1 - alpha; negative: both 1
    gamma_negative: float = 4.0  # asymmetric, as in its paper
    gamma_positive: float = 0.0
    clip_shift: float = 0.05
    auc_pairs: str = "batch"  # or "class": only pairs within a class, classes counting equally
    bce_share: float = 0.0  # of soft AUC (2nd place: .25)
    label_smoothing: float = 0.0
    class_weight_power: float = 0.0  # a class counts as its positives to minus this power
    frame_share: float = 0.5  # of the loss on the loudest frame, the rest on the clip
    distil: str = "mse"  # or "cosine"
    distil_weight: float = 1.0


def make_loss(settings: LossSettings, positives: Tensor | None = None) -> Loss:
    """The loss, in float32 whatever comes in; `positives` (classes,) counts the training examples of each class."""
    cells = _chosen(settings)
    rarity = class_weights(positives, settings.class_weight_power) if settings.class_weight_power else None

    def loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        if settings.label_smoothing:
            targets = targets * (1.0 - settings.label_smoothing) + 0.5 * settings.label_smoothing
        return cells(logits.float(), targets, weights if rarity is None else weights * rarity.to(weights.device))

    return loss


def soft_label_loss(settings: PseudoSettings) -> Loss:
    """The loss of rows with a teacher's targets: both sides' logits are divided by the temperature.

    Its square keeps the gradient's size (Hinton et al. 2015). A divergence is a mean over classes, not a sum, so that
    its cells count as others do.
    """
    heat = settings.temperature

    def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        soft = targets if heat == 1.0 else torch.sigmoid(_log_odds(targets) / heat)
        return heat**2 * _mean(binary_cross_entropy, logits.float() / heat, soft, weights)

    def divergence(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        both = (logits.float() / heat, _log_odds(targets) / heat)
        said, taught = (values.masked_fill(weights == 0, _NEVER).log_softmax(dim=1) for values in both)
        return heat**2 * _mean(lambda z, t: t.exp() * (t - z), said, taught, weights)

    return {"bce": cross_entropy, "kld": divergence}[settings.pseudo_loss]


def mixed_loss(loss: Loss, of_taught: Loss, taught: Tensor) -> Loss:
    """One loss of a batch whose marked rows (batch,) a teacher labelled: both losses, by the weight of their cells."""

    def both(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        parts = weights * ~taught[:, None], weights * taught[:, None]
        values = [of(logits, targets, part) for of, part in zip((loss, of_taught), parts, strict=True)]
        shares = torch.stack([part.sum() for part in parts])
        return (torch.stack(values) * shares).sum() / shares.sum().clamp(min=1e-8)

    return both


def output_loss(loss: Loss, settings: LossSettings, output, targets: Tensor, weights: Tensor) -> Tensor:
    """The loss of a NetworkOutput: a share on the clip's logits, a share on each class's loudest frame."""
    clip = loss(output.clip_logits, targets, weights)
    frame = loss(output.frame_logits.amax(dim=-1), targets, weights)
    return (1.0 - settings.frame_share) * clip + settings.frame_share * frame


def distillation_loss(settings: LossSettings, guess: Tensor, taught: Tensor) -> Tensor:
    """How far the guessed embeddings (batch, n) are from the teacher's, weighted as set."""
    guess, taught = guess.float(), taught.float()
    if settings.distil == "cosine":
        return settings.distil_weight * (1.0 - functional.cosine_similarity(guess, taught)).mean()
    return settings.distil_weight * functional.mse_loss(guess, taught)


def class_weights(positives: Tensor, power: float) -> Tensor:
    """(classes,) weights, larger for rarer classes, 1 on average; a class without positives counts as one with 1."""
    weights = positives.float().clamp(min=1.0) ** -power
    return weights / weights.mean()


def _log_odds(chances: Tensor) -> Tensor:
    """The logits of the chances."""
    return torch.logit(chances.float().clamp(_LEAST, _MOST))


def _chosen(settings: LossSettings) -> Loss:
    """The loss by its name, its numbers checked."""
    for name in ("focal_gamma", "gamma_negative", "gamma_positive"):
        if 0.0 < (gamma := getattr(settings, name)) < 1.0:  # the slope of x ** gamma is infinite at 0
            raise BadInput(f"{name} has no finite gradient", expected="0, or at least 1", got=gamma, do="change it")
    for name, known in (("kind", LOSS_KINDS), ("auc_pairs", ("batch", "class")), ("distil", ("mse", "cosine"))):
        if (value := getattr(settings, name)) not in known:
            raise BadInput(f"unknown {name} of a loss", expected=", ".join(known), got=value, do="choose one of these")
    if settings.kind == "soft_auc":
        pairs = _auc_of_batch if settings.auc_pairs == "batch" else _auc_of_classes
        share = settings.bce_share
        return lambda *cells: (
            (1.0 - share) * pairs(*cells) + (share * _mean(binary_cross_entropy, *cells) if share else 0.0)
        )
    cell = {
        "bce": binary_cross_entropy,
        "focal": lambda z, t: focal_loss(z, t, settings.focal_gamma, settings.focal_alpha),
        "asymmetric": lambda z, t: asymmetric_loss(
            z, t, settings.gamma_negative, settings.gamma_positive, settings.clip_shift
        ),
    }[settings.kind]
    return lambda *cells: _mean(cell, *cells)


def _mean(cell: Callable[[Tensor, Tensor], Tensor], logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of a loss of cells; zero, with a gradient of zero, where no cell counts."""
    return (weights * cell(logits, targets)).sum() / weights.sum().clamp(min=1e-8)


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Each cell's binary cross-entropy."""
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")


def focal_loss(logits: Tensor, targets: Tensor, gamma: float, alpha: float) -> Tensor:
    """Each cell's focal loss (Lin et al. 2017, eq. 5): cells already right count less. Targets may be soft."""
    wrong = torch.sigmoid(logits) * (1.0 - targets) + torch.sigmoid(-logits) * targets
    balance = alpha * targets + (1.0 - alpha) * (1.0 - targets) if alpha >= 0 else 1.0
    return balance * wrong**gamma * binary_cross_entropy(logits, targets)


def asymmetric_loss(
    logits: Tensor, targets: Tensor, gamma_negative: float, gamma_positive: float, clip_shift: float
) -> Tensor:
    """Each cell's asymmetric loss (Ridnik et al. 2021, arXiv 2009.14119, eq. 7); negatives are shifted."""
    shifted = (torch.sigmoid(logits) - clip_shift).clamp(min=0.0)
    absent = functional.logsigmoid(-logits) if not clip_shift else torch.log1p(-shifted)  # never below log(clip_shift)
    positive = torch.sigmoid(-logits) ** gamma_positive * functional.logsigmoid(logits)
    return -(targets * positive + (1.0 - targets) * shifted**gamma_negative * absent)


def _auc_of_batch(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Soft AUC as BirdCLEF knows it since 2025: softplus(negative - positive) over every pair of cells of the batch.

    A target t counts as a positive by 2t - 1 or as a negative by 1 - 2t, whichever is above zero, times its weight.
    """
    strength = (2.0 * targets - 1.0) * weights
    up, down = strength > 0, strength < 0
    pairs = strength[up][:, None] * -strength[down]
    return (pairs * functional.softplus(logits[down] - logits[up][:, None])).sum() / pairs.sum().clamp(min=1e-8)


def _auc_of_classes(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The same over pairs within a class only, each class with a pair counting once, as in the contest's metric."""
    strength = (2.0 * targets - 1.0) * weights
    pairs = strength.clamp(min=0.0)[:, None] * (-strength).clamp(min=0.0)  # (positive, negative, classes)
    lost = (pairs * functional.softplus(logits[None] - logits[:, None])).sum((0, 1))
    total = pairs.sum((0, 1))
    return (lost / total.clamp(min=1e-8)).sum() / (total > 0).sum().clamp(min=1)
