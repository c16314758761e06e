"""The embedding cache: what an embedder says of every recording, heard once and kept in a file a recording.

The folder is its own index. A file's name is the fingerprint of the recording's bytes, of the embedder's manifest and
of which windows are heard, so nothing stale can be found under it; it appears when it is whole, so a run killed at any
moment loses nothing and the next goes on where it stopped. What other settings left is never removed.
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
from lib.learn.cache.embedding_file import PART, SUFFIX, UnstorableEmbeddings, to_half_precision, read_embeddings, write_embeddings
from lib.models.embedder.packed import Embedder, open_embedder
from lib.sound.decode import UnreadableAudio, decode, loudest_windows, soundscape_windows


@dataclass(frozen=True)
class EmbedderRef:
    """With what recordings are heard; `manifest` is the embedder's, as the one who asks sees it."""

    folder: Path
    manifest: str
    classes: ClassList


@dataclass(frozen=True)
class RecordingToEmbed:
    """A recording, the fingerprint of its bytes, and where its tokens go; `loudest` is 0 for a soundscape's twelve."""

    path: Path
    audio: str
    loudest: int
    target: Path

    def windows(self) -> np.ndarray:
        """(windows, 160000) what is heard of it."""
        audio = decode(self.path)
        windows = loudest_windows(audio, self.loudest) if self.loudest else soundscape_windows(audio)
        if fingerprint.of_file(self.path) != self.audio:  # after decoding: the tokens belong to these bytes
            raise UnreadableAudio(f"{self.path.name}: changed while it was read, or another file on this worker")
        return windows


@dataclass(frozen=True)
class EmbedResult:
    """What came of a sound: what is wrong with it, '' if nothing, and what half precision lost of its tokens."""

    target: Path
    problem: str
    lost: float = 0.0


def embed_recordings(ear: EmbedderRef, sounds: Sequence[RecordingToEmbed]) -> list[EmbedResult]:
    """What came of each sound; its tokens lie at its target, unless there is a problem."""
    embedder = _opened(ear)
    with ThreadPoolExecutor(1) as ahead:
        return [
            EmbedResult(sound.target, problem) if problem else _keep(embedder, windows, sound)
            for sound, (windows, problem) in zip(sounds, ahead.map(_windows, sounds), strict=True)
        ]


def _opened(ear: EmbedderRef) -> Embedder:
    """The embedder, which a process opens once, seen to be the one that was meant."""
    embedder = open_embedder(ear.folder, ear.classes)
    if embedder.manifest != ear.manifest:
        raise BadInput(
            f"{ear.folder} is another embedder here",
            expected=ear.manifest,
            got=embedder.manifest,
            do="let all workers see the same folder",
        )
    return embedder


def _windows(sound: RecordingToEmbed) -> tuple[np.ndarray | None, str]:
    """What is heard of a sound, or what is wrong with it."""
    try:
        return sound.windows(), ""
    except UnreadableAudio as error:
        return None, str(error)


def _keep(embedder: Embedder, windows: np.ndarray, sound: RecordingToEmbed) -> EmbedResult:
    """What came of writing a sound's tokens, side by side in the order of the embedder's widths."""
    named = embedder.embed(windows).named()
    try:
        rows, lost = to_half_precision({name: named[name] for name in embedder.widths})
    except UnstorableEmbeddings as error:
        return EmbedResult(sound.target, f"{sound.path.name}: {error}")
    write_embeddings(sound.target, rows, lost)
    return EmbedResult(sound.target, "", lost)


_AT_A_TIME = 8  # recordings: seconds of work, so that little waits at the end and progress is seen


class EmbeddingCache:
    """The tokens of some items: clips by file name, soundscapes by stem.

    `widths` are those of the embedder, `unheard` says what is wrong with the items that have no tokens, and `lost` is
    the largest change that half precision made, as a share of the largest value of its row.
    """

    def __init__(self, paths: dict[str, Path], widths: dict[str, int], unheard: dict[str, str], lost: float):
        self._paths, self.widths, self.unheard, self.lost = paths, widths, unheard, lost

    def __contains__(self, item: str) -> bool:
        """Whether the item has tokens."""
        return item in self._paths

    def embeddings(self, item: str) -> dict[str, np.ndarray]:
        """(rows, width) float32 by name, as `Tokens.named` has them: a soundscape's twelve, a clip's loudest."""
        kept = read_embeddings(self._paths[item], sum(self.widths.values()))
        if kept is None:
            raise BadInput(
                f"the tokens of {item} were damaged or removed",
                expected="the file that was there",
                got=self._paths[item],
                do="fill the cache again: it is made anew",
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
    scheduler: str = "",
) -> EmbeddingCache:
    """The tokens of these recordings; what the folder lacks is heard by all cores, or by the cluster at `scheduler`."""
    if clip_windows < 1:
        raise BadInput(
            "nothing of a clip would be heard",
            expected="clip_windows of at least 1",
            got=clip_windows,
            do="say how many of a clip's loudest windows are wanted",
        )
    embedder = open_embedder(embedder_folder, classes)
    ear, widths = EmbedderRef(embedder_folder.resolve(), embedder.manifest, classes), embedder.widths
    folder = cache_folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_folder(folder):
        for part in folder.rglob(f"*{PART}"):  # of a run that was killed: nobody else is at work here
            part.unlink()
        sounds, lost = _look(items, ear, folder, clip_windows, sum(widths.values()))
        missing = {sound.target: sound for sound in sounds.values() if sound.target not in lost}
        heard = _hear(ear, list(missing.values()), scheduler, folder)
    lost |= {target: one.lost for target, one in heard.items() if not one.problem}
    paths = {item: sound.target for item, sound in sounds.items() if sound.target in lost}
    unheard = {
        item: heard[sounds[item].target].problem if item in sounds else f"{items[item].name}: no such file"
        for item in items
        if item not in paths
    }
    cache = EmbeddingCache(paths, widths, unheard, max(lost.values(), default=0.0))
    _report(cache, len(items), len(missing))
    return cache


def _look(
    items: Mapping[str, Path], ear: EmbedderRef, folder: Path, clip_windows: int, width: int
) -> tuple[dict[str, RecordingToEmbed], dict[Path, float]]:
    """The recordings that are there, by item, and what half precision lost of those whose tokens are there, whole."""

    def one(item: str) -> tuple[RecordingToEmbed, float | None] | None:
        path, loudest = items[item].resolve(), clip_windows if "/" in item else 0
        if not path.is_file():
            return None
        audio = fingerprint.of_file(path)
        key = fingerprint.of_json({"audio": audio, "embedder": ear.manifest, "loudest": loudest})
        sound = RecordingToEmbed(path, audio, loudest, folder / key[:2] / f"{key}{SUFFIX}")
        kept = read_embeddings(sound.target, width)
        return sound, kept and kept[1]

    sounds, lost = {}, {}
    with ThreadPoolExecutor(cpu_count()) as pool:
        for item, found in zip(items, progress(pool.map(one, items), "looking up", len(items)), strict=True):
            if found:
                sounds[item] = found[0]
                if found[1] is not None:
                    lost[found[0].target] = found[1]
    return sounds, lost


def _hear(ear: EmbedderRef, sounds: list[RecordingToEmbed], scheduler: str, folder: Path) -> dict[Path, EmbedResult]:
    """What came of each sound, by target."""
    if not sounds:
        return {}
    parts = [sounds[start : start + _AT_A_TIME] for start in range(0, len(sounds), _AT_A_TIME)]
    work, needed = partial(embed_recordings, ear), [ear.folder / "manifest.json", sounds[0].path]
    with on_cluster(scheduler, work, parts, folder, needed) if scheduler else in_processes(work, parts) as answers:
        return {heard.target: heard for heard in progress(chain.from_iterable(answers), "hearing", len(sounds))}


def _report(cache: EmbeddingCache, items: int, heard: int) -> None:
    """Print what was done and what is wrong; nothing to work with is an error."""
    problems = shorten(cache.unheard.values())
    if items and len(cache.unheard) == items:
        raise BadInput(
            "no recording has tokens",
            expected="recordings that decode",
            got=problems,
            do="see that the paths are right and that the embedder hears anything at all",
        )
    print(f"{items} recordings, {heard} of them new; half precision lost at most {cache.lost:.1e} of a row's largest")
    if cache.unheard:
        print(f"{len(cache.unheard)} without tokens: {problems}")
