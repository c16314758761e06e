"""Splits within what a head may learn from: a recording group is never on both sides."""

import numpy as np

from lib.competition.folds import assign
from lib.learn.head.data import Sequences

JUDGING_FOLDS = 6  # one of them judges epochs, much as 15 % of the files do in the public chain


def inner_folds(sequences: Sequences, n_folds: int) -> np.ndarray:
    """(files,) fold numbers, from 0; fewer folds where there are fewer recording groups, and one for a single group."""
    groups = list(sequences.groups)
    n_folds = min(n_folds, len(set(groups)))
    labels = (sequences.truth & sequences.known[..., None]).any(axis=1)
    return assign(groups, labels, n_folds=n_folds, seed=0)


def held_out(sequences: Sequences, n_folds: int, seed: int) -> np.ndarray:
    """(files,) the mask of the fold that judges, another for each next seed; of nothing where there is one group."""
    folds = inner_folds(sequences, n_folds)
    last = folds.max(initial=0)
    return (folds == seed % (last + 1)) & (last > 0)
