"""External recordings: unlabelled audio from anywhere, cut into one-minute pieces for the engine and training.

A piece is named by the fingerprint of its recording's bytes and by the minute, so it has the same name wherever the
recording lies. Beside the pieces lies a record of each recording, written when its pieces are whole: a run that was
killed continues with the next, and nothing is converted twice. The names have neither site nor hour: members that need
one, such as the prior, cannot predict these pieces.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from lib.competition.prepared import data_version
from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_S, SOUNDSCAPE_SAMPLES, WINDOW_S, WINDOW_SAMPLES
from lib.competition.sound_files import clip_files, soundscape_files, visible
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.folder_lock import exclusive_folder
from lib.core.progress import progress
from lib.core.records import from_json, read_json, to_json, write_json
from lib.learn.cache.audio import PIECES_SUFFIX, as_int16
from lib.sound.decode import UnreadableAudio, check_rate, mono_32k, read_recording, read_soundscape

_PROBE_STEP = 500  # of the samples of the first second that are compared before all of a recording is
_TOLERANCE = 2  # 16-bit steps by which a sample may differ after it was written and read again


class KnownRecordings:
    """Recordings that are found by their bytes or samples; a copy that was cut, filtered or resampled is not."""

    def __init__(self, files: Sequence[Path]):
        self._by_size, self._by_length = defaultdict(list), defaultdict(list)
        for file in files:
            self._by_size[file.stat().st_size].append(file)
        with ThreadPoolExecutor(cpu_count()) as pool:
            probes = progress(pool.map(_probe, files), "reading known recordings", len(files))
            for file, (length, probe) in zip(files, probes, strict=True):
                if length >= WINDOW_SAMPLES:
                    self._by_length[length].append((file, probe))

    def find_file(self, path: Path) -> Path | None:
        """The known recording with the same bytes, if there is one."""
        alike = self._by_size.get(path.stat().st_size, ())
        own = fingerprint.of_file(path) if alike else ""
        return next((file for file in alike if fingerprint.of_file(file) == own), None)

    def find_minute(self, samples: np.ndarray) -> Path | None:
        """The known recording whose first minute, or all of it if it has less, is these 16-bit samples."""
        if not samples.any():
            return None  # silence is no copy
        own = samples[:SAMPLE_RATE:_PROBE_STEP]
        near = (file for file, probe in self._by_length.get(len(samples), ()) if _same_samples(probe, own))
        return next((file for file in near if _same_samples(_first_minute(file), samples)), None)


def competition_recordings(competition: Path) -> list[Path]:
    """All recordings of a competition folder: clips, and the soundscapes of training and test."""
    return sorted([*clip_files(competition), *soundscape_files(competition, "*")])


def _probe(file: Path) -> tuple[int, np.ndarray]:
    """A recording's length in samples at 32 kHz, up to a minute, and some samples of its first second."""
    try:
        recording = read_recording(file, 1)
    except UnreadableAudio:
        return 0, np.zeros(0, dtype=np.int16)
    if recording.rate == SAMPLE_RATE:
        length = round(recording.seconds * SAMPLE_RATE)
        return min(length, SOUNDSCAPE_SAMPLES), as_int16(recording.audio[:SAMPLE_RATE:_PROBE_STEP])
    samples = _first_minute(file)
    return len(samples), samples[:SAMPLE_RATE:_PROBE_STEP]


def _first_minute(file: Path) -> np.ndarray:
    """(samples,) of 16 bit; none where the file cannot be read."""
    try:
        return as_int16(read_soundscape(file).audio[:SOUNDSCAPE_SAMPLES])
    except UnreadableAudio:
        return np.zeros(0, dtype=np.int16)


def _same_samples(one: np.ndarray, other: np.ndarray) -> bool:
    """True for equal sounds, but for rounding."""
    return len(one) == len(other) and bool(np.abs(one.astype(np.int32) - other).max() <= _TOLERANCE)


_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}
_BYTES_PER_S = 2 * SAMPLE_RATE  # a second of 16-bit samples: FLAC takes less
_PART = ".part"


@dataclass(frozen=True)
class _Recording:
    """`<fingerprint>-<data version>.json`: the outcome of a recording beside this competition's data."""

    name: str
    pieces: int
    left_out: str  # why, if it was


def external_soundscapes(folder: Path, to: Path, competition: Path) -> list[Path]:
    """The pieces, up to a minute each, of all recordings below `folder`: FLAC at 32 kHz, mono, in `to`.

    A recording that cannot be read, is shorter than a window, or is one of the competition's, is left out and named. So
    that training finds the pieces, `to` should be `external_folder` of the audio cache's folder.
    """
    below = (path for path in visible(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES and path.is_file())
    files = [path for path in below if to.resolve() not in path.resolve().parents]
    if not files:
        raise BadInput(
            f"no recording below {folder}",
            expected=", ".join(sorted(_SUFFIXES)),
            got="none",
            do="set external_dir to another folder, or leave it unset",
        )
    to.mkdir(parents=True, exist_ok=True)
    with exclusive_folder(to):
        of_hash, version = _distinct_files(files), data_version(competition)
        records = {own: to / f"{own}-{version}.json" for own in of_hash}
        missing = [own for own, record in records.items() if not record.is_file()]
        _announce([of_hash[own] for own in missing], len(files), to)
        known = KnownRecordings(competition_recordings(competition) if missing else [])

        def convert(own: str) -> None:
            name = of_hash[own].relative_to(folder).as_posix()
            write_json(records[own], to_json(_convert(of_hash[own], name, own, to, known)))

        _map_parallel(convert, missing, "cutting external recordings")
    made = {own: from_json(_Recording, read_json(record), record.name) for own, record in records.items()}
    for recording in made.values():
        if recording.left_out:
            print(f"ALARM: {recording.name} is left out: {recording.left_out}", flush=True)
    return [_piece(to, own, number) for own, recording in made.items() for number in range(recording.pieces)]


def _distinct_files(files: list[Path]) -> dict[str, Path]:
    """The recordings by the fingerprint of their bytes, in its order; of equals the first."""
    hashes = _map_parallel(fingerprint.of_file, files, "reading external recordings")
    return dict(sorted(dict(zip(reversed(hashes), reversed(files), strict=True)).items()))


def _map_parallel(work: Callable[[Any], Any], items: list, what: str) -> list:
    """The results of the work for each item, on all cores."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        return list(progress(pool.map(work, items), what, len(items)))
    finally:
        pool.shutdown(cancel_futures=True)


def _announce(missing: list[Path], total: int, to: Path) -> None:
    """Print what will be written, and refuse to start where the disk is too small for it."""
    seconds = sum(map(_seconds, missing))
    most_gb, free_gb = _BYTES_PER_S * seconds / 1e9, shutil.disk_usage(to).free / 1e9
    print(
        f"{total} external recordings, {len(missing)} of them new: {seconds / 3600:.2f} hours, at most {most_gb:.2f}"
        f" GB in {to}, where {free_gb:.1f} GB are free",
        flush=True,
    )
    if most_gb > free_gb:
        raise BadInput(
            "the disk is too small for the external recordings",
            expected=f"{most_gb:.2f} GB free",
            got=f"{free_gb:.2f} GB",
            do="free some, or bring fewer recordings",
        )


def _seconds(path: Path) -> float:
    try:
        return min(soundfile.info(path).duration, path.stat().st_size)  # a second takes a byte or more
    except soundfile.LibsndfileError:
        return 0.0


def _convert(path: Path, name: str, own: str, to: Path, known: KnownRecordings) -> _Recording:
    """Write a recording's pieces, and return its outcome. Those of one that is left out after all stay unused."""
    if copy := known.find_file(path):
        return _Recording(name, 0, f"the competition's {copy.name}, byte for byte")
    pieces = 0
    try:
        for samples in _minutes(path):
            if len(samples) < WINDOW_SAMPLES:
                break
            if copy := known.find_minute(samples):
                return _Recording(name, 0, f"its minute {pieces + 1} is the competition's {copy.name}")
            _write(_piece(to, own, pieces), samples)
            pieces += 1
    except UnreadableAudio as error:
        return _Recording(name, 0, f"{error}")
    return _Recording(name, pieces, "" if pieces else f"shorter than {WINDOW_S} seconds")


def _minutes(path: Path) -> Iterator[np.ndarray]:
    """(samples,) 16-bit mono at 32 kHz, minute after minute: a recording of a day needs no more memory."""
    try:
        with soundfile.SoundFile(path) as file:
            check_rate(file.samplerate)
            for block in file.blocks(blocksize=SOUNDSCAPE_S * file.samplerate, dtype="float32", always_2d=True):
                yield as_int16(mono_32k(block, file.samplerate))
    except (soundfile.SoundFileError, ValueError, OSError) as error:
        raise UnreadableAudio(f"{getattr(error, 'error_string', error)}") from error


def _write(path: Path, samples: np.ndarray) -> None:
    """Write a piece, which appears under its name when it is whole."""
    part = path.with_suffix(_PART)
    soundfile.write(part, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    os.replace(part, path)


def _piece(to: Path, own: str, minute: int) -> Path:
    return to / f"External_{own}_{minute:05d}{PIECES_SUFFIX}"
