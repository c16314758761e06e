"""Out-of-fold scores of recipes: executed within each fold's rows, since each fold's models have their own scale.

One list of all folds' rows would measure how the offsets of their models differ, and not the recipe.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lib.blend.recipe import Recipe
from lib.competition.scores import Labels, Scores, concat_scores
from lib.core.errors import BadInput
from lib.judge.metric import class_auc


@dataclass(frozen=True, eq=False)
class EvaluationFold:
    """One stratum: its labelled rows, and the members' scores of all rows of the soundscapes they belong to."""

    number: int
    labels: Labels
    parts: dict[str, Scores]
    pairs: np.ndarray  # (classes,) pairs of a positive and a negative


def evaluation_folds(parts: Mapping[str, Scores], labels: Labels) -> list[EvaluationFold]:
    """The strata of the labels, each with its rows of the members' scores; steps may need whole soundscapes."""
    first = next(iter(parts.values()))
    stratum_of = {_stem(row): stratum for row, stratum in zip(labels.row_ids, labels.strata.tolist(), strict=True)}
    folds = []
    for number in np.unique(labels.strata).tolist():
        rows = [row for row in first.row_ids if stratum_of.get(_stem(row)) == number]
        here = np.flatnonzero(labels.strata == number)
        own = labels.take([labels.row_ids[row] for row in here])
        positives = own.values.sum(axis=0)
        taken = {name: part.take(rows) for name, part in parts.items()}
        folds.append(EvaluationFold(number, own, taken, positives * (len(here) - positives)))
    return folds


def evaluate(recipe: Recipe, parts: Mapping[str, Scores], labels: Labels) -> Scores:
    """The recipe's result on out-of-fold scores, all rows of labelled soundscapes, executed within each fold."""
    return execute_by_fold(recipe, evaluation_folds(parts, labels))


def execute_by_fold(recipe: Recipe, folds: list[EvaluationFold]) -> Scores:
    """The recipe's result on each fold's scores, concatenated."""
    return concat_scores([recipe.execute(fold.parts).scores for fold in folds])


def count_won_pairs(recipe: Recipe, folds: list[EvaluationFold]) -> np.ndarray:
    """(folds, classes) won pairs, ties half: their sum over any folds, divided by the pairs there, is the AUC."""
    won = []
    for fold in folds:
        values = recipe.execute(fold.parts).scores.take(fold.labels.row_ids).values
        won.append(np.nan_to_num(class_auc(fold.labels.values, values)) * fold.pairs)
    return np.stack(won)


def macro_of_won_pairs(won: np.ndarray, folds: list[EvaluationFold]) -> float:
    """The macro AUC of (folds, classes) won pairs in these folds, over the classes that have pairs there."""
    refuse_unscored(folds)
    pairs = np.sum([fold.pairs for fold in folds], axis=0)
    return float((won.sum(axis=0)[pairs > 0] / pairs[pairs > 0]).mean())


def refuse_unscored(folds: list[EvaluationFold]) -> None:
    """Raise BadInput if no class has both a positive and a negative in these folds."""
    if not any(fold.pairs.any() for fold in folds):
        raise BadInput(
            "no class can be scored in these folds",
            expected="a class with positives and negatives",
            got=[fold.number for fold in folds],
            do="use folds with more labels",
        )


def _stem(row_id: str) -> str:
    return row_id.rpartition("_")[0]
