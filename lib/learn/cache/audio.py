"""The audio cache: every recording is decoded once and stored as 16-bit samples, named by what it was made from.

The folder is its own index. A file's name is the fingerprint of the recording's bytes and of how it was decoded, so a
changed recording gets another name; it appears under that name only when it is whole, so a run killed at any moment
leaves nothing wrong behind, and the next goes on where it stopped. A second takes 64 kB. What other settings or
earlier versions of a recording left is never removed: other runs may be reading it.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.folder_lock import exclusive_folder
from lib.core.progress import progress
from lib.sound.crops import energy_by_tenth
from lib.sound.decode import UnreadableAudio, decode

_FULL_SCALE = 32767
_SUFFIX = f".{SAMPLE_RATE // 1000}k.i16"  # another format needs another suffix
_PART = ".part"
PIECES_SUFFIX = ".flac"


@dataclass(frozen=True)
class CacheSettings:
    """Seconds kept of a clip, and the disk space that may be filled; soundscapes keep their sixty seconds."""

    clip_s: int = 60
    disk_gb: float = 100.0


class AudioCache:
    """The decoded audio of some items: clips by file name, soundscapes by stem."""

    def __init__(self, folder: Path, keys: dict[str, str]):
        self._paths = {item: folder / f"{key}{_SUFFIX}" for item, key in keys.items()}
        self._tenths: dict[str, np.ndarray] = {}

    def __contains__(self, item: str) -> bool:
        """True if the item has decoded audio."""
        return item in self._paths

    def samples(self, item: str) -> np.ndarray:
        """(samples,) int16 of the item, memory-mapped: only what is accessed is read."""
        return np.memmap(self._paths[item], dtype=np.int16, mode="r")

    def tenths(self, item: str) -> np.ndarray:
        """(tenths,) the item's energy by tenth of a second; computed on first use."""
        if item not in self._tenths:
            self._tenths[item] = energy_by_tenth(self.samples(item))
        return self._tenths[item]


def fill_cache(competition: Path, items: Iterable[str], folder: Path, settings: CacheSettings) -> AudioCache:
    """Cache these clips and soundscapes of a competition folder: what is missing is decoded into `folder`."""
    items = list(dict.fromkeys(items))
    folder.mkdir(parents=True, exist_ok=True)
    keys, unusable = {}, []
    with exclusive_folder(folder):
        for part in folder.glob(f"*{_PART}"):  # of a run that was killed: no other run is at work here
            part.unlink()
        space = _Space(folder, settings.disk_gb)
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            found = pool.map(lambda item: _ensure(competition, item, folder, settings, space), items)
            for item, (key, problem) in zip(items, progress(found, "decoding", len(items)), strict=True):
                if problem:
                    unusable.append(problem)
                else:
                    keys[item] = key
        finally:
            pool.shutdown(cancel_futures=True)
    if unusable:
        raise BadInput(
            "recordings cannot be decoded",
            expected="files that decode",
            got="; ".join(unusable),
            do="run 01_data_prep again: it excludes them",
        )
    return AudioCache(folder, keys)


def as_float(samples: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The 16-bit samples as float32 between -1 and 1, written into `out` where memory is given."""
    return np.multiply(samples, np.float32(1 / _FULL_SCALE), out=out)


def as_int16(audio: np.ndarray) -> np.ndarray:
    """The samples in 16 bit; what is louder than full scale is cut there."""
    return np.rint(audio.clip(-1, 1) * _FULL_SCALE).astype(np.int16)


def external_folder(cache_folder: Path) -> Path:
    """Folder of the pieces of external recordings: beside their decoded audio."""
    return cache_folder / "external"


def sound_path(competition: Path, item: str, cache_folder: Path | None = None) -> Path:
    """Path of a clip (by file name) or a soundscape (by stem): the contest's, or an external one of this cache."""
    if "/" in item:
        return competition / "train_audio" / item
    external = external_folder(cache_folder) / f"{item}{PIECES_SUFFIX}" if cache_folder else None
    return external if external and external.is_file() else competition / "train_soundscapes" / f"{item}.ogg"


class _Space:
    """Disk space of the folder, counted along; more than the limit is an error."""

    def __init__(self, folder: Path, most_gb: float):
        self._most_gb = most_gb
        sizes = {path.name: path.stat().st_size for path in folder.glob(f"*{_SUFFIX}")}
        # an empty file is what a machine that lost its power may leave
        self._names, self._bytes = {name for name, size in sizes.items() if size}, sum(sizes.values())
        self._one_at_a_time = Lock()

    def holds(self, name: str) -> bool:
        """True if the folder held such a file to begin with."""
        return name in self._names

    def reserve(self, size: int) -> None:
        """Count so many bytes that are about to be written."""
        with self._one_at_a_time:
            self._bytes += size
            if self._bytes > self._most_gb * 1e9:
                raise BadInput(
                    "the audio cache is full",
                    expected=f"at most {self._most_gb} GB",
                    got=f"{self._bytes / 1e9:.3f} GB, and more to come",
                    do="raise disk_gb, lower clip_s, or delete the folder",
                )


def _ensure(competition: Path, item: str, folder: Path, settings: CacheSettings, space: _Space) -> tuple[str, str]:
    """Decode an item unless the folder holds it; return its key and its problem, '' if none."""
    path = sound_path(competition, item, folder)
    if not path.is_file():
        return "", f"{item}: no such file"
    most = settings.clip_s * SAMPLE_RATE if "/" in item else SOUNDSCAPE_SAMPLES
    key = fingerprint.of_text(f"{fingerprint.of_file(path)} {most}")
    name = f"{key}{_SUFFIX}"
    if space.holds(name):
        return key, ""
    try:
        audio = decode(path)[:most]
    except UnreadableAudio as error:
        return "", str(error)
    space.reserve(2 * len(audio))
    part = folder / f"{fingerprint.of_text(item)}{_PART}"
    as_int16(audio).tofile(part)
    os.replace(part, folder / name)
    return key, ""
