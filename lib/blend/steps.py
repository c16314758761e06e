"""Post-processing steps: pure functions on Scores, each with named parameters, looked up by name from a recipe."""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lib.competition.errors import BadInput
from lib.competition.names import WINDOWS_PER_SOUNDSCAPE, split_row_id, window_ends
from lib.competition.scores import Scores


def smooth_windows(scores: Scores, *, sigma: float) -> Scores:
    """Each class smoothed over a soundscape's windows by a Gaussian of `sigma` windows; edges repeat."""
    if sigma == 0:
        return scores
    values = gaussian_filter1d(_by_soundscape(scores), sigma, axis=1, mode="nearest")
    return scores.with_values(np.clip(values.reshape(scores.values.shape), *_range(scores)))


STEPS: dict[str, Callable[..., Scores]] = {"smooth_windows": smooth_windows}


def apply_step(scores: Scores, name: str, parameters: dict) -> Scores:
    """The named step's result; an unknown step is an error that lists those there are."""
    if name not in STEPS:
        raise BadInput("the recipe names an unknown step", expected=sorted(STEPS), got=name, do="mend the recipe")
    return STEPS[name](scores, **parameters)


def _by_soundscape(scores: Scores) -> np.ndarray:
    """(soundscapes, 12, classes): rows must be whole soundscapes, in time order."""
    ends = [split_row_id(row)[1] for row in scores.row_ids]
    stems = [row.rpartition("_")[0] for row in scores.row_ids]
    whole = len(ends) % WINDOWS_PER_SOUNDSCAPE == 0 and ends == window_ends() * (len(ends) // WINDOWS_PER_SOUNDSCAPE)
    if not whole or any(len(set(stems[i : i + 12])) > 1 for i in range(0, len(stems), WINDOWS_PER_SOUNDSCAPE)):
        raise BadInput("rows are not whole soundscapes", expected="twelve rows a soundscape, in time order",
                       got=f"{len(ends)} rows", do="apply the step before taking rows")  # fmt: skip
    return scores.values.reshape(-1, WINDOWS_PER_SOUNDSCAPE, len(scores.classes))


def _range(scores: Scores) -> tuple[float, float]:
    return (-np.inf, np.inf) if scores.kind == "logit" else (0.0, 1.0)
