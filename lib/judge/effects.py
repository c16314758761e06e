"""Effects of a sweep's parameters: the gain of each value over a reference value, with all else equal where possible.

Runs that share all but this parameter, seed included, are paired, and differ fold by fold. Where most runs of a value
have no such partner, as in a random space, the means of all its runs are compared: what else varied counts as noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

import numpy as np

from lib.judge.gains import Gain, paired_gains, unpaired_gains

UNSET = "not set"  # the notebook's own default
MOST_VALUES = 8  # a number tried at more values is seen in thirds
_THIRDS = 3


@dataclass(frozen=True)
class SweepRun:
    """A scored run: its parameters except the seed, its seed, its score, and its scores by fold."""

    parameters: Mapping[str, object]
    seed: int | None
    score: float
    per_fold: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Effect:
    """The gain of one value of a parameter; the reference value has none over itself."""

    parameter: str
    value: str
    reference: str
    runs: int
    score: float  # the mean over those of its runs that have a partner, over all where most have none
    gain: Gain | None


def varying(parameters: Sequence[Mapping[str, object]]) -> list[str]:
    """The parameters with more than one value, in the order of their first appearance; not being set is a value too."""
    names = dict.fromkeys(name for each in parameters for name in each)
    return [name for name in names if len({repr(each.get(name, UNSET)) for each in parameters}) > 1]


def effects(trials: Sequence[SweepRun], reference: Mapping[str, object]) -> list[Effect]:
    """The effect of each value of each parameter that varies, the reference's first, adjusted for all together."""
    designs = {name: _levels(trials, name, reference) for name in varying([trial.parameters for trial in trials])}
    together = sum(len(levels) - 1 for levels in designs.values())
    pairs = {
        (name, value): found
        for name, levels in designs.items()
        for value, runs in list(levels.items())[1:]
        if (found := _pairs(next(iter(levels.values())), runs, name))
    }
    paired = dict(
        zip(pairs, paired_gains([setting_differences(found) for found in pairs.values()], together), strict=True)
    )
    made = []
    for name, levels in designs.items():
        loose = unpaired_gains(_by_setting(list(levels.values())), together)
        for (value, runs), unlike in zip(levels.items(), [None, *loose], strict=True):
            met = [trial for _, theirs in pairs.get((name, value), []) for trial in theirs] or runs
            score = float(np.mean([trial.score for trial in met]))
            gain = paired.get((name, value), unlike)
            made.append(Effect(name, value, next(iter(levels)), len(runs), score, gain))
    return made


def setting_differences(pairs: Sequence[tuple[Sequence[SweepRun], Sequence[SweepRun]]]) -> np.ndarray:
    """(pairs, folds) the second side's score minus the first's of each pair, in the folds that all have."""
    folds = _folds([trial for pair in pairs for side in pair for trial in side])
    return np.stack([_scores(theirs, folds) - _scores(ours, folds) for ours, theirs in pairs])


def _folds(trials: Sequence[SweepRun]) -> list[str]:
    """The folds in which all trials have a score."""
    return sorted(set.intersection(*(set(trial.per_fold) for trial in trials)))


def _scores(trials: Sequence[SweepRun], folds: Sequence[str]) -> np.ndarray:
    """(folds,) the mean scores of some trials; without folds in common one number, of their whole scores."""
    rows = [[trial.per_fold[fold] for fold in folds] if folds else [trial.score] for trial in trials]
    return np.mean(rows, axis=0)


def value_name(value: object) -> str:
    """A parameter's value as text; an empty one, by which a notebook chooses itself, reads "(empty)"."""
    return (f"{value:.4g}" if type(value) is float else str(value)) or "(empty)"


def _is_number(value: object) -> TypeGuard[int | float]:
    """True for whole numbers and fractions, not for booleans."""
    return type(value) in (int, float)


def _levels(trials: Sequence[SweepRun], name: str, reference: Mapping[str, object]) -> dict[str, list[SweepRun]]:
    """The runs of each value, or third of the values, by its name; the reference's first."""
    values = {repr(trial.parameters.get(name, UNSET)): trial.parameters.get(name, UNSET) for trial in trials}
    numbers = sorted({value for value in values.values() if _is_number(value)})
    names = {key: value_name(value) for key, value in values.items()}
    if len(numbers) > MOST_VALUES:
        for third in np.array_split(np.array(numbers), _THIRDS):
            span = f"{third[0]:.3g} … {third[-1]:.3g}"
            names |= {key: span for key, value in values.items() if _is_number(value) and value in third}
    order = sorted(dict.fromkeys(names.values()), key=lambda span: _place(span, names, values))
    first = names.get(repr(reference.get(name, UNSET)), order[0])
    order.sort(key=lambda span: span != first)
    return {
        span: [trial for trial in trials if names[repr(trial.parameters.get(name, UNSET))] == span] for span in order
    }


def _place(span: str, names: Mapping[str, str], values: Mapping[str, object]) -> tuple:
    """The sort key of a value: numbers by size, then texts in the order of their first appearance."""
    key = next(key for key, named in names.items() if named == span)
    number = _is_number(values[key])
    return (not number, values[key] if number else list(names).index(key))


def _pairs(
    ours: Sequence[SweepRun], theirs: Sequence[SweepRun], name: str
) -> list[tuple[list[SweepRun], list[SweepRun]]]:
    """The runs of two values that share all else, seed included; none where most of the second's have no partner."""
    sides = [_by_rest(ours, name), _by_rest(theirs, name)]
    found = [(sides[0][rest], runs) for rest, runs in sides[1].items() if rest in sides[0]]
    return found if 2 * sum(len(runs) for _, runs in found) >= len(theirs) else []


def _by_rest(trials: Sequence[SweepRun], name: str) -> dict[tuple, list[SweepRun]]:
    """The runs by all that is set but the named parameter."""
    grouped: dict[tuple, list[SweepRun]] = {}
    for trial in trials:
        rest = tuple(sorted((key, repr(value)) for key, value in trial.parameters.items() if key != name))
        grouped.setdefault((trial.seed, rest), []).append(trial)
    return grouped


def _by_setting(levels: Sequence[Sequence[SweepRun]]) -> list[np.ndarray]:
    """For each value its (settings, folds) scores, means over seeds: seeds of one setting are no further settings."""
    folds, found = _folds([trial for trials in levels for trial in trials]), []
    for trials in levels:
        grouped: dict[tuple, list[SweepRun]] = {}
        for trial in trials:
            key = tuple(sorted((name, repr(value)) for name, value in trial.parameters.items()))
            grouped.setdefault(key, []).append(trial)
        found.append(np.stack([_scores(each, folds) for each in grouped.values()]))
    return found
