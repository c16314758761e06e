"""Known sounds: the contest's recordings, recognised in what comes from elsewhere by their bytes or their samples."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

import numpy as np
import soundfile

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES, WINDOW_SAMPLES
from lib.core import fingerprint
from lib.core.progress import progress
from lib.learn.cache.audio import as_int16
from lib.sound.decode import UnreadableAudio, decode

_EVERY = 500  # samples of the first second by which recordings are told apart before all of them is compared
_ROUNDING = 2  # 16-bit steps by which a sample may differ after it was written and read again


class KnownSounds:
    """Recordings that are found by what they sound like; a copy that was cut, filtered or resampled is not."""

    def __init__(self, files: Sequence[Path]):
        self._by_size, self._by_length = defaultdict(list), defaultdict(list)
        for file in files:
            self._by_size[file.stat().st_size].append(file)
        with ThreadPoolExecutor(cpu_count()) as pool:
            probes = progress(pool.map(_probe, files), "looking at known recordings", len(files))
            for file, (length, probe) in zip(files, probes, strict=True):
                if length >= WINDOW_SAMPLES:
                    self._by_length[length].append((file, probe))

    def same_file(self, path: Path) -> Path | None:
        """The known recording with the same bytes, if there is one."""
        alike = self._by_size.get(path.stat().st_size, ())
        own = fingerprint.of_file(path) if alike else ""
        return next((file for file in alike if fingerprint.of_file(file) == own), None)

    def same_minute(self, samples: np.ndarray) -> Path | None:
        """The known recording whose first minute, or all of it if it has less, is these 16-bit samples."""
        if not samples.any():
            return None  # silence is nobody's
        own = samples[:SAMPLE_RATE:_EVERY]
        near = (file for file, probe in self._by_length.get(len(samples), ()) if _alike(probe, own))
        return next((file for file in near if _alike(_first_minute(file), samples)), None)


def contest_recordings(competition: Path) -> list[Path]:
    """All recordings of a competition folder: clips, and the soundscapes of training and test."""
    return sorted([*competition.glob("train_audio/*/*"), *competition.glob("*_soundscapes/*.ogg")])


def _probe(file: Path) -> tuple[int, np.ndarray]:
    """A recording's length in samples at 32 kHz, up to a minute, and some samples of its first second."""
    try:
        header = soundfile.info(file)
        if header.samplerate == SAMPLE_RATE:
            audio, _ = soundfile.read(file, frames=SAMPLE_RATE, dtype="float32", always_2d=True)
            return min(header.frames, SOUNDSCAPE_SAMPLES), as_int16(audio.mean(axis=1))[::_EVERY]
    except soundfile.LibsndfileError:
        return 0, np.zeros(0, dtype=np.int16)
    samples = _first_minute(file)
    return len(samples), samples[:SAMPLE_RATE:_EVERY]


def _first_minute(file: Path) -> np.ndarray:
    """(samples,) of 16 bit; none where the file cannot be read."""
    try:
        return as_int16(decode(file)[:SOUNDSCAPE_SAMPLES])
    except UnreadableAudio:
        return np.zeros(0, dtype=np.int16)


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two sounds are the same, but for rounding."""
    return len(one) == len(other) and bool(np.abs(one.astype(np.int32) - other).max() <= _ROUNDING)
