"""Measures of how well a family of folds separates robust ideas from fragile ones, given their true scores."""

from itertools import product

import numpy as np

from lib.judge.studies.replay import replay_agreement


def separation(out_of_fold: dict[str, float], truth: dict[str, float], fragile: set[str]) -> dict[str, float | str]:
    """One row of the families' table, over ideas scored out of fold and on the hidden test.

    Optimism is out of fold minus truth; `right pairs` the share of robust-fragile pairs that it orders as the truth
    does; `fragile place` the fragile ideas' mean place, 1 the best: the truth has one too.
    """
    names = sorted(truth)
    ours, theirs = ([table[name] for name in names] for table in (out_of_fold, truth))
    agreement = replay_agreement(ours, theirs)
    over = {name: out_of_fold[name] - truth[name] for name in names}
    robust = [name for name in names if name not in fragile]
    return {
        "Spearman": agreement.spearman,
        "90 % interval": str(agreement.interval),
        "Pearson": agreement.pearson,
        "right pairs": _right_pairs(out_of_fold, truth, robust, sorted(fragile)),
        "optimism, robust": float(np.mean([over[name] for name in robust])),
        "optimism, fragile": float(np.mean([over[name] for name in sorted(fragile)])),
        "fragile place": mean_place(out_of_fold, fragile),
    }


def mean_place(scores: dict[str, float], names: set[str]) -> float:
    """The mean place of some ideas among all, 1 the best."""
    return float(np.mean([1 + sum(other > scores[name] for other in scores.values()) for name in sorted(names)]))


def _right_pairs(ours: dict[str, float], truth: dict[str, float], robust: list[str], fragile: list[str]) -> float:
    """The share of pairs of a robust and a fragile idea whose order is the true one."""
    pairs = list(product(robust, fragile))
    return float(np.mean([np.sign(ours[a] - ours[b]) == np.sign(truth[a] - truth[b]) for a, b in pairs]))
