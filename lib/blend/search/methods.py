"""Search methods for blend weights and step parameters: greedy selection, coordinate ascent and TPE.

Greedy selection of an ensemble is with replacement (Caruana et al. 2004): parts are added one by one. A bag of few
parts gives few, round weights, so it cannot overfit a weight to single windows. Bags of random halves of the parts are
left out on purpose: if members differ much, each bag without a good one is a loss.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np

from lib.blend.search.objective import FoldIndices, Objective, exchange_weight
from lib.blend.search.space import Candidate, to_permille
from lib.core.errors import BadInput

ROUNDS = 10  # so each weight is about a multiple of a tenth


def greedy(objective: Objective, start: Candidate, fold_indices: FoldIndices, seed: int) -> Candidate:
    """Greedy selection: weights are the counts of each part in the best bag on the way, of equal ones the smallest.

    Nothing is random: every seed gives the same result.
    """
    bag, best, best_score = np.zeros(len(start.permille)), start, -np.inf
    for _ in range(ROUNDS):
        tried = [Candidate(to_permille(bag + more), start.values) for more in np.eye(len(bag))]
        scores = objective.scores(tried, fold_indices)
        pick = int(np.argmax(scores))
        bag[pick] += 1
        if scores[pick] > best_score:
            best, best_score = tried[pick], scores[pick]
    return best


_PASSES = 20
_SAME = 1e-12  # scores closer than this are equal


def ascent(objective: Objective, start: Candidate, fold_indices: FoldIndices, seed: int) -> Candidate:
    """Coordinate ascent: each exchange between two parts goes to the best point of its line, until none improves.

    Of equal points the nearest is taken.
    """
    candidate, pairs = start, list(combinations(range(len(start.permille)), 2))
    for _ in range(_PASSES):
        before = candidate
        for giver, taker in pairs:
            moved, macro = objective.line(candidate, giver, taker, fold_indices)
            best = moved[macro >= macro.max() - _SAME]
            candidate = exchange_weight(candidate, giver, taker, int(best[np.argmin(np.abs(best))]))
        if candidate == before:
            break
    return candidate


TRIALS = 120


def tpe(objective: Objective, start: Candidate, fold_indices: FoldIndices, seed: int) -> Candidate:
    """The best of TRIALS candidates by Optuna's tree of Parzen estimators, weights and parameters together.

    The start is among them; each parameter stays within its first and last value.
    """
    try:
        import optuna
    except ImportError:
        raise BadInput(
            "method tpe needs a package that is not installed",
            expected="optuna",
            got="none",
            do="run pip install -r requirements-dev.txt, or set method=greedy",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tried: list[Candidate] = []

    def score(trial) -> float:
        # minus the log of an even draw: shares of such draws cover all weights evenly
        draws = [-np.log(trial.suggest_float(f"part {n}", 1e-6, 1.0 - 1e-6)) for n in range(len(start.permille))]
        values = [
            _suggest(trial, f"parameter {n}", parameter.values)
            for n, parameter in enumerate(objective.space.parameters)
        ]
        tried.append(Candidate(to_permille(draws), tuple(values)))
        return float(objective.scores(tried[-1:], fold_indices)[0])

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    first = {f"part {n}": float(np.clip(np.exp(-weight), 1e-6, 1 - 1e-6)) for n, weight in enumerate(start.weights)}
    ranges = [(min(parameter.values), max(parameter.values)) for parameter in objective.space.parameters]
    first |= {f"parameter {n}": min(max(value, ranges[n][0]), ranges[n][1]) for n, value in enumerate(start.values)}
    study.enqueue_trial(first)
    study.optimize(score, n_trials=TRIALS)
    return tried[study.best_trial.number]


def _suggest(trial, name: str, values: tuple[float, ...]) -> float:
    """A value between the first and the last; an integer if all values are integers."""
    if all(isinstance(value, int) for value in values):
        return trial.suggest_int(name, values[0], values[-1])
    return trial.suggest_float(name, values[0], values[-1])


Method = Callable[[Objective, Candidate, FoldIndices, int], Candidate]


def alternate_weights_and_params(weigh: Method) -> Method:
    """The method that alternates between `weigh` and setting each parameter, until neither scores higher."""

    def method(objective: Objective, start: Candidate, fold_indices: FoldIndices, seed: int) -> Candidate:
        candidate: Candidate = start
        before: Candidate | None = None
        while candidate != before:
            before, weighed = candidate, weigh(objective, candidate, fold_indices, seed)
            old, new = objective.scores([before, weighed], fold_indices)
            candidate = _set_parameters(objective, weighed if new > old else before, fold_indices)
        return candidate

    return method


def _set_parameters(objective: Objective, candidate: Candidate, fold_indices: FoldIndices) -> Candidate:
    """The candidate with each parameter, one after the other, at its best value; of equal ones the present value."""
    for n, parameter in enumerate(objective.space.parameters):
        others = [(*candidate.values[:n], value, *candidate.values[n + 1 :]) for value in parameter.values]
        tried = [candidate, *(replace(candidate, values=values) for values in others)]
        candidate = tried[int(np.argmax(objective.scores(tried, fold_indices)))]
    return candidate
