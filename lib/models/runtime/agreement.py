"""Rank agreement of two runs of a model: the metric depends on the order of windows within each class alone."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

# Between what was measured on trained networks: bfloat16 has a median of .9997 and more and loses no score; int8 has
# .90 to .98, at the 5th percentile .70 to .88, and loses .7 to 2.1 points.
LEAST_MEDIAN, LEAST_P5 = 0.999, 0.99


@dataclass(frozen=True)
class RuntimeAgreement:
    """Spearman's correlation over so many windows: the median of the classes, and their 5th percentile."""

    windows: int
    median: float
    p5: float

    @property
    def equivalent(self) -> bool:
        """True if the one may replace the other."""
        return self.median >= LEAST_MEDIAN and self.p5 >= LEAST_P5

    def __str__(self) -> str:
        return f"rank agreement {self.median:.4f}, at the 5th percentile {self.p5:.4f}, over {self.windows} windows"


def runtime_agreement(truth: np.ndarray, values: np.ndarray) -> RuntimeAgreement:
    """The rank agreement of two (windows, classes) tables."""
    ranks = rank_agreement(truth, values)
    return RuntimeAgreement(len(truth), float(np.median(ranks)), float(np.percentile(ranks, 5)))


def rank_agreement(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(classes,) Spearman's correlation of each column; 1 where both are constant, 0 where one is, NaN counts as 0."""
    ranks = [pd.DataFrame(table).rank().to_numpy() - (len(table) + 1) / 2 for table in (truth, values)]
    norms = [np.sqrt(np.square(table).sum(axis=0)) for table in ranks]
    both_constant = (norms[0] == 0) & (norms[1] == 0)
    scale = norms[0] * norms[1]
    correlation = np.divide((ranks[0] * ranks[1]).sum(axis=0), scale, out=both_constant.astype(float), where=scale > 0)
    return np.nan_to_num(correlation)
