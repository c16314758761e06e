"""Registry of post-processing steps: pure functions on Scores with named parameters, called by name from a recipe.

There is no step for thresholds or isotonic curves by class: like a temperature, they do not change the order within a
class, and the metric depends on orders alone.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lib.blend.mix import percentile_ranks
from lib.blend.sidecar.apply import sidecar
from lib.blend.steps.agreement_gate import gate_sustained, gate_window
from lib.blend.steps.classes import add_prior, damp_below_mean, mirror_in_groups, smooth_in_groups, temper
from lib.blend.steps.windows import (
    lift_to_neighbours,
    scale_by_file,
    smooth_by_kernel,
    smooth_unsure_windows,
    smooth_windows,
)
from lib.competition.scores import Scores
from lib.core.errors import BadInput


@dataclass(frozen=True)
class StepKind:
    """A step with two properties that hold for any parameters.

    `rank_neutral`: it keeps each class's order over all rows, so alone it changes no score. `file_local`: a row's
    result needs only the rows of its soundscape, so it can run as files finish.
    """

    apply: Callable[..., Scores]
    rank_neutral: bool
    file_local: bool


STEPS: dict[str, StepKind] = {
    step.__name__: StepKind(step, rank_neutral, file_local)
    for step, rank_neutral, file_local in (
        (smooth_windows, False, True),
        (smooth_by_kernel, False, True),
        (lift_to_neighbours, False, True),
        (smooth_unsure_windows, False, True),
        (scale_by_file, False, True),
        (add_prior, False, True),
        (temper, True, True),
        (smooth_in_groups, False, True),
        (mirror_in_groups, False, True),
        (damp_below_mean, True, False),
        (gate_window, False, False),
        (gate_sustained, False, False),
        (percentile_ranks, True, False),
        (sidecar, False, False),
    )
}


def apply_step(scores: Scores, name: str, parameters: dict, parts: Mapping[str, Scores] | None = None) -> Scores:
    """The named step's result; parameters called `member…` name scores among the parts, of the same rows."""
    if name not in STEPS:
        raise BadInput("the recipe names an unknown step", expected=sorted(STEPS), got=name, do="run 05 again")
    step, parts = STEPS[name].apply, parts or {}
    _refuse_parameters(name, parameters)
    named = {parameter: value for parameter, value in parameters.items() if parameter.startswith("member")}
    if absent := [value for value in named.values() if value not in parts]:
        raise BadInput(
            f"step {name} names members that are missing",
            expected=sorted(parts) or "parts of the blend",
            got=absent,
            do="name members, or mixes made before the step",
        )
    return step(scores, **{**parameters, **{parameter: parts[value] for parameter, value in named.items()}})


def _refuse_parameters(name: str, parameters: dict) -> None:
    """Raise BadInput if parameters are missing or not known to the step."""
    _, *takes = inspect.signature(STEPS[name].apply).parameters.values()
    needed = {parameter.name for parameter in takes if parameter.default is parameter.empty}
    if not needed <= set(parameters) <= {parameter.name for parameter in takes}:
        raise BadInput(
            f"step {name} cannot take these parameters",
            expected=[parameter.name for parameter in takes],
            got=sorted(parameters),
            do="set exactly these parameters in the recipe",
        )
