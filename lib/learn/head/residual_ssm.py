"""Fit ResidualSSM, a correction of a first head, on that head's out-of-fold predictions."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.core.errors import BadInput, shorten
from lib.learn.head.base import FittedHead, FittedNetwork, network_inputs
from lib.learn.head.data import VALIDATION_FOLDS, HeadData, Sequences, inner_folds, validation_mask
from lib.learn.head.loop import HeadLoopSettings, fit_with_early_stopping, reproducible
from lib.learn.head.proto_ssm import ProtoSettings, fit_proto_ssm
from lib.models.export.head import chain_graphs
from lib.models.head.residual_ssm import FIRST_PASS, ResidualNetwork, ResidualSSM


@dataclass(frozen=True)
class ResidualSettings:
    """The public chain's numbers; `first_pass` holds the settings of the head to be corrected."""

    inputs: tuple[str, ...] = ("embedding", "logits")
    first_pass: Any = field(default_factory=ProtoSettings)
    first_pass_folds: int = 2  # its predictions that the correction trains on are out of fold
    network: ResidualNetwork = field(default_factory=ResidualNetwork)
    loop: HeadLoopSettings = field(default_factory=lambda: HeadLoopSettings(epochs=30))

    @property
    def rolls(self) -> tuple[int, ...]:
        """The first pass's rolls: both are applied alike."""
        return getattr(self.first_pass, "rolls", (0,))

    @property
    def flip(self) -> bool:
        """The first pass's flip."""
        return getattr(self.first_pass, "flip", False)


@dataclass(frozen=True, eq=False)
class CorrectedHead:
    """A first pass and its correction as one head."""

    first_pass: FittedHead
    correction: FittedNetwork

    def logits(self, sequences: Sequences) -> np.ndarray:
        """(files, 12, classes) logits."""
        return self.correction.logits(_with_first_pass(sequences, self.first_pass.logits(sequences)))

    def export(self, path: Path) -> None:
        """Write one graph that holds both."""
        with tempfile.TemporaryDirectory() as folder:
            first, then = Path(folder, "first.onnx"), Path(folder, "then.onnx")
            self.first_pass.export(first)
            self.correction.export(then)
            chain_graphs(first, then, FIRST_PASS, path)


def fit_residual_ssm(
    data: HeadData, settings: ResidualSettings, *, seed: int, fit_first: Callable[..., FittedHead] = fit_proto_ssm
) -> CorrectedHead:
    """Fit the first pass on all data, and the correction on the first pass's out-of-fold predictions."""
    first_logits = first_pass_out_of_fold(data, settings, seed=seed, fit_first=fit_first)
    sequences = _with_first_pass(data.sequences, first_logits)
    held = validation_mask(sequences, VALIDATION_FOLDS, seed)
    train, validation = sequences.subset(~held), sequences.subset(held)
    with reproducible(seed):
        network = ResidualSSM(settings.network, train.windows("embedding"), train.windows(FIRST_PASS))

        def losses() -> Iterator[Tensor]:
            yield residual_loss(network, train)

        validate = (lambda: float(residual_loss(network, validation))) if held.any() else None
        fit_with_early_stopping(network, losses, 1, settings.loop, validate)
    return CorrectedHead(fit_first(data, settings.first_pass, seed=seed), FittedNetwork(network))


def first_pass_out_of_fold(
    data: HeadData, settings: ResidualSettings, *, seed: int, fit_first: Callable[..., FittedHead]
) -> np.ndarray:
    """(files, 12, classes) logits of the first pass for each soundscape, fitted without its recording group."""
    folds = inner_folds(data.sequences, settings.first_pass_folds)
    if not folds.any():
        raise BadInput(
            "a first pass needs out-of-fold predictions of every soundscape",
            expected="two recording groups or more",
            got=shorten(set(data.sequences.groups)),
            do="fit the residual head on soundscapes of more sites or days, or fit another head",
        )
    logits = np.zeros(data.sequences.truth.shape, dtype=np.float32)
    every_clip = np.ones(len(data.clips.names), dtype=bool)
    for fold in range(folds.max() + 1):
        head = fit_first(data.subset(folds != fold, every_clip), settings.first_pass, seed=seed)
        logits[folds == fold] = head.logits(data.sequences.subset(folds == fold))
    return logits


def residual_loss(network: ResidualSSM, sequences: Sequences) -> Tensor:
    """Mean squared error of the correction against truth minus the first pass's probability, over labelled cells."""
    inputs, known = network_inputs(network, sequences), torch.from_numpy(sequences.known)
    target = torch.from_numpy(sequences.truth).float() - torch.sigmoid(inputs[FIRST_PASS])
    return (target - network.correction(inputs))[known].square().mean()


def _with_first_pass(sequences: Sequences, logits: np.ndarray) -> Sequences:
    """The soundscapes with the first pass's logits as one more embedding."""
    return replace(sequences, embeddings=sequences.embeddings | {FIRST_PASS: logits.astype(np.float32)})
