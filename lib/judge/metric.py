"""The contest's metric, computed here alone: macro ROC-AUC over the classes that have a positive."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lib.competition.errors import BadInput, shortened
from lib.competition.scores import Labels, Scores


@dataclass(frozen=True, eq=False)
class AucReport:
    """A macro score together with the class set it is the mean of; without that set no two scores compare."""

    macro: float
    per_class: dict[str, float]
    without_positive: tuple[str, ...]
    all_positive: tuple[str, ...]
    rows: int

    @property
    def scored(self) -> tuple[str, ...]:
        """The classes that the mean is taken over."""
        return tuple(self.per_class)

    def __str__(self) -> str:
        return f"{self.macro:.4f} over {len(self.per_class)} classes, {self.rows} rows"


def class_auc(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(classes,) ROC-AUC of each column, ties counted half; NaN where a class lacks positives or negatives."""
    positives = truth.sum(axis=0)
    pairs = positives * (len(truth) - positives)
    rank_sums = (rankdata(values, axis=0) * truth).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (rank_sums - positives * (positives + 1) / 2) / np.where(pairs > 0, pairs, np.nan)


def judge(labels: Labels, scores: Scores) -> AucReport:
    """The macro score on the labelled rows; scores must hold each of them, for the same classes."""
    if labels.classes != scores.classes:
        raise BadInput("labels and scores have other classes", expected=shortened(labels.classes, 3),
                       got=shortened(scores.classes, 3), do="make both from one competition folder")  # fmt: skip
    values = scores.take(labels.row_ids).values
    auc, names, any_positive = class_auc(labels.values, values), np.array(labels.classes), labels.values.any(axis=0)
    scored = np.isfinite(auc)
    if not scored.any():
        raise BadInput("no class can be scored", expected="a class with positives and negatives",
                       got=f"{len(labels.row_ids)} rows", do="judge on more rows")  # fmt: skip
    return AucReport(
        macro=float(auc[scored].mean()),
        per_class=dict(zip(names[scored].tolist(), auc[scored].tolist(), strict=True)),
        without_positive=tuple(names[~any_positive].tolist()),
        all_positive=tuple(names[any_positive & ~scored].tolist()),
        rows=len(labels.row_ids),
    )


def official_score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str) -> float:
    """The platform's score of two aligned frames, its refusals included: only classes without positives are skipped."""
    solution, submission = (frame.drop(columns=row_id_column_name) for frame in (solution, submission))
    if not all(pd.api.types.is_numeric_dtype(submission[column]) for column in submission.columns):
        raise BadInput("submission columns are not numeric", expected="numbers", got=set(map(str, submission.dtypes)),
                       do="write numbers")  # fmt: skip
    scored = solution.columns[solution.sum(axis=0) > 0].tolist()
    if not scored:
        raise BadInput(
            "the solution has no positive", expected="at least one class with a positive", got="none", do="look"
        )
    values = submission[scored].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise BadInput("the submission holds NaN or infinity", expected="finite numbers",
                       got=shortened(np.array(scored)[~np.isfinite(values).all(axis=0)]), do="look")  # fmt: skip
    auc = class_auc(solution[scored].to_numpy() > 0, values)
    if not np.isfinite(auc).all():
        raise BadInput("a class is positive in every row", expected="a negative in each scored class",
                       got=shortened(np.array(scored)[~np.isfinite(auc)]), do="judge on more rows")  # fmt: skip
    return float(auc.mean())
