"""Golden output: each fold's probabilities of a synthetic sound, kept at training and checked whenever a member opens.

A mel, padding, normalisation, order of classes or precision that differs from training gives another output, and the
member is refused before it can cost a submission.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lib.competition.row_ids import SAMPLE_RATE, WINDOW_SAMPLES, WINDOWS_PER_SOUNDSCAPE
from lib.core.errors import BadInput

_FILE = "golden_output.npy"
GOLDEN_LIMIT = 1e-2  # of log-odds: rare classes count too. torch and ONNX Runtime differ by less than a hundredth of it
_LEAST, _MOST = 1e-6, 1 - 1e-4  # float32 does not separate the log-odds of probabilities beyond


def golden_sound() -> np.ndarray:
    """(1872000,) 58.5 s of float32, so that it must be lengthened: a sweep a window, loud at its edges, over noise.

    The noise sinks by 7 dB a window, so that some of it lies below what `top_db` keeps.
    """
    t = np.arange(WINDOW_SAMPLES) / SAMPLE_RATE
    low, high = (
        np.geomspace(100.0, 6000.0, WINDOWS_PER_SOUNDSCAPE),
        np.geomspace(900.0, 15000.0, WINDOWS_PER_SOUNDSCAPE),
    )
    sweeps = [
        0.02
        * 1.3**n
        * np.sin(2 * np.pi * (low[n] * t + (high[n] - low[n]) * t**2 / 10))
        * np.cos(np.pi * t * (n + 1) / 5) ** 2
        for n in range(WINDOWS_PER_SOUNDSCAPE)
    ]
    number = np.arange(WINDOW_SAMPLES * WINDOWS_PER_SOUNDSCAPE, dtype=np.uint32) * np.uint32(2654435761)
    noise = (number ^ (number >> np.uint32(15))) * np.uint32(2246822519) / 2.0**32 - 0.5  # the same on every machine
    loudness = np.repeat(0.02 * 10.0 ** (-0.35 * np.arange(WINDOWS_PER_SOUNDSCAPE)), WINDOW_SAMPLES)
    return (np.concatenate(sweeps) + loudness * noise).astype(np.float32)[: -3 * SAMPLE_RATE // 2]


def write_golden_output(folder: Path, probabilities: np.ndarray) -> None:
    """Keep the (folds, 12, classes) probabilities of `golden_sound` that the trained models gave."""
    np.save(folder / _FILE, probabilities.astype(np.float32))


def check_golden_output(folder: Path, predict: Callable[[np.ndarray], np.ndarray]) -> float:
    """The largest difference of log-odds between the (folds, 12, classes) probabilities of today and those kept.

    Beyond the limit, or where other folds are served than were trained, it is an error.
    """
    kept = np.load(folder / _FILE)
    try:
        today = predict(golden_sound())
    except Exception as error:  # each runtime has its own for spectrograms that its graph cannot take
        raise BadInput(
            f"member {folder.name} fails on the golden sound",
            expected=f"probabilities {kept.shape}",
            got=error,
            do="undo the change of its card or files, or export it again",
        ) from error
    if today.shape != kept.shape:
        raise BadInput(
            f"member {folder.name} is incomplete",
            expected=f"(folds, 12, classes) probabilities {kept.shape}",
            got=today.shape,
            do="export it again",
        )
    worst = float(np.abs(_log_odds(today) - _log_odds(kept)).max())
    if not worst <= GOLDEN_LIMIT:  # NaN is wrong too
        raise BadInput(
            f"member {folder.name} does not reproduce its golden output",
            expected=f"the log-odds kept at training, within {GOLDEN_LIMIT}",
            got=f"a difference of {worst:.3g}",
            do="undo the change of its card or files, or export it again",
        )
    return worst


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    """The logarithm of p / (1 - p), with p kept off 0 and 1."""
    exact = probabilities.astype(np.float64)
    return np.log(np.maximum(exact, _LEAST)) - np.log1p(-np.minimum(exact, _MOST))
