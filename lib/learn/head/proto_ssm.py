"""Fit LightProtoSSM on whole labelled soundscapes, all of them in each step; clips only lend prototypes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.learn.head.base import FittedNetwork, network_inputs
from lib.learn.head.data import VALIDATION_FOLDS, ClipEmbeddings, HeadData, Sequences, validation_mask
from lib.learn.head.loop import HeadLoopSettings, fit_with_early_stopping, reproducible
from lib.models.head.proto_ssm import ProtoNetwork, ProtoSSM


@dataclass(frozen=True)
class ProtoSettings:
    """The public chain's recipe, applied once."""

    inputs: tuple[str, ...] = ("embedding", "logits")
    positive_weight_cap: float = 25.0
    logits_share: float = 0.15  # of the loss that keeps the output near the embedder's own logits
    rolls: tuple[int, ...] = (0,)  # windows by which a soundscape is rolled when applied, and averaged
    flip: bool = False  # applied in reverse too. The public chain rolls by -2 to 2 and flips, at six times the cost
    network: ProtoNetwork = field(default_factory=ProtoNetwork)
    loop: HeadLoopSettings = field(default_factory=HeadLoopSettings)


def fit_proto_ssm(data: HeadData, settings: ProtoSettings, *, seed: int) -> FittedNetwork:
    """Fit the network on all files but those that validate its epochs; another seed validates on other files."""
    held = validation_mask(data.sequences, VALIDATION_FOLDS, seed)
    train, validation = data.sequences.subset(~held), data.sequences.subset(held)
    with reproducible(seed):
        network = ProtoSSM(settings.network, train.windows("embedding"), train.windows("logits"), train.sites)
        init_prototypes(network, train, data.clips)
        loss = ProtoLoss(network, train, settings)

        def losses() -> Iterator[Tensor]:
            yield loss(network, train)

        validate = (lambda: float(loss(network, validation))) if held.any() else None
        fit_with_early_stopping(network, losses, 1, settings.loop, validate)
    return FittedNetwork(network)


class ProtoLoss:
    """Cross-entropy of labelled cells, plus the distance of the output from the embedder's logits where it has any.

    A class without a positive window here is left out: negatives alone would unlearn its prototype.
    """

    def __init__(self, network: ProtoSSM, train: Sequences, settings: ProtoSettings):
        truth = train.truth[train.known]
        positives = truth.sum(axis=0)
        weights = (len(truth) - positives) / np.maximum(positives, 1)
        self.weights = torch.from_numpy(np.clip(weights, 1.0, settings.positive_weight_cap).astype(np.float32))
        self.counted = torch.from_numpy(positives > 0)
        self.share, self.mapped, self.spread = (
            settings.logits_share,
            network.get_buffer("mapped"),
            network.logits.spread,
        )

    def __call__(self, network: ProtoSSM, sequences: Sequences) -> Tensor:
        """The loss of the network's output for these soundscapes."""
        inputs, known = network_inputs(network, sequences), torch.from_numpy(sequences.known)
        logits, truth = network(inputs)[known], torch.from_numpy(sequences.truth).float()[known]
        cells = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none", pos_weight=self.weights)
        away = ((logits - inputs["logits"][known]) / self.spread).square()
        return _mean(cells, self.counted) + self.share * _mean(away, self.mapped)


@torch.no_grad()
def init_prototypes(network: ProtoSSM, train: Sequences, clips: ClipEmbeddings) -> None:
    """Set the prototypes to the classes' mean windows, or clips, less the mean of all, and the biases to their odds."""
    windows, truth = train.windows("embedding"), train.truth[train.known]
    rows, labels = torch.from_numpy(windows), torch.from_numpy(truth)
    network.eval()
    # windows come last: where a class has both, its windows count
    for vectors, present in ((clips.embeddings["embedding"], clips.truth), (windows, truth)):
        found = torch.from_numpy(present).float()
        counts = found.sum(0)
        if not counts.any():
            continue
        projected = network.project_tokens(torch.from_numpy(vectors))
        means = found.T @ projected / counts.clamp(min=1)[:, None] - projected.mean(0)
        network.prototypes[counts > 0] = functional.normalize(means[counts > 0], dim=-1)
    odds = (labels.sum(0) + 0.5) / (len(rows) - labels.sum(0) + 0.5)
    network.bias.copy_(odds.log())


def _mean(cells: Tensor, classes: Tensor) -> Tensor:
    """The mean over rows and the chosen classes, 0 where none is chosen."""
    return (cells * classes).sum() / (len(cells) * classes.sum()).clamp(min=1)
