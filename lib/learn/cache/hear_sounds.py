"""Recordings heard by an embedder, in whatever process: what a worker of the embedding cache does.

It takes a few recordings at a time, opens the embedder once, and decodes ahead of it in a thread. It writes the tokens
itself, one file a recording, so it can be killed at any moment: what it had finished is there.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.competition.classes import ClassList
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.learn.cache.embedding_file import UnfitTokens, halved, write_tokens
from lib.models.embedder.packed import Embedder, open_embedder
from lib.sound.decode import UnreadableAudio, decode, loudest_windows, soundscape_windows


@dataclass(frozen=True)
class Ear:
    """With what recordings are heard; `manifest` is the embedder's, as the one who asks sees it."""

    folder: Path
    manifest: str
    classes: ClassList


@dataclass(frozen=True)
class Sound:
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
class Heard:
    """What came of a sound: what is wrong with it, '' if nothing, and what half precision lost of its tokens."""

    target: Path
    problem: str
    lost: float = 0.0


def hear_sounds(ear: Ear, sounds: Sequence[Sound]) -> list[Heard]:
    """What came of each sound; its tokens lie at its target, unless there is a problem."""
    embedder = _opened(ear)
    with ThreadPoolExecutor(1) as ahead:
        return [
            Heard(sound.target, problem) if problem else _keep(embedder, windows, sound)
            for sound, (windows, problem) in zip(sounds, ahead.map(_windows, sounds), strict=True)
        ]


def _opened(ear: Ear) -> Embedder:
    """The embedder, which a process opens once, seen to be the one that was meant."""
    embedder = open_embedder(ear.folder, ear.classes)
    if embedder.manifest != ear.manifest:
        raise BadInput(f"{ear.folder} is another embedder here", expected=ear.manifest, got=embedder.manifest,
                       do="let all workers see the same folder")  # fmt: skip
    return embedder


def _windows(sound: Sound) -> tuple[np.ndarray | None, str]:
    """What is heard of a sound, or what is wrong with it."""
    try:
        return sound.windows(), ""
    except UnreadableAudio as error:
        return None, str(error)


def _keep(embedder: Embedder, windows: np.ndarray, sound: Sound) -> Heard:
    """What came of writing a sound's tokens, side by side in the order of the embedder's widths."""
    named = embedder.hear(windows).named()
    try:
        rows, lost = halved({name: named[name] for name in embedder.widths})
    except UnfitTokens as error:
        return Heard(sound.target, f"{sound.path.name}: {error}")
    write_tokens(sound.target, rows, lost)
    return Heard(sound.target, "", lost)
