"""Fit ResidualSSM on what a first pass says of soundscapes that it has not learnt from."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.core.errors import BadInput, shortened
from lib.learn.head.base import FittedHead, FittedNetwork, network_inputs
from lib.learn.head.data import JUDGING_FOLDS, HeadData, Sequences, held_out, inner_folds
from lib.learn.head.loop import HeadLoopSettings, fit_small, steady
from lib.learn.head.proto_ssm import ProtoSettings, fit_proto_ssm
from lib.models.export.head import chain_graphs
from lib.models.head.residual_ssm import FIRST_PASS, ResidualNetwork, ResidualSSM


@dataclass(frozen=True)
class ResidualSettings:
    """The public chain's numbers; `first_pass` holds the settings of the head to be corrected."""

    inputs: tuple[str, ...] = ("embedding", "logits")
    first_pass: Any = field(default_factory=ProtoSettings)
    first_pass_folds: int = 2  # its scores of what the correction learns from are out of fold
    network: ResidualNetwork = field(default_factory=ResidualNetwork)
    loop: HeadLoopSettings = field(default_factory=lambda: HeadLoopSettings(epochs=30))

    @property
    def rolls(self) -> tuple[int, ...]:
        """As the first pass is applied, so is the whole."""
        return getattr(self.first_pass, "rolls", (0,))

    @property
    def flip(self) -> bool:
        """Likewise."""
        return getattr(self.first_pass, "flip", False)


@dataclass(frozen=True, eq=False)
class CorrectedHead:
    """A first pass and its correction, one head."""

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
    lesson: HeadData, settings: ResidualSettings, *, seed: int, fit_first: Callable[..., FittedHead] = fit_proto_ssm
) -> CorrectedHead:
    """A first pass fitted on the whole lesson, and the correction of what it says where it has not learnt."""
    unseen = first_pass_out_of_fold(lesson, settings, seed=seed, fit_first=fit_first)
    heard = _with_first_pass(lesson.sequences, unseen)
    held = held_out(heard, JUDGING_FOLDS, seed)
    taught, judged = heard.only(~held), heard.only(held)
    with steady(seed):
        network = ResidualSSM(settings.network, taught.windows("embedding"), taught.windows(FIRST_PASS))

        def losses() -> Iterator[Tensor]:
            yield unexplained(network, taught)

        judge = (lambda: float(unexplained(network, judged))) if held.any() else None
        fit_small(network, losses, 1, settings.loop, judge)
    return CorrectedHead(fit_first(lesson, settings.first_pass, seed=seed), FittedNetwork(network))


def first_pass_out_of_fold(
    lesson: HeadData, settings: ResidualSettings, *, seed: int, fit_first: Callable[..., FittedHead]
) -> np.ndarray:
    """(files, 12, classes) logits of the first pass for each soundscape, fitted without its recording group."""
    folds = inner_folds(lesson.sequences, settings.first_pass_folds)
    if not folds.any():
        raise BadInput(
            "a first pass cannot be judged on what it has not met",
            expected="two recording groups or more",
            got=shortened(set(lesson.sequences.groups)),
            do="correct it where there are more",
        )
    logits = np.zeros(lesson.sequences.truth.shape, dtype=np.float32)
    every_clip = np.ones(len(lesson.clips.names), dtype=bool)
    for fold in range(folds.max() + 1):
        head = fit_first(lesson.only(folds != fold, every_clip), settings.first_pass, seed=seed)
        logits[folds == fold] = head.logits(lesson.sequences.only(folds == fold))
    return logits


def unexplained(network: ResidualSSM, sequences: Sequences) -> Tensor:
    """The mean square of truth less the first pass's chance less the correction, over labelled cells."""
    inputs, known = network_inputs(network, sequences), torch.from_numpy(sequences.known)
    target = torch.from_numpy(sequences.truth).float() - torch.sigmoid(inputs[FIRST_PASS])
    return (target - network.correction(inputs))[known].square().mean()


def _with_first_pass(sequences: Sequences, logits: np.ndarray) -> Sequences:
    """The soundscapes, with what the first pass says of them as one more token."""
    return replace(sequences, tokens=sequences.tokens | {FIRST_PASS: logits.astype(np.float32)})
