"""Settings of a mel spectrogram, checked when they are made, and the two mel scales in use (HTK and Slaney)."""

from dataclasses import dataclass

import numpy as np

from lib.competition.row_ids import SAMPLE_RATE
from lib.core.errors import BadInput

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


_CHOICES = {
    "mel_scale": MEL_SCALES,
    "mel_norm": ("none", "slaney"),
    "magnitude_power": (1.0, 2.0),
    "level": ("db", "pcen", "log", "power"),
    "scope": ("window", "file"),
    "normalise": ("none", "zscore", "minmax", "zscore minmax", "bands zscore"),
    "edges": ("reflect", "file"),
}


@dataclass(frozen=True)
class FrontEnd:
    """Settings of a mel spectrogram; they are stored in the member's card and never restated at inference."""

    n_fft: int = 2048
    taper_samples: int = 0  # length of the Hann taper in the middle of a frame; 0: the whole frame
    hop_samples: int = 512
    n_mels: int = 128
    fmin_hz: float = 20.0
    fmax_hz: float = 16000.0
    mel_scale: str = "htk"
    mel_norm: str = "none"  # "none": triangles of unit height; "slaney": of unit area
    magnitude_power: float = 2.0  # bands sum powers (2) or magnitudes (1)
    level: str = "db"  # "log" is Perch's: a tenth of the natural logarithm, floored at 1e-5
    top_db: float = 80.0
    scope: str = "window"  # whose loudest cell `top_db` is counted from: the window's, or its whole file's
    normalise: str = "none"  # "bands": each band without its own mean, so a constant hum is gone
    edges: str = "reflect"  # what lies in frames beyond a window: its own reflection, or the file's real sound

    def __post_init__(self):
        """Refuse settings that make no spectrogram."""
        for setting, choices in _CHOICES.items():
            _require(getattr(self, setting) in choices, setting, f"one of {choices}", getattr(self, setting))
        _require(self.n_fft >= 2 and self.n_fft % 2 == 0, "n_fft", "an even number of samples", self.n_fft)
        _require(0 <= self.taper_samples <= self.n_fft, "taper_samples", f"0 to {self.n_fft}", self.taper_samples)
        _require(self.hop_samples >= 1, "hop_samples", "at least 1", self.hop_samples)
        _require(self.n_mels >= 1, "n_mels", "at least 1", self.n_mels)
        _require(self.top_db > 0, "top_db", "above 0", self.top_db)
        band_hz = (self.fmin_hz, self.fmax_hz)
        possible = 0 <= self.fmin_hz < self.fmax_hz <= SAMPLE_RATE / 2
        _require(possible, "fmin_hz, fmax_hz", f"0 <= fmin_hz < fmax_hz <= {SAMPLE_RATE // 2}", band_hz)
        empty = _empty_bands(self)
        _require(empty == 0, "n_mels", f"a bin of the {self.n_fft}-point FFT in every band", f"{empty} bands without")

    @property
    def context_samples(self) -> int:
        """The samples of real sound that a spectrogram needs on each side of a window."""
        return self.n_fft // 2 if self.edges == "file" else 0

    def frames(self, samples: int) -> int:
        """The number of frames of a window of `samples`: one centred on every hop, the first on its first sample."""
        if self.edges == "reflect":
            _require(samples > self.n_fft // 2, "n_fft", f"less than twice a window's {samples} samples", self.n_fft)
        return samples // self.hop_samples + 1


def _require(holds: bool, setting: str, expected: str, got: object) -> None:
    if not holds:
        raise BadInput(f"front end: {setting}", expected=expected, got=got, do=f"set {setting} to {expected}")


def _empty_bands(front_end: FrontEnd) -> int:
    """The number of bands that lie between two bins of the FFT: they would be silent for any sound."""
    edges = band_edges_hz(front_end.n_mels, front_end.fmin_hz, front_end.fmax_hz, front_end.mel_scale)
    bins = edges * front_end.n_fft / SAMPLE_RATE
    return int((np.ceil(bins[2:]) - np.floor(bins[:-2]) < 2).sum())


PERCH_FRONT_END = FrontEnd(
    n_fft=1024, taper_samples=640, hop_samples=320, fmin_hz=60.0, magnitude_power=1.0, level="log"
)
