"""Data of the block probe: a frozen model's block outputs for some clips of each species."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.competition.prepared import Prepared
from lib.core import fingerprint
from lib.learn.cache.embeddings import fill_embeddings
from lib.models.embedder.card import BLOCK


@dataclass(frozen=True, eq=False)
class BlockVectors:
    """(clips, channels) vectors by embedding name, and the species and recording of each clip."""

    vectors: dict[str, np.ndarray]
    species: np.ndarray
    recordings: np.ndarray


def block_vectors(
    prepared: Prepared, competition: Path, embedder: Path, cache: Path, *, blocks: Sequence[str], clips_per_class: int
) -> BlockVectors:
    """Embed the loudest window of up to `clips_per_class` clips of each class: vectors of the blocks and the embedding.

    Clips of one author, or copies of one recording, count as one recording.
    """
    keyed = prepared.clips.assign(key=[fingerprint.of_text(name) for name in prepared.clips.filename])
    clips = keyed.sort_values("key").groupby("primary_label").head(clips_per_class).sort_values("filename")
    items = {name: competition / "train_audio" / name for name in clips.filename}
    cached = fill_embeddings(items, embedder, prepared.classes, cache, clip_windows=1)
    clips = clips[[name in cached for name in clips.filename]]
    found = [cached.embeddings(name) for name in clips.filename]
    copies = prepared.related
    recordings = [copies.get(name, author) for name, author in zip(clips.filename, clips.author, strict=True)]
    names = [*(BLOCK + block for block in blocks), "embedding"]
    vectors = {name: np.concatenate([one[name] for one in found]) for name in names}
    return BlockVectors(vectors, clips.primary_label.to_numpy(), np.array(recordings))
