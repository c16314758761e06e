"""The two mel scales in use, and where the bands between two frequencies lie on them."""

import numpy as np

MEL_SCALES = ("htk", "slaney")
_BREAK_HZ = 1000.0  # Slaney's scale is linear below and logarithmic above
_BREAK_MEL = 15.0
_MELS_PER_E_FOLD = 27.0 / np.log(6.4)  # 27 mels from the break to 6.4 times its frequency


def band_edges_hz(n_mels: int, fmin_hz: float, fmax_hz: float, scale: str) -> np.ndarray:
    """(n_mels + 2,) frequencies evenly spaced in mel: band n rises from edge n to n + 1 and falls to n + 2."""
    to_mel, to_hz = (_htk_mel, _htk_hz) if scale == "htk" else (_slaney_mel, _slaney_hz)
    return to_hz(np.linspace(to_mel(fmin_hz), to_mel(fmax_hz), n_mels + 2))


def _htk_mel(hz: float) -> float:
    return 2595.0 * np.log10(1.0 + hz / 700.0)


def _htk_hz(mel: np.ndarray) -> np.ndarray:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def _slaney_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return _BREAK_MEL * hz / _BREAK_HZ
    return _BREAK_MEL + _MELS_PER_E_FOLD * np.log(hz / _BREAK_HZ)


def _slaney_hz(mel: np.ndarray) -> np.ndarray:
    above = _BREAK_HZ * np.exp((np.maximum(mel, _BREAK_MEL) - _BREAK_MEL) / _MELS_PER_E_FOLD)
    return np.where(mel < _BREAK_MEL, mel * _BREAK_HZ / _BREAK_MEL, above)
