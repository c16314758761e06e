"""One table of how the models of several folds and seeds become one prediction at inference, by family of members.

Networks and heads keep their out-of-fold scale by averaging probabilities. L1's folds are linear models, whose mean
logit is one linear model again. L0 counts rows, so its rates are counted anew over the rows of all folds. A head's
seeds differ by noise alone and are averaged as logits inside the fold's graph.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from scipy.special import expit

FoldRule = Literal["probability", "logit", "refit"]
Model = TypeVar("Model")


@dataclass(frozen=True)
class Averaging:
    """The quantity averaged over folds ("refit": none, one model is fitted on all), and over the seeds of a fold."""

    folds: FoldRule
    seeds: Literal["logit"] | None = None  # None: a fold has a single seed


AVERAGING = {
    "prior": Averaging(folds="refit"),  # L0
    "statistics": Averaging(folds="logit"),  # L1
    "network": Averaging(folds="probability"),  # L2
    "head": Averaging(folds="probability", seeds="logit"),  # L3
}


def served_models(family: str, by_fold: Mapping[int, Model], refit: Callable[[], Model] | None = None) -> list[Model]:
    """The models that inference uses: those of all folds, or the one that `refit` fits on all rows."""
    if AVERAGING[family].folds != "refit":
        return list(by_fold.values())
    if refit is None:
        raise ValueError(f"{family}: the table of averages has 'refit', but nothing here can fit on all folds")
    return [refit()]


def average_folds(family: str, logits: Sequence[np.ndarray]) -> np.ndarray:
    """The probabilities of a family whose folds gave these logits."""
    if AVERAGING[family].folds == "logit":
        return expit(np.asarray(np.mean(logits, axis=0)))
    return average_probabilities(family, [expit(values) for values in logits])


def average_probabilities(family: str, probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """The probabilities of a family whose folds gave these probabilities, as networks do that merge two outputs."""
    if AVERAGING[family].folds != "probability":
        raise ValueError(f"{family}: the table of averages has {AVERAGING[family].folds!r}, not 'probability'")
    return np.mean(probabilities, axis=0)
