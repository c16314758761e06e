"""The inventory: every sound file decoded once, so that what cannot be read is known before training begins."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from lib.competition.findings import Findings
from lib.competition.names import SAMPLE_RATE, SOUNDSCAPE_SAMPLES
from lib.competition.progress import progress
from lib.sound.decode import UnreadableAudio, decode

_SILENT_PEAK = 1e-4  # -80 dB of full scale
_SHORT_S = 0.5


def take_inventory(folder: Path, names: Sequence[str], what: str) -> pd.DataFrame:
    """One row a file: name, problem ('' if none), seconds, original rate and channels, peak, rms."""
    with ThreadPoolExecutor(cpu_count()) as pool:
        rows = pool.map(lambda name: _inspect(folder / name, name), names)
        return pd.DataFrame(list(progress(rows, what, len(names))))


def _inspect(path: Path, name: str) -> dict:
    empty = {"name": name, "seconds": 0.0, "rate": 0, "channels": 0, "peak": 0.0, "rms": 0.0}
    if not path.is_file():
        return {**empty, "problem": "no such file"}
    try:
        audio, header = decode(path), soundfile.info(path)
    except UnreadableAudio as error:
        return {**empty, "problem": str(error).partition(": ")[2]}
    measured = {
        "name": name,
        "seconds": len(audio) / SAMPLE_RATE,
        "rate": header.samplerate,
        "channels": header.channels,
        "peak": float(np.abs(audio).max()),
        "rms": float(np.sqrt(np.square(audio, dtype=np.float64).mean())),
    }
    return {**measured, "problem": "silent throughout" if measured["peak"] < _SILENT_PEAK else ""}


def report_inventory(table: str, inventory: pd.DataFrame, findings: Findings) -> None:
    """Add to the findings what the inventory shows: what is excluded, and what is only odd."""
    for problem, files in inventory[inventory.problem != ""].groupby("problem"):
        findings.add(table, f"unusable sound: {problem}", list(files["name"]), "excluded")
    usable = inventory[inventory.problem == ""]
    findings.add(table, f"sounds under {_SHORT_S} s", list(usable.name[usable.seconds < _SHORT_S]), "repeated to 5 s")
    findings.add(table, "sounds with several channels", list(usable.name[usable.channels > 1]), "averaged to mono")
    findings.add(table, "sounds not at 32 kHz", list(usable.name[usable.rate != SAMPLE_RATE]), "resampled")


def report_lengths(table: str, inventory: pd.DataFrame, findings: Findings) -> None:
    """Add the soundscapes that are not sixty seconds long: they still have twelve windows."""
    samples = (inventory.seconds * SAMPLE_RATE).round()
    odd = inventory[(inventory.problem == "") & (samples != SOUNDSCAPE_SAMPLES)]
    findings.add(table, "soundscapes not exactly 60 s long", list(odd.name), "cut, or repeated, to twelve windows")
