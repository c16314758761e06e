"""Weights and knobs in turn: a method that only weighs becomes one that sets the steps' parameters too."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lib.blend.search.objective import Numbers, Objective
from lib.blend.search.space import Choice

Method = Callable[[Objective, Choice, Numbers, int], Choice]


def in_turn(weigh: Method) -> Method:
    """The method that weighs and then turns each knob, again and again until neither scores higher."""

    def method(objective: Objective, start: Choice, chosen: Numbers, seed: int) -> Choice:
        choice, before = start, None
        while choice != before:
            before, weighed = choice, weigh(objective, choice, chosen, seed)
            old, new = objective.scores([before, weighed], chosen)
            choice = _turned(objective, weighed if new > old else before, chosen)
        return choice

    return method


def _turned(objective: Objective, choice: Choice, chosen: Numbers) -> Choice:
    """The choice with each knob in turn at its best value; of equals it stays where it is."""
    for n, knob in enumerate(objective.space.knobs):
        others = [(*choice.values[:n], value, *choice.values[n + 1 :]) for value in knob.values]
        tried = [choice, *(replace(choice, values=values) for values in others)]
        choice = tried[int(np.argmax(objective.scores(tried, chosen)))]
    return choice
