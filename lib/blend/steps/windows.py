"""Steps over the windows of one soundscape: smoothing by neighbours, and scaling by the file's confidence."""

import numpy as np
from scipy.ndimage import correlate1d, gaussian_filter1d, maximum_filter1d

from lib.blend.steps.base import check_number, columns_of, refuse_logits, whole_soundscapes, with_clipped_values
from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE
from lib.competition.scores import Scores
from lib.core.errors import BadInput


def smooth_windows(scores: Scores, *, sigma: float) -> Scores:
    """Each class smoothed over a soundscape's windows by a Gaussian of `sigma` windows; edges repeat."""
    check_number("sigma", sigma, 0.0)
    if sigma == 0:
        return scores
    return with_clipped_values(scores, gaussian_filter1d(whole_soundscapes(scores), sigma, axis=1, mode="nearest"))


def smooth_by_kernel(scores: Scores, *, kernel: list[float], labels: list[str] | None = None) -> Scores:
    """The named classes (all, unless named) as weighted means of windows around each, in time order; edges repeat.

    The "texture" smoothing of choirs and insects is [α/2, 1 − α, α/2] on their labels. A pass over sound shifted by
    s of five seconds comes back to the rows' windows by [s/5, 1 − s/5, 0], so shifted passes can be mixed like members.
    """
    check_kernel(kernel)
    windows = whole_soundscapes(scores)
    if labels is None:
        return with_clipped_values(scores, _weighted(windows, kernel))
    columns, values = columns_of(scores, labels), windows.copy()
    values[..., columns] = _weighted(windows[..., columns], kernel)
    return with_clipped_values(scores, values)


def check_kernel(kernel: list[float]) -> None:
    """Raise BadInput if a kernel has no middle, or is not a weighted mean."""
    if len(kernel) % 2 == 0 or min(kernel) < 0 or not abs(sum(kernel) - 1.0) < 1e-6:
        raise BadInput(
            "a smoothing kernel is not usable",
            expected="an odd number of weights, none negative, sum 1",
            got=kernel,
            do="set a kernel such as [0.1, 0.8, 0.1]",
        )


def lift_to_neighbours(scores: Scores, *, labels: list[str], share: float) -> Scores:
    """The named classes moved by `share` towards the highest of each window and its two neighbours.

    For "event" classes, a single call often cut in two by a window's edge: a mean would lower its peak.
    """
    check_number("share", share, 0.0, 1.0)
    values = whole_soundscapes(scores).copy()
    columns = columns_of(scores, labels)
    here = values[..., columns]
    values[..., columns] = here + share * (maximum_filter1d(here, 3, axis=1, mode="nearest") - here)
    return with_clipped_values(scores, values)


def smooth_unsure_windows(scores: Scores, *, share: float) -> Scores:
    """Each window moved towards the mean of its two neighbours by `share` × (1 − its highest class); edges repeat."""
    refuse_logits(scores, "smooth_unsure_windows")
    check_number("share", share, 0.0, 1.0)
    windows = whole_soundscapes(scores)
    unsure = share * (1.0 - windows.max(axis=2, keepdims=True))
    return with_clipped_values(scores, windows + unsure * (_weighted(windows, [0.5, 0.0, 0.5]) - windows))


def scale_by_file(scores: Scores, *, top_windows: int, power: float) -> Scores:
    """Each class times a power of its file's confidence: the mean of its `top_windows` highest windows there.

    Two windows are the public "file confidence scale", one is the "rank-aware scale".
    """
    refuse_logits(scores, "scale_by_file")
    check_number("top_windows", top_windows, 1, WINDOWS_PER_SOUNDSCAPE)
    check_number("power", power, 0.0)
    windows = whole_soundscapes(scores)
    if top_windows == 1:
        confidence = windows.max(axis=1, keepdims=True)
    else:
        top = np.partition(windows, -top_windows, axis=1)[:, -top_windows:]
        confidence = top.mean(axis=1, keepdims=True)
    return with_clipped_values(scores, windows * confidence**power)


def _weighted(windows: np.ndarray, kernel: list[float]) -> np.ndarray:
    """(soundscapes, 12, classes) means over the windows around each. A correlation: the first weight is the past's."""
    return correlate1d(windows, kernel, axis=1, mode="nearest")
