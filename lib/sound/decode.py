"""Decode any audio file that libsndfile reads to mono float32 at 32 kHz, or raise an error with the reason.

A file may be damaged, or lie about itself: what is read is limited, and a recording that is not what its file states
says so.
"""

import io
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from lib.competition.row_ids import (
    SAMPLE_RATE,
    SOUNDSCAPE_S,
    SOUNDSCAPE_SAMPLES,
    WINDOW_SAMPLES,
    WINDOWS_PER_SOUNDSCAPE,
)
from lib.sound.vorbis import Damage, find_damage

MOST_S = 3600  # of a recording
RATES_HZ = 4_000, 400_000
_MOST_FRAMES = MOST_S * SAMPLE_RATE  # at any rate: ten minutes at 192 kHz
_MOST_FRAMES_PER_BYTE = 4096  # no codec packs more: a file that states more holds a false length
_READ_AT_ONCE = 1 << 23  # samples of all channels
_LOUDEST = 1e4  # full scale is 1
_FINEST_RATIO = 1000  # of an odd rate to ours, which is then met to within a ten-thousandth
_OFF_A_MINUTE_S = 0.125  # recorders stop a little early or late


class UnreadableAudio(Exception):
    """Raised for a file that holds no usable sound; its text is the reason."""


@dataclass(frozen=True, eq=False)
class DecodedFile:
    """(samples,) mono float32 at 32 kHz from a file of so many seconds; `damage`, if any, is what is wrong with it."""

    audio: np.ndarray
    seconds: float
    rate: int
    channels: int
    damage: str = ""


def decode(path: Path) -> np.ndarray:
    """(samples,) mono float32 at 32 kHz; of a recording of hours, the first."""
    return read_recording(path).audio


def read_soundscape(path: Path) -> DecodedFile:
    """A soundscape's sixty seconds and a little more; another length is damage."""
    recording = read_recording(path, SOUNDSCAPE_S + 1)
    right = abs(recording.seconds - SOUNDSCAPE_S) <= _OFF_A_MINUTE_S
    length = "" if right else f"{recording.seconds:.2f} s long instead of {SOUNDSCAPE_S}"
    return replace(recording, damage="; ".join(filter(None, (recording.damage, length))))


def read_recording(path: Path, most_s: int = MOST_S) -> DecodedFile:
    """The recording, up to `most_s` of it; where an Ogg Vorbis file lost pages, silence is in their place."""
    try:
        if not path.is_file():
            raise UnreadableAudio("not a file")
        damage = find_damage(path, partial(_most_frames, most_s))
        return _join_runs(damage, most_s) if damage.runs else _read_whole(path, damage.text, most_s)
    except MemoryError:  # the machine is to blame, not the file
        raise
    except Exception as error:  # libraries raise what they like at bytes that they did not expect
        raise UnreadableAudio(f"{path.name}: {getattr(error, 'error_string', error)}") from error


def _read_whole(path: Path, damage: str, most_s: int) -> DecodedFile:
    """The recording as libsndfile reads it."""
    with soundfile.SoundFile(path) as file:
        rate, stated, size = file.samplerate, file.frames, path.stat().st_size
        if stated > _MOST_FRAMES_PER_BYTE * size:
            raise UnreadableAudio(f"{stated} samples in {size} bytes is an impossible length")
        most = min(stated, _most_frames(most_s, rate))
        mono = _read_mono(file, most)
        if len(mono) < most:
            damage = f"holds {len(mono) / rate:.2f} s, where its header states {stated / rate:.2f}"
            stated = len(mono)
        return DecodedFile(_resample(mono, rate), stated / rate, rate, file.channels, damage)


def _join_runs(damage: Damage, most_s: int) -> DecodedFile:
    """The recording from the runs of pages of a damaged file."""
    parts = []
    for run in damage.runs:
        with soundfile.SoundFile(io.BytesIO(run.ogg)) as file:
            parts.append((run.end, _read_mono(file, run.end)))
            rate, channels = file.samplerate, file.channels
    mono = np.zeros(min(_most_frames(most_s, rate), damage.runs[-1].end), dtype=np.float32)
    silent = np.ones(len(mono), dtype=bool)
    for end, part in parts:
        place = slice(max(0, end - len(part)), end)
        mono[place], silent[place] = part[-end:][: max(0, len(mono) - place.start)], False
    text = f"{damage.text}: {silent.sum() / rate:.2f} s are silence in their place" if silent.any() else damage.text
    return DecodedFile(_resample(mono, rate), damage.runs[-1].end / rate, rate, channels, text)


def _most_frames(most_s: int, rate: int) -> int:
    """The samples that are read at most."""
    check_rate(rate)
    return min(most_s * rate, _MOST_FRAMES)


def check_rate(rate: int) -> None:
    """Refuse a rate that no recorder has: its seconds would take any memory."""
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise UnreadableAudio(f"a rate of {rate} Hz, outside {RATES_HZ[0]} to {RATES_HZ[1]}")


def _read_mono(file: soundfile.SoundFile, most: int) -> np.ndarray:
    """(samples,) the mean of the channels at the file's own rate, `most` of them unless it has less."""
    mono, done = np.empty(most, dtype=np.float32), 0
    while done < most:
        count = min(most - done, max(1, _READ_AT_ONCE // file.channels))
        if file.channels == 1:
            read = len(file.read(out=mono[done : done + count]))
        else:
            block = file.read(count, dtype="float32", always_2d=True)
            read = len(block)
            mono[done : done + read] = _mean(block)
        if not read:
            break
        done += read
    return mono[:done]


def mono_32k(audio: np.ndarray, rate: int) -> np.ndarray:
    """(samples,) mono float32 at 32 kHz of (frames, channels) at any rate."""
    return _resample(_mean(audio), rate)


def _mean(audio: np.ndarray) -> np.ndarray:
    """(frames,) the mean of the channels; one channel is itself."""
    with np.errstate(over="ignore", invalid="ignore"):  # refused as not finite
        return audio[:, 0] if audio.shape[1] == 1 else audio.mean(axis=1)


def _resample(mono: np.ndarray, rate: int) -> np.ndarray:
    """(samples,) at 32 kHz; refused where there are none, or values that no recorder makes."""
    if not len(mono):
        raise UnreadableAudio("no samples")
    loudest = max(mono.max(), -mono.min())
    if not np.isfinite(loudest):
        raise UnreadableAudio("samples that are not finite")
    if loudest > _LOUDEST:
        raise UnreadableAudio(f"a sample of {loudest:g}, where full scale is 1")
    if rate != SAMPLE_RATE:
        ratio = Fraction(SAMPLE_RATE, rate).limit_denominator(_FINEST_RATIO)
        mono = resample_poly(mono, ratio.numerator, ratio.denominator)
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
