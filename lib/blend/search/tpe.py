"""Weights and knobs together by Optuna's tree of Parzen estimators, over their declared ranges."""

import numpy as np

from lib.blend.search.objective import Numbers, Objective
from lib.blend.search.space import Choice, whole
from lib.core.errors import BadInput

TRIALS = 120


def tpe(objective: Objective, start: Choice, chosen: Numbers, seed: int) -> Choice:
    """The best of TRIALS choices, the start among them; each knob within its first and last value."""
    try:
        import optuna
    except ImportError:
        raise BadInput("method tpe needs a package that is not here", expected="optuna", got="none",
                       do="pip install -r requirements-sweeps.txt, or search greedily") from None  # fmt: skip
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tried: list[Choice] = []

    def judged(trial) -> float:
        # minus the log of an even draw: shares of such draws cover all weights evenly
        draws = [-np.log(trial.suggest_float(f"part {n}", 1e-6, 1.0 - 1e-6)) for n in range(len(start.thousandths))]
        values = [_suggested(trial, f"knob {n}", knob.values) for n, knob in enumerate(objective.space.knobs)]
        tried.append(Choice(whole(draws), tuple(values)))
        return float(objective.scores(tried[-1:], chosen)[0])

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    first = {f"part {n}": float(np.clip(np.exp(-weight), 1e-6, 1 - 1e-6)) for n, weight in enumerate(start.weights)}
    ranges = [(min(knob.values), max(knob.values)) for knob in objective.space.knobs]
    first |= {f"knob {n}": min(max(value, ranges[n][0]), ranges[n][1]) for n, value in enumerate(start.values)}
    study.enqueue_trial(first)
    study.optimize(judged, n_trials=TRIALS)
    return tried[study.best_trial.number]


def _suggested(trial, name: str, values: tuple[float, ...]) -> float:
    """A whole number where all values are whole."""
    if all(isinstance(value, int) for value in values):
        return trial.suggest_int(name, values[0], values[-1])
    return trial.suggest_float(name, values[0], values[-1])
