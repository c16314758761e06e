"""Fit LightProtoSSM on whole labelled soundscapes, all of them in each step; clips only lend prototypes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.learn.head.base import FittedNetwork, network_inputs
from lib.learn.head.data import JUDGING_FOLDS, ClipTokens, HeadData, Sequences, held_out
from lib.learn.head.loop import HeadLoopSettings, fit_small, steady
from lib.models.head.proto_ssm import ProtoNetwork, ProtoSSM


@dataclass(frozen=True)
class ProtoSettings:
    """The public chain's recipe, applied once."""

    inputs: tuple[str, ...] = ("embedding", "logits")
    positive_weight_cap: float = 25.0
    logits_share: float = 0.15  # of the loss that keeps the answer near the embedder's own
    rolls: tuple[int, ...] = (0,)  # windows by which a soundscape is rolled when applied, and averaged
    flip: bool = False  # applied in reverse too. The public chain rolls by -2 to 2 and flips, at six times the cost
    network: ProtoNetwork = field(default_factory=ProtoNetwork)
    loop: HeadLoopSettings = field(default_factory=HeadLoopSettings)


def fit_proto_ssm(lesson: HeadData, settings: ProtoSettings, *, seed: int) -> FittedNetwork:
    """The network, fitted on all files but those that judge its epochs; others judge for another seed."""
    held = held_out(lesson.sequences, JUDGING_FOLDS, seed)
    taught, judged = lesson.sequences.only(~held), lesson.sequences.only(held)
    with steady(seed):
        network = ProtoSSM(settings.network, taught.windows("embedding"), taught.windows("logits"), taught.sites)
        start_from_means(network, taught, lesson.clips)
        loss = ProtoLoss(network, taught, settings)

        def losses() -> Iterator[Tensor]:
            yield loss(network, taught)

        fit_small(network, losses, 1, settings.loop, (lambda: float(loss(network, judged))) if held.any() else None)
    return FittedNetwork(network)


class ProtoLoss:
    """Cross-entropy of labelled cells, and how far the answers are from the embedder's own where it has any.

    A class without a positive window here is left out: negatives alone would unlearn its prototype.
    """

    def __init__(self, network: ProtoSSM, taught: Sequences, settings: ProtoSettings):
        truth = taught.truth[taught.known]
        positives = truth.sum(axis=0)
        weights = (len(truth) - positives) / np.maximum(positives, 1)
        self.weights = torch.from_numpy(np.clip(weights, 1.0, settings.positive_weight_cap).astype(np.float32))
        self.counted = torch.from_numpy(positives > 0)
        self.share, self.mapped, self.spread = settings.logits_share, network.mapped, network.logits.spread

    def __call__(self, network: ProtoSSM, sequences: Sequences) -> Tensor:
        """The loss of the network's answers for these soundscapes."""
        inputs, known = network_inputs(network, sequences), torch.from_numpy(sequences.known)
        answer, truth = network(inputs)[known], torch.from_numpy(sequences.truth).float()[known]
        cells = functional.binary_cross_entropy_with_logits(answer, truth, reduction="none", pos_weight=self.weights)
        away = ((answer - inputs["logits"][known]) / self.spread).square()
        return _mean(cells, self.counted) + self.share * _mean(away, self.mapped)


@torch.no_grad()
def start_from_means(network: ProtoSSM, taught: Sequences, clips: ClipTokens) -> None:
    """Set the prototypes to the classes' mean windows, or clips, less the mean of all, and the biases to their odds."""
    windows, truth = taught.windows("embedding"), taught.truth[taught.known]
    rows, labels = torch.from_numpy(windows), torch.from_numpy(truth)
    network.eval()
    for vectors, present in ((clips.tokens["embedding"], clips.truth), (windows, truth)):  # windows have the last word
        found = torch.from_numpy(present).float()
        counts = found.sum(0)
        if not counts.any():
            continue
        projected = network.projected(torch.from_numpy(vectors))
        means = found.T @ projected / counts.clamp(min=1)[:, None] - projected.mean(0)
        network.prototypes[counts > 0] = functional.normalize(means[counts > 0], dim=-1)
    odds = (labels.sum(0) + 0.5) / (len(rows) - labels.sum(0) + 0.5)
    network.bias.copy_(odds.log())


def _mean(cells: Tensor, classes: Tensor) -> Tensor:
    """The mean over rows and the chosen classes, 0 where none is chosen."""
    return (cells * classes).sum() / (len(cells) * classes.sum()).clamp(min=1)
