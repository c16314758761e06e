"""External recordings: unlabelled audio from anywhere, as one-minute pieces that the engine and training can hear.

A piece is named by the fingerprint of its recording's bytes and by the minute, so it has the same name wherever the
recording lies. Beside the pieces lies a record of each recording, written when its pieces are whole: a run that was
killed goes on with the next, and nothing is converted twice. The names tell neither site nor hour: members that need
one, such as the prior, cannot hear these pieces.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from lib.competition.prepared import data_version
from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_S, WINDOW_S, WINDOW_SAMPLES
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.folder_lock import alone
from lib.core.progress import progress
from lib.core.records import from_json, read_json, to_json, write_json
from lib.learn.cache.audio import PIECES_SUFFIX, as_int16
from lib.pseudo.known_sounds import KnownSounds, contest_recordings
from lib.sound.decode import UnreadableAudio, mono_32k

_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}
_BYTES = 2 * SAMPLE_RATE  # a second of 16-bit samples: FLAC takes less
_PART = ".part"


@dataclass(frozen=True)
class _Recording:
    """`<fingerprint>-<data version>.json`: what became of a recording beside this contest's data."""

    name: str
    pieces: int
    left_out: str  # why, if it was


def external_soundscapes(folder: Path, to: Path, competition: Path) -> list[Path]:
    """The pieces, up to a minute each, of all recordings below `folder`: FLAC at 32 kHz, mono, in `to`.

    A recording that cannot be read, is shorter than a window, or is one of the contest's, is left out and named. So
    that training finds the pieces, `to` should be `external_folder` of the audio cache's folder.
    """
    below = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES and path.is_file())
    files = [path for path in below if to.resolve() not in path.resolve().parents]
    if not files:
        raise BadInput(f"no recording below {folder}", expected=", ".join(sorted(_SUFFIXES)), got="none",
                       do="name another folder, or none")  # fmt: skip
    to.mkdir(parents=True, exist_ok=True)
    with alone(to):
        of_hash, version = _distinct(files), data_version(competition)
        records = {own: to / f"{own}-{version}.json" for own in of_hash}
        missing = [own for own, record in records.items() if not record.is_file()]
        _announce([of_hash[own] for own in missing], len(files), to)
        known = KnownSounds(contest_recordings(competition) if missing else [])

        def convert(own: str) -> None:
            name = of_hash[own].relative_to(folder).as_posix()
            write_json(records[own], to_json(_converted(of_hash[own], name, own, to, known)))

        _each(convert, missing, "cutting external recordings")
    made = {own: from_json(_Recording, read_json(record), record.name) for own, record in records.items()}
    for recording in made.values():
        if recording.left_out:
            print(f"ALARM: {recording.name} is left out: {recording.left_out}", flush=True)
    return [_piece(to, own, number) for own, recording in made.items() for number in range(recording.pieces)]


def _distinct(files: list[Path]) -> dict[str, Path]:
    """The recordings by the fingerprint of their bytes, in its order; of equals the first."""
    hashes = _each(fingerprint.of_file, files, "reading external recordings")
    return dict(sorted(dict(zip(reversed(hashes), reversed(files), strict=True)).items()))


def _each(work: Callable[[Any], Any], items: list, what: str) -> list:
    """What the work gives for each item, all cores at it."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        return list(progress(pool.map(work, items), what, len(items)))
    finally:
        pool.shutdown(cancel_futures=True)


def _announce(missing: list[Path], total: int, to: Path) -> None:
    """Say what will be written, and refuse to begin where the disk is too small for it."""
    seconds = sum(map(_seconds, missing))
    most_gb, free_gb = _BYTES * seconds / 1e9, shutil.disk_usage(to).free / 1e9
    print(f"{total} external recordings, {len(missing)} of them new: {seconds / 3600:.2f} hours, at most {most_gb:.2f}"
          f" GB in {to}, where {free_gb:.1f} GB are free", flush=True)  # fmt: skip
    if most_gb > free_gb:
        raise BadInput("the disk is too small for the external recordings", expected=f"{most_gb:.2f} GB free",
                       got=f"{free_gb:.2f} GB", do="free some, or bring fewer recordings")  # fmt: skip


def _seconds(path: Path) -> float:
    try:
        return soundfile.info(path).duration
    except soundfile.LibsndfileError:
        return 0.0


def _converted(path: Path, name: str, own: str, to: Path, known: KnownSounds) -> _Recording:
    """What became of a recording, its pieces written. Those of one that is left out after all are not named again."""
    if copy := known.same_file(path):
        return _Recording(name, 0, f"the contest's {copy.name}, byte for byte")
    pieces = 0
    try:
        for samples in _minutes(path):
            if len(samples) < WINDOW_SAMPLES:
                break
            if copy := known.same_minute(samples):
                return _Recording(name, 0, f"its minute {pieces + 1} is the contest's {copy.name}")
            _write(_piece(to, own, pieces), samples)
            pieces += 1
    except UnreadableAudio as error:
        return _Recording(name, 0, f"{error}")
    return _Recording(name, pieces, "" if pieces else f"shorter than {WINDOW_S} seconds")


def _minutes(path: Path) -> Iterator[np.ndarray]:
    """(samples,) 16-bit mono at 32 kHz, minute after minute: a recording of a day needs no more memory."""
    try:
        with soundfile.SoundFile(path) as file:
            for block in file.blocks(blocksize=SOUNDSCAPE_S * file.samplerate, dtype="float32", always_2d=True):
                yield as_int16(mono_32k(block, file.samplerate))
    except soundfile.LibsndfileError as error:
        raise UnreadableAudio(error.error_string) from error


def _write(path: Path, samples: np.ndarray) -> None:
    """A piece that appears under its name when it is whole."""
    part = path.with_suffix(_PART)
    soundfile.write(part, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    os.replace(part, path)


def _piece(to: Path, own: str, minute: int) -> Path:
    return to / f"External_{own}_{minute:05d}{PIECES_SUFFIX}"
