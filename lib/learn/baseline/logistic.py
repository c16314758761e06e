"""One-vs-rest logistic regression for all classes at once: one matrix problem, solved by L-BFGS."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit


@dataclass(frozen=True)
class LogisticSettings:
    """Regularisation, clipping and dimensions of the linear models."""

    l2: float = 1.0  # against a class's mean loss, per squared weight of a standardised feature
    clip: float = 3.0  # standard deviations
    max_iterations: int = 200
    components: int = 0  # directions of most variance in which it is fitted, for many features; 0: all


@dataclass(frozen=True, eq=False)
class LogisticModel:
    """logits = clipped standardised features @ weights + bias."""

    centre: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    clip: float

    def standard(self, features: np.ndarray) -> np.ndarray:
        """(rows, features) standardised and clipped, because focal clips lie far outside the range of soundscapes."""
        return np.clip((features - self.centre) / self.spread, -self.clip, self.clip)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(rows, classes) logits of (rows, features)."""
        return self.standard(features) @ self.weights + self.bias


def fit_logistic(
    features: np.ndarray, targets: np.ndarray, cells: np.ndarray, settings: LogisticSettings
) -> LogisticModel:
    """Fit one linear model a class; `cells` (rows, classes) weighs each target, 0 where it is unknown.

    Each class's positives and negatives weigh the same in sum, so that rare classes are not drowned.
    """
    spread = features.std(axis=0)
    shape = (features.shape[1], targets.shape[1])
    scale = LogisticModel(
        features.mean(axis=0), np.where(spread > 1e-6, spread, 1.0), np.zeros(shape), np.zeros(shape[1]), settings.clip
    )
    standard = scale.standard(features)
    basis = _directions(standard, settings.components) if 0 < settings.components < shape[0] else None
    reduced = standard if basis is None else standard @ basis
    x = np.concatenate([reduced, np.ones((len(features), 1))], axis=1)
    signs = np.where(targets, 1.0, -1.0)
    balanced = _balanced(targets, cells)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(x.shape[1], shape[1])
        margin = signs * (x @ w)
        value = (balanced * np.logaddexp(0.0, -margin)).sum() + 0.5 * settings.l2 * np.square(w[:-1]).sum()
        gradient = x.T @ (-balanced * signs * expit(-margin))
        gradient[:-1] += settings.l2 * w[:-1]
        return value, gradient.ravel()

    start = np.zeros(x.shape[1] * shape[1])
    solved = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": settings.max_iterations})
    w = solved.x.reshape(x.shape[1], shape[1])
    weights = w[:-1] if basis is None else basis @ w[:-1]
    return LogisticModel(scale.centre, scale.spread, weights, w[-1], settings.clip)


def _directions(standard: np.ndarray, count: int) -> np.ndarray:
    """(features, count) orthonormal directions along which the rows spread most, all but exactly: by a random sketch.

    Halko, Martinsson and Tropp 2011 (arXiv 0909.4061). The exact ones take tens of times as long.
    """
    rows = standard - standard.mean(axis=0)
    beyond = min(count + 10, *rows.shape)
    basis = np.linalg.qr(rows.T @ np.random.default_rng(0).normal(size=(len(rows), beyond)))[0]
    for _ in range(2):
        basis = np.linalg.qr(rows.T @ (rows @ basis))[0]
    return basis @ np.linalg.svd(rows @ basis, full_matrices=False)[2].T[:, :count]


def _balanced(targets: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """(rows, classes) weights of which each class's positives and negatives have half each; an empty side has none."""
    positive, negative = cells * targets, cells * ~targets
    sides = [side / np.maximum(side.sum(axis=0), 1e-12) for side in (positive, negative)]
    return 0.5 * (sides[0] + sides[1])
