"""What a frozen model's blocks say of some clips of each species: the material of the block probe."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.competition.prepared import Prepared
from lib.core import fingerprint
from lib.learn.cache.embeddings import fill_embeddings
from lib.models.embedder.base import BLOCK


@dataclass(frozen=True, eq=False)
class BlockVectors:
    """(clips, channels) vectors by token name, and the species and recording that each clip is of."""

    vectors: dict[str, np.ndarray]
    species: np.ndarray
    recordings: np.ndarray


def block_vectors(
    prepared: Prepared, competition: Path, embedder: Path, cache: Path, *, blocks: Sequence[str], clips_per_class: int
) -> BlockVectors:
    """The loudest window of up to so many clips of each class, by a packed embedder's blocks, in order, and embedding.

    Clips of one author, or copies of one recording, count as one recording.
    """
    keyed = prepared.clips.assign(key=[fingerprint.of_text(name) for name in prepared.clips.filename])
    clips = keyed.sort_values("key").groupby("primary_label").head(clips_per_class).sort_values("filename")
    items = {name: competition / "train_audio" / name for name in clips.filename}
    heard = fill_embeddings(items, embedder, prepared.classes, cache, clip_windows=1)
    clips = clips[[name in heard for name in clips.filename]]
    said = [heard.embeddings(name) for name in clips.filename]
    copies = prepared.related
    recordings = [copies.get(name, author) for name, author in zip(clips.filename, clips.author, strict=True)]
    asked = [*(BLOCK + block for block in blocks), "embedding"]
    vectors = {token: np.concatenate([of[token] for of in said]) for token in asked}
    return BlockVectors(vectors, clips.primary_label.to_numpy(), np.array(recordings))
