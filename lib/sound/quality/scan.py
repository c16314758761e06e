"""The inventory of sound files: each is decoded once, measured, hashed and checked for problems."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import fft

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES, WINDOW_SAMPLES
from lib.competition.tables import Findings
from lib.core import fingerprint
from lib.core.progress import progress
from lib.sound.decode import UnreadableAudio, fit_length, read_recording
from lib.sound.duplicates.fingerprint import echoprint

_SILENT_PEAK = 1e-4  # -80 dB of full scale
_SHORT_S = 0.5
_FRAME_SAMPLES = SAMPLE_RATE // 20
_WINDOW_FRAMES = WINDOW_SAMPLES // _FRAME_SAMPLES
_SILENCE_DB = -60.0  # of full scale
_CLIPPED = 0.99  # of full scale
_SPECTRUM_SAMPLES = 512
_EMPTY_DB = -110.0  # of full scale, in a bin of the mean spectrum: an encoder's residue where there was nothing
_MEASURES = ("seconds", "rate", "channels", "peak", "rms", "dc", "clipped", "silent", "snr_db", "edge_hz")


def take_inventory(folder: Path, names: Sequence[str], what: str) -> pd.DataFrame:
    """One row a file: name, problem, damage ('' if none), bytes, fingerprints of file and sound, measures, echoprint.

    Measures: seconds, original rate and channels, peak, rms, `dc` (the mean), `clipped` (share of samples at full
    scale), `silent` (share of frames of 50 ms below -60 dB of full scale), `snr_db` (loud frames over quiet),
    `edge_hz` (above it there is nothing), `levels_db` (of each 5 s).
    """
    with ThreadPoolExecutor(cpu_count()) as pool:
        rows = pool.map(lambda name: _inspect(folder / name, name), names)
        return pd.DataFrame(list(progress(rows, what, len(names))))


def _inspect(path: Path, name: str) -> dict:
    """The row of one file."""
    row: dict[str, Any] = {"name": name, "problem": "no such file", "damage": "", "bytes": 0}
    row |= {"file_hash": "", "sound_hash": "", **dict.fromkeys(_MEASURES, 0.0)}
    row |= {"levels_db": np.zeros(0), "echoprint": echoprint(np.zeros(0, np.float32))}
    if not path.is_file():
        return row
    row |= {"bytes": path.stat().st_size, "file_hash": fingerprint.of_file(path)}
    try:
        sound = read_recording(path)
    except UnreadableAudio as error:
        return {**row, "problem": str(error).partition(": ")[2]}
    audio = sound.audio
    row |= {**_measure(audio), "echoprint": echoprint(audio)}
    problem = "silent throughout" if row["peak"] < _SILENT_PEAK else ""
    row |= {"seconds": sound.seconds, "rate": sound.rate, "channels": sound.channels, "damage": sound.damage}
    return {**row, "problem": problem, "sound_hash": fingerprint.of_bytes(audio.data)}


def _measure(audio: np.ndarray) -> dict:
    """The measures of the samples."""
    peak, power = float(max(audio.max(), -audio.min())), _frame_powers(audio)
    starts = np.arange(0, max(1, len(power) - _WINDOW_FRAMES // 2), _WINDOW_FRAMES)
    whole = power[: starts[-1] + _WINDOW_FRAMES]  # without a rest too short to be a window
    by_window = np.add.reduceat(whole, starts) / np.diff([*starts, len(whole)])
    frame_db = _decibels(power)
    quiet_db, loud_db = np.quantile(frame_db, [0.1, 0.95])
    return {
        "peak": peak,
        "rms": float(np.sqrt(power.mean())),
        "dc": float(audio.mean(dtype=np.float64)),
        "clipped": float((np.abs(audio) >= _CLIPPED).mean()) if peak >= _CLIPPED else 0.0,
        "silent": float((frame_db < _SILENCE_DB).mean()),
        "snr_db": float(loud_db - quiet_db),
        "edge_hz": _edge_hz(audio),
        "levels_db": _decibels(by_window),
    }


def _stretches(audio: np.ndarray, samples: int) -> np.ndarray:
    """(stretches, samples) the audio cut into whole stretches; shorter audio is repeated into one."""
    count = max(1, len(audio) // samples)
    return fit_length(audio, count * samples).reshape(count, samples)


def _frame_powers(audio: np.ndarray) -> np.ndarray:
    """(frames,) the mean square of each frame of 50 ms."""
    frames = _stretches(audio, _FRAME_SAMPLES)
    return np.einsum("ij,ij->i", frames, frames).astype(np.float64) / _FRAME_SAMPLES


def _decibels(power: np.ndarray) -> np.ndarray:
    """The power in dB of full scale, at least -120."""
    return 10 * np.log10(np.maximum(power, 1e-12))


def _edge_hz(audio: np.ndarray) -> float:
    """The highest frequency at which the mean spectrum holds anything, estimated from one stretch in four."""
    seen = _stretches(audio, _SPECTRUM_SAMPLES)[::4] * np.hanning(_SPECTRUM_SAMPLES).astype(np.float32)
    spectrum = fft.rfft(seen, axis=1)
    power = (np.square(spectrum.real) + np.square(spectrum.imag)).mean(axis=0) / (_SPECTRUM_SAMPLES / 4) ** 2
    held = np.flatnonzero(_decibels(power) > _EMPTY_DB)
    return float(held[-1] if len(held) else 0) * SAMPLE_RATE / _SPECTRUM_SAMPLES


def report_inventory(table: str, inventory: pd.DataFrame, findings: Findings) -> None:
    """Add the inventory's problems to the findings: files that are excluded, and files that are only unusual."""
    for problem, files in inventory[inventory.problem != ""].groupby("problem"):
        findings.add(table, f"unusable sound: {problem}", list(files["name"]), "excluded")
    usable = inventory[inventory.problem == ""]
    findings.add(table, f"sounds under {_SHORT_S} s", list(usable.name[usable.seconds < _SHORT_S]), "repeated to 5 s")
    findings.add(table, "sounds with several channels", list(usable.name[usable.channels > 1]), "averaged to mono")
    findings.add(table, "sounds not at 32 kHz", list(usable.name[usable.rate != SAMPLE_RATE]), "resampled")


def report_lengths(table: str, inventory: pd.DataFrame, findings: Findings) -> None:
    """Add the soundscapes that are not sixty seconds long to the findings: they still have twelve windows."""
    samples = (inventory.seconds * SAMPLE_RATE).round()
    odd = inventory[(inventory.problem == "") & (samples != SOUNDSCAPE_SAMPLES)]
    findings.add(table, "soundscapes not exactly 60 s long", list(odd.name), "cut, or repeated, to twelve windows")
