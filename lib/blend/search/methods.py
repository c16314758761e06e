"""Greedy selection of an ensemble, with replacement (Caruana et al. 2004): parts are added one by one while it pays.

Few whole members in a bag make few, round weights: the selection cannot tune a weight to the last window. Bags of
random halves of the parts are left out on purpose: where members differ much, each bag without a good one is a loss.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np

from lib.blend.search.objective import FoldIndices, Objective, exchange_weight
from lib.blend.search.space import Candidate, to_permille
from lib.core.errors import BadInput

ROUNDS = 10  # so a weight is about a multiple of a tenth


def greedy(objective: Objective, start: Candidate, chosen: FoldIndices, seed: int) -> Candidate:
    """The start with weights by how often each part was selected in the best bag met on the way, of equals the least.

    Nothing is drawn: every seed gives the same.
    """
    bag, best, best_score = np.zeros(len(start.permille)), start, -np.inf
    for _ in range(ROUNDS):
        tried = [Candidate(to_permille(bag + more), start.values) for more in np.eye(len(bag))]
        scores = objective.scores(tried, chosen)
        pick = int(np.argmax(scores))
        bag[pick] += 1
        if scores[pick] > best_score:
            best, best_score = tried[pick], scores[pick]
    return best


_PASSES = 20
_SAME = 1e-12  # scores closer than this are equal


def ascent(objective: Objective, start: Candidate, chosen: FoldIndices, seed: int) -> Candidate:
    """The start with weights that no exchange between two parts improves; of equal points the nearest is taken."""
    choice, pairs = start, list(combinations(range(len(start.permille)), 2))
    for _ in range(_PASSES):
        before = choice
        for giver, taker in pairs:
            moved, macro = objective.line(choice, giver, taker, chosen)
            best = moved[macro >= macro.max() - _SAME]
            choice = exchange_weight(choice, giver, taker, int(best[np.argmin(np.abs(best))]))
        if choice == before:
            break
    return choice


TRIALS = 120


def tpe(objective: Objective, start: Candidate, chosen: FoldIndices, seed: int) -> Candidate:
    """The best of TRIALS choices, the start among them; each knob within its first and last value."""
    try:
        import optuna
    except ImportError:
        raise BadInput(
            "method tpe needs a package that is not here",
            expected="optuna",
            got="none",
            do="pip install -r requirements-sweeps.txt, or search greedily",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tried: list[Candidate] = []

    def judged(trial) -> float:
        # minus the log of an even draw: shares of such draws cover all weights evenly
        draws = [-np.log(trial.suggest_float(f"part {n}", 1e-6, 1.0 - 1e-6)) for n in range(len(start.permille))]
        values = [
            _suggested(trial, f"knob {n}", parameter.values) for n, parameter in enumerate(objective.space.parameters)
        ]
        tried.append(Candidate(to_permille(draws), tuple(values)))
        return float(objective.scores(tried[-1:], chosen)[0])

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    first = {f"part {n}": float(np.clip(np.exp(-weight), 1e-6, 1 - 1e-6)) for n, weight in enumerate(start.weights)}
    ranges = [(min(parameter.values), max(parameter.values)) for parameter in objective.space.parameters]
    first |= {f"knob {n}": min(max(value, ranges[n][0]), ranges[n][1]) for n, value in enumerate(start.values)}
    study.enqueue_trial(first)
    study.optimize(judged, n_trials=TRIALS)
    return tried[study.best_trial.number]


def _suggested(trial, name: str, values: tuple[float, ...]) -> float:
    """A whole number where all values are whole."""
    if all(isinstance(value, int) for value in values):
        return trial.suggest_int(name, values[0], values[-1])
    return trial.suggest_float(name, values[0], values[-1])


Method = Callable[[Objective, Candidate, FoldIndices, int], Candidate]


def alternate_weights_and_params(weigh: Method) -> Method:
    """The method that weighs and then turns each knob, again and again until neither scores higher."""

    def method(objective: Objective, start: Candidate, chosen: FoldIndices, seed: int) -> Candidate:
        choice, before = start, None
        while choice != before:
            before, weighed = choice, weigh(objective, choice, chosen, seed)
            old, new = objective.scores([before, weighed], chosen)
            choice = _turned(objective, weighed if new > old else before, chosen)
        return choice

    return method


def _turned(objective: Objective, choice: Candidate, chosen: FoldIndices) -> Candidate:
    """The choice with each knob in turn at its best value; of equals it stays where it is."""
    for n, parameter in enumerate(objective.space.parameters):
        others = [(*choice.values[:n], value, *choice.values[n + 1 :]) for value in parameter.values]
        tried = [choice, *(replace(choice, values=values) for values in others)]
        choice = tried[int(np.argmax(objective.scores(tried, chosen)))]
    return choice
