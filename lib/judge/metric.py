"""The competition's metric, the only implementation: macro ROC-AUC over the classes that have a positive."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput, shorten


@dataclass(frozen=True, eq=False)
class AucReport:
    """A macro score together with the class set it is the mean of; without that set no two scores compare."""

    macro: float
    per_class: dict[str, float]
    without_positive: tuple[str, ...]
    never_paired: tuple[str, ...]
    rows: int

    @property
    def scored(self) -> tuple[str, ...]:
        """The classes that the mean is taken over."""
        return tuple(self.per_class)

    def __str__(self) -> str:
        return f"{self.macro:.4f} over {len(self.per_class)} classes, {self.rows} rows"


def class_auc(truth: np.ndarray, values: np.ndarray, strata: np.ndarray | None = None) -> np.ndarray:
    """(classes,) ROC-AUC of each column, ties counted half; NaN where a class lacks positives or negatives.

    With `strata` (rows,), only pairs within a stratum count. One list of several fold models' rows would measure how
    their offsets differ: a class held out is rarer in its own fold's training data, so pooling pushes it below .5.
    """
    auc = np.full(truth.shape[1], np.nan)
    present = np.flatnonzero(truth.any(axis=0))  # most classes of a small truth have nothing to rank for
    won, pairs = np.zeros(len(present)), np.zeros(len(present))
    groups = [slice(None)] if strata is None else [strata == stratum for stratum in np.unique(strata)]
    for rows in groups:
        columns, marks = (np.ascontiguousarray(table[rows][:, present].T) for table in (values, truth))
        for n, (column, mark) in enumerate(zip(columns, marks, strict=True)):
            positives, negatives = column[mark], np.sort(column[~mark])
            won[n] += 0.5 * sum(negatives.searchsorted(positives, side).sum() for side in ("left", "right"))
            pairs[n] += len(positives) * len(negatives)
    auc[present] = np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return auc


def judge(labels: Labels, scores: Scores) -> AucReport:
    """The macro score on the labelled rows, pairs within a stratum; scores must cover them, for the same classes."""
    if labels.classes != scores.classes:
        raise BadInput(
            "labels and scores have different classes",
            expected=shorten(labels.classes, 3),
            got=shorten(scores.classes, 3),
            do="make both from one competition folder",
        )
    values = scores.take(labels.row_ids).values
    auc, names = class_auc(labels.values, values, labels.strata), np.array(labels.classes)
    any_positive = labels.values.any(axis=0)
    scored = np.isfinite(auc)
    if not scored.any():
        raise BadInput(
            "no class can be scored",
            expected="a class with positives and negatives",
            got=f"{len(labels.row_ids)} rows",
            do="judge on more rows",
        )
    return AucReport(
        macro=float(auc[scored].mean()),
        per_class=dict(zip(names[scored].tolist(), auc[scored].tolist(), strict=True)),
        without_positive=tuple(names[~any_positive].tolist()),
        never_paired=tuple(names[any_positive & ~scored].tolist()),
        rows=len(labels.row_ids),
    )


def official_score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str) -> float:
    """The platform's score of two aligned frames, with its refusals: only classes without positives are skipped."""
    solution, submission = (frame.drop(columns=row_id_column_name) for frame in (solution, submission))
    if not all(pd.api.types.is_numeric_dtype(submission[column]) for column in submission.columns):
        raise BadInput(
            "submission columns are not numeric",
            expected="numbers",
            got=set(map(str, submission.dtypes)),
            do="write numeric columns",
        )
    scored = solution.columns[solution.sum(axis=0) > 0].tolist()
    if not scored:
        raise BadInput(
            "the solution has no positive",
            expected="at least one class with a positive",
            got="none",
            do="use a solution with positives",
        )
    values = submission[scored].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise BadInput(
            "the submission holds NaN or infinity",
            expected="finite numbers",
            got=shorten(np.array(scored)[~np.isfinite(values).all(axis=0)]),
            do="fix the submission: write a number between 0 and 1 in each cell",
        )
    auc = class_auc(solution[scored].to_numpy() > 0, values)
    if not np.isfinite(auc).all():
        raise BadInput(
            "a class is positive in every row",
            expected="a negative in each scored class",
            got=shorten(np.array(scored)[~np.isfinite(auc)]),
            do="judge on more rows",
        )
    return float(auc.mean())
