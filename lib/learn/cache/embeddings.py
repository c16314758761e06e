"""The embedding cache: an embedder's output for every recording, computed once and stored in a file a recording.

The folder is its own index. A file's name is the fingerprint of the recording's bytes, of the embedder's manifest and
of which windows are embedded, so nothing stale can be found under it; it appears when it is whole, so a run killed at
any moment loses nothing and the next goes on where it stopped. What other settings left is never removed.

A worker embeds a few recordings at a time, opens the embedder once, and decodes ahead of it in a thread. It writes the
files itself, so it can be killed at any moment: what it had finished is there.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from os import cpu_count
from pathlib import Path

import numpy as np

from lib.competition.classes import ClassList
from lib.core import fingerprint
from lib.core.dask_cluster import on_cluster
from lib.core.errors import BadInput, shorten
from lib.core.folder_lock import exclusive_folder
from lib.core.processes import in_processes
from lib.core.progress import progress
from lib.learn.cache.embedding_file import (
    PART,
    SUFFIX,
    UnstorableEmbeddings,
    read_embeddings,
    to_half_precision,
    write_embeddings,
)
from lib.models.embedder.packed import Embedder, open_embedder
from lib.sound.decode import UnreadableAudio, decode, loudest_windows, soundscape_windows


@dataclass(frozen=True)
class EmbedderRef:
    """The embedder that a worker process has to open; `manifest` is the fingerprint that it must have there."""

    folder: Path
    manifest: str
    classes: ClassList


@dataclass(frozen=True)
class RecordingToEmbed:
    """A recording, the fingerprint of its bytes, and the file for its embeddings; `loudest` is 0 for a soundscape."""

    path: Path
    audio: str
    loudest: int
    target: Path

    def windows(self) -> np.ndarray:
        """(windows, 160000) audio: a soundscape's twelve windows, or the `loudest` ones of a clip."""
        audio = decode(self.path)
        windows = loudest_windows(audio, self.loudest) if self.loudest else soundscape_windows(audio)
        if fingerprint.of_file(self.path) != self.audio:  # after decoding: the embeddings belong to these bytes
            raise UnreadableAudio(f"{self.path.name}: changed while it was read, or another file on this worker")
        return windows


@dataclass(frozen=True)
class EmbedResult:
    """The result of a recording: its problem, '' if none, and the largest rounding error of half precision."""

    target: Path
    problem: str
    rounding_error: float = 0.0


def embed_recordings(ref: EmbedderRef, recordings: Sequence[RecordingToEmbed]) -> list[EmbedResult]:
    """Embed and store recordings; each one's embeddings are then in its target, unless it has a problem."""
    embedder = _open_checked(ref)
    with ThreadPoolExecutor(1) as ahead:
        return [
            EmbedResult(recording.target, problem)
            if windows is None
            else _embed_and_store(embedder, windows, recording)
            for recording, (windows, problem) in zip(recordings, ahead.map(_load_windows, recordings), strict=True)
        ]


def _open_checked(ref: EmbedderRef) -> Embedder:
    """Open the embedder, once a process, and check that its manifest is the expected one."""
    embedder = open_embedder(ref.folder, ref.classes)
    if embedder.manifest != ref.manifest:
        raise BadInput(
            f"{ref.folder} holds another embedder on this worker",
            expected=ref.manifest,
            got=embedder.manifest,
            do="mount the same folder on all workers",
        )
    return embedder


def _load_windows(recording: RecordingToEmbed) -> tuple[np.ndarray | None, str]:
    """A recording's windows, or None and its problem."""
    try:
        return recording.windows(), ""
    except UnreadableAudio as error:
        return None, str(error)


def _embed_and_store(embedder: Embedder, windows: np.ndarray, recording: RecordingToEmbed) -> EmbedResult:
    """Embed the windows and store the embeddings, concatenated in the order of the embedder's widths."""
    named = embedder.embed(windows).by_name()
    try:
        rows, rounding_error = to_half_precision({name: named[name] for name in embedder.widths})
    except UnstorableEmbeddings as error:
        return EmbedResult(recording.target, f"{recording.path.name}: {error}")
    write_embeddings(recording.target, rows, rounding_error)
    return EmbedResult(recording.target, "", rounding_error)


_AT_A_TIME = 8  # recordings: seconds of work, so that little waits at the end and progress is seen


class EmbeddingCache:
    """The embeddings of some items: clips by file name, soundscapes by stem.

    `widths` are those of the embedder, `failed` holds the problem of each item that has no embeddings, and
    `rounding_error` is the largest change that half precision made, as a share of the largest value of its row.
    """

    def __init__(self, paths: dict[str, Path], widths: dict[str, int], failed: dict[str, str], rounding_error: float):
        self._paths, self.widths, self.failed = paths, widths, failed
        self.rounding_error = rounding_error

    def __contains__(self, item: str) -> bool:
        """True if the item has embeddings."""
        return item in self._paths

    def embeddings(self, item: str) -> dict[str, np.ndarray]:
        """(rows, width) float32 by name, as `Embeddings.by_name` has them: a soundscape's twelve, a clip's loudest."""
        kept = read_embeddings(self._paths[item], sum(self.widths.values()))
        if kept is None:
            raise BadInput(
                f"the embeddings of {item} were damaged or removed",
                expected="the file that was there",
                got=self._paths[item],
                do="call fill_embeddings again: it makes the file anew",
            )
        ends = np.cumsum(list(self.widths.values()))[:-1]
        return dict(zip(self.widths, np.split(kept[0].astype(np.float32), ends, axis=1), strict=True))


def fill_embeddings(
    items: Mapping[str, Path],
    embedder_folder: Path,
    classes: ClassList,
    cache_folder: Path,
    *,
    clip_windows: int,
    scheduler: str | None = None,
) -> EmbeddingCache:
    """Load the embeddings of these recordings, computing what the folder lacks on all cores or a Dask `scheduler`."""
    if clip_windows < 1:
        raise BadInput(
            "no window of a clip would be embedded",
            expected="clip_windows of at least 1",
            got=clip_windows,
            do="set clip_windows=2, for example: the number of a clip's loudest windows",
        )
    embedder = open_embedder(embedder_folder, classes)
    ref, widths = EmbedderRef(embedder_folder.resolve(), embedder.manifest, classes), embedder.widths
    folder = cache_folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_folder(folder):
        for part in folder.rglob(f"*{PART}"):  # of a run that was killed: no other run is at work here
            part.unlink()
        recordings, errors = _look_up(items, ref, folder, clip_windows, sum(widths.values()))
        missing = {recording.target: recording for recording in recordings.values() if recording.target not in errors}
        results = _embed_missing(ref, list(missing.values()), scheduler, folder)
    errors |= {target: result.rounding_error for target, result in results.items() if not result.problem}
    paths = {item: recording.target for item, recording in recordings.items() if recording.target in errors}
    failed = {
        item: results[recordings[item].target].problem if item in recordings else f"{items[item].name}: no such file"
        for item in items
        if item not in paths
    }
    cache = EmbeddingCache(paths, widths, failed, max(errors.values(), default=0.0))
    _report(cache, len(items), len(missing))
    return cache


def _look_up(
    items: Mapping[str, Path], ref: EmbedderRef, folder: Path, clip_windows: int, width: int
) -> tuple[dict[str, RecordingToEmbed], dict[Path, float]]:
    """The recordings that exist, by item, and the rounding errors of those that already have whole embeddings."""

    def one(item: str) -> tuple[RecordingToEmbed, float | None] | None:
        path, loudest = items[item].resolve(), clip_windows if "/" in item else 0
        if not path.is_file():
            return None
        audio = fingerprint.of_file(path)
        key = fingerprint.of_json({"audio": audio, "embedder": ref.manifest, "loudest": loudest})
        recording = RecordingToEmbed(path, audio, loudest, folder / key[:2] / f"{key}{SUFFIX}")
        kept = read_embeddings(recording.target, width)
        return recording, kept and kept[1]

    recordings, errors = {}, {}
    with ThreadPoolExecutor(cpu_count()) as pool:
        for item, found in zip(items, progress(pool.map(one, items), "looking up", len(items)), strict=True):
            if found:
                recordings[item] = found[0]
                if found[1] is not None:
                    errors[found[0].target] = found[1]
    return recordings, errors


def _embed_missing(
    ref: EmbedderRef, recordings: list[RecordingToEmbed], scheduler: str | None, folder: Path
) -> dict[Path, EmbedResult]:
    """Embed recordings in parallel and return the result of each, by target."""
    if not recordings:
        return {}
    parts = [recordings[start : start + _AT_A_TIME] for start in range(0, len(recordings), _AT_A_TIME)]
    work, needed = partial(embed_recordings, ref), [ref.folder / "manifest.json", recordings[0].path]
    with on_cluster(scheduler, work, parts, folder, needed) if scheduler else in_processes(work, parts) as results:
        found = progress(chain.from_iterable(results), "embedding", len(recordings))
        return {result.target: result for result in found}


def _report(cache: EmbeddingCache, items: int, embedded: int) -> None:
    """Print what was embedded and what failed; it is an error if no item has embeddings."""
    problems = shorten(cache.failed.values())
    if items and len(cache.failed) == items:
        raise BadInput(
            "no recording has embeddings",
            expected="recordings that decode",
            got=problems,
            do="check the paths, and that the embedder's output is finite",
        )
    rounding = f"half precision changes a row by at most {cache.rounding_error:.1e} of its largest value"
    print(f"{items} recordings, {embedded} of them new; {rounding}")
    if cache.failed:
        print(f"{len(cache.failed)} without embeddings: {problems}")
