"""Decode any audio file that libsndfile reads to mono float32 at 32 kHz, or raise an error with the reason."""

import io
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES, WINDOW_SAMPLES, WINDOWS_PER_SOUNDSCAPE


class UnreadableAudio(Exception):
    """Raised for a file that holds no usable sound; its text is the reason."""


def decode(path: Path) -> np.ndarray:
    """(samples,) mono float32 at 32 kHz."""
    try:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UnreadableAudio(f"{path.name}: {error.error_string}") from error
    if not len(audio):
        raise UnreadableAudio(f"{path.name}: no samples")
    try:
        return mono_32k(audio, rate)
    except UnreadableAudio as error:
        raise UnreadableAudio(f"{path.name}: {error}") from error


def mono_32k(audio: np.ndarray, rate: int) -> np.ndarray:
    """(samples,) mono float32 at 32 kHz of (frames, channels) at any rate."""
    if not np.isfinite(audio).all():
        raise UnreadableAudio("samples that are not finite")
    mono = audio[:, 0] if audio.shape[1] == 1 else audio.mean(axis=1)
    if rate != SAMPLE_RATE:
        step = np.gcd(rate, SAMPLE_RATE)
        mono = resample_poly(mono, SAMPLE_RATE // step, rate // step)
    return np.ascontiguousarray(mono, dtype=np.float32)


def fit_length(audio: np.ndarray, samples: int) -> np.ndarray:
    """(samples,) the audio cut, or repeated: models would learn from padded silence where recordings end."""
    if len(audio) < samples:
        audio = np.tile(audio, -(-samples // len(audio)))
    return audio[:samples]


def soundscape_windows(audio: np.ndarray) -> np.ndarray:
    """(12, 160000) the windows of a soundscape: never thirteen, however many samples it has."""
    return fit_length(audio, SOUNDSCAPE_SAMPLES).reshape(WINDOWS_PER_SOUNDSCAPE, WINDOW_SAMPLES)


def loudest_windows(audio: np.ndarray, most: int) -> np.ndarray:
    """(windows, 160000) up to `most` of a clip's whole windows, loudest first; a short clip is repeated into one."""
    count = max(1, len(audio) // WINDOW_SAMPLES)
    windows = fit_length(audio, count * WINDOW_SAMPLES).reshape(count, WINDOW_SAMPLES)
    loudness = np.square(windows, dtype=np.float64).mean(axis=1)
    return windows[np.argsort(-loudness, kind="stable")[:most]]


_PLAYER_RATE = 16_000  # small enough to travel inside a page
_BLOCK = 8_000  # libsndfile's Vorbis encoder keeps a whole write on its stack


def ogg_bytes(audio: np.ndarray) -> bytes:
    """An Ogg Vorbis file of 32 kHz audio at 16 kHz, for players in pages; its peak is scaled to half of full scale."""
    step = np.gcd(SAMPLE_RATE, _PLAYER_RATE)
    small = resample_poly(audio, _PLAYER_RATE // step, SAMPLE_RATE // step)
    small = 0.5 * small / max(float(np.abs(small).max()), 1e-9)
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", _PLAYER_RATE, 1, format="OGG", subtype="VORBIS") as out:
        for start in range(0, len(small), _BLOCK):
            out.write(small[start : start + _BLOCK])
    return file.getvalue()
