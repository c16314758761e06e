"""Losses: elementwise (binary cross-entropy, focal, asymmetric), pairwise (soft AUC), and of a network's output."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from lib.core.errors import BadInput
from lib.learn.network.settings import LossSettings
from lib.learn.soft_labels.settings import PseudoSettings
from lib.models.network.network import NetworkOutput

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # logits, targets, weights, all (batch, classes) -> scalar
_MIN_P, _MAX_P = 1e-6, 1 - 1e-4  # probabilities beyond have no log-odds that a half-precision label tells apart
_MASKED_LOGIT = -1e4  # of a class without a soft label


def make_loss(settings: LossSettings, positives: Tensor | None = None) -> Loss:
    """Build the loss, computed in float32; `positives` (classes,) counts the training examples of each class."""
    loss_of_kind = _loss_of_kind(settings)
    by_class = None
    if settings.class_weight_power:
        if positives is None:
            raise BadInput(
                "class_weight_power needs the classes' numbers of examples",
                expected="positives",
                got="none",
                do="set class_weight_power=0",
            )
        by_class = class_weights(positives, settings.class_weight_power)

    def loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        if settings.label_smoothing:
            targets = targets * (1.0 - settings.label_smoothing) + 0.5 * settings.label_smoothing
        if by_class is not None:
            weights = weights * by_class.to(weights.device)
        return loss_of_kind(logits.float(), targets, weights)

    return loss


def soft_label_loss(settings: PseudoSettings) -> Loss:
    """Build the loss of rows with soft labels: teacher's and student's logits are divided by the temperature.

    Its square keeps the gradient's size (Hinton et al. 2015). A divergence is a mean over classes, not a sum, so that
    its elements count as others do.
    """
    temperature = settings.temperature

    def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        soft = targets if temperature == 1.0 else torch.sigmoid(_log_odds(targets) / temperature)
        return temperature**2 * _mean(binary_cross_entropy, logits.float() / temperature, soft, weights)

    def divergence(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        both = (logits.float() / temperature, _log_odds(targets) / temperature)
        student, teacher = (z.masked_fill(weights == 0, _MASKED_LOGIT).log_softmax(dim=1) for z in both)
        return temperature**2 * _mean(lambda z, t: t.exp() * (t - z), student, teacher, weights)

    return {"bce": cross_entropy, "kld": divergence}[settings.pseudo_loss]


def mixed_loss(hard: Loss, soft: Loss, pseudo: Tensor) -> Loss:
    """Combine the losses of labelled rows and of pseudo-labelled rows, marked (batch,), by their total weights."""

    def both(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        parts = weights * ~pseudo[:, None], weights * pseudo[:, None]
        values = [loss(logits, targets, part) for loss, part in zip((hard, soft), parts, strict=True)]
        totals = torch.stack([part.sum() for part in parts])
        return (torch.stack(values) * totals).sum() / totals.sum().clamp(min=1e-8)

    return both


def output_loss(loss: Loss, settings: LossSettings, output: NetworkOutput, targets: Tensor, weights: Tensor) -> Tensor:
    """The loss of a network's output: the weighted sum of that of the clip and that of each class's loudest frame."""
    clip = loss(output.clip_logits, targets, weights)
    frame = loss(output.frame_logits.amax(dim=-1), targets, weights)
    return (1.0 - settings.frame_weight) * clip + settings.frame_weight * frame


def distillation_loss(settings: LossSettings, student: Tensor, teacher: Tensor) -> Tensor:
    """The weighted distance of the student's embeddings (batch, n) from the teacher's."""
    student, teacher = student.float(), teacher.float()
    if settings.distil == "cosine":
        return settings.distil_weight * (1.0 - functional.cosine_similarity(student, teacher)).mean()
    return settings.distil_weight * functional.mse_loss(student, teacher)


def class_weights(positives: Tensor, power: float) -> Tensor:
    """(classes,) weights, larger for rarer classes, 1 on average; a class without positives counts as one with 1."""
    weights = positives.float().clamp(min=1.0) ** -power
    return weights / weights.mean()


def _log_odds(probabilities: Tensor) -> Tensor:
    """The logits of the probabilities."""
    return torch.logit(probabilities.float().clamp(_MIN_P, _MAX_P))


def _loss_of_kind(settings: LossSettings) -> Loss:
    """The loss by its name."""
    if settings.kind == "soft_auc":
        pairs = _auc_of_batch if settings.auc_pairs == "batch" else _auc_of_classes
        share = settings.bce_share
        return lambda *batch: (
            (1.0 - share) * pairs(*batch) + (share * _mean(binary_cross_entropy, *batch) if share else 0.0)
        )
    elementwise = {
        "bce": binary_cross_entropy,
        "focal": lambda z, t: focal_loss(z, t, settings.focal_gamma, settings.focal_alpha),
        "asymmetric": lambda z, t: asymmetric_loss(
            z, t, settings.gamma_negative, settings.gamma_positive, settings.clip_shift
        ),
    }[settings.kind]
    return lambda *batch: _mean(elementwise, *batch)


def _mean(elementwise: Callable[[Tensor, Tensor], Tensor], logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of an elementwise loss; zero, with a gradient of zero, where all weights are zero."""
    return (weights * elementwise(logits, targets)).sum() / weights.sum().clamp(min=1e-8)


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Elementwise binary cross-entropy."""
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")


def focal_loss(logits: Tensor, targets: Tensor, gamma: float, alpha: float) -> Tensor:
    """Elementwise focal loss (Lin et al. 2017, eq. 5), -alpha_t (1 - p_t)^gamma log p_t. Targets may be soft."""
    one_minus_p_t = torch.sigmoid(logits) * (1.0 - targets) + torch.sigmoid(-logits) * targets  # not 1 - p_t: rounds
    alpha_t = alpha * targets + (1.0 - alpha) * (1.0 - targets) if alpha >= 0 else 1.0
    focal_weight = alpha_t * one_minus_p_t**gamma
    return focal_weight * binary_cross_entropy(logits, targets)


def asymmetric_loss(
    logits: Tensor, targets: Tensor, gamma_negative: float, gamma_positive: float, clip_shift: float
) -> Tensor:
    """Elementwise asymmetric loss (Ridnik et al. 2021, arXiv 2009.14119, eq. 7); p_m is its shifted probability."""
    p_m = (torch.sigmoid(logits) - clip_shift).clamp(min=0.0)
    log_absent = functional.logsigmoid(-logits) if not clip_shift else torch.log1p(-p_m)  # never below log(clip_shift)
    positive = torch.sigmoid(-logits) ** gamma_positive * functional.logsigmoid(logits)
    return -(targets * positive + (1.0 - targets) * p_m**gamma_negative * log_absent)


def _auc_of_batch(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Soft AUC as used in BirdCLEF since 2025: softplus(negative - positive) over all pairs of elements of the batch.

    A target t counts as a positive by 2t - 1 or as a negative by 1 - 2t, whichever is above zero, times its weight.
    """
    strength = (2.0 * targets - 1.0) * weights
    positive, negative = strength > 0, strength < 0
    pairs = strength[positive][:, None] * -strength[negative]
    return (pairs * functional.softplus(logits[negative] - logits[positive][:, None])).sum() / pairs.sum().clamp(
        min=1e-8
    )


def _auc_of_classes(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Soft AUC over pairs within a class only, each class with a pair counting once, as in the contest's metric."""
    strength = (2.0 * targets - 1.0) * weights
    pairs = strength.clamp(min=0.0)[:, None] * (-strength).clamp(min=0.0)  # (positive, negative, classes)
    by_class = (pairs * functional.softplus(logits[None] - logits[:, None])).sum((0, 1))
    total = pairs.sum((0, 1))
    return (by_class / total.clamp(min=1e-8)).sum() / (total > 0).sum().clamp(min=1)
