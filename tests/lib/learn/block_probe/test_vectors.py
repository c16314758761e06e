"""Data of the block probe: blocks in the network's order, a window a clip, the recording of each."""

import numpy as np
import pytest

from lib.competition.prepared import load_prepared
from lib.competition.tables import Findings, read_taxonomy
from lib.learn.block_probe.vectors import block_vectors
from lib.models.embedder.base import find_labels, read_labels
from lib.models.embedder.labels import map_labels
from lib.models.embedder.pack import exposable_blocks, pack_embedder

BLOCKS = [f"MBConv_{number}" for number in range(26)]


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


@pytest.fixture(scope="module")
def probed(prepared, public, standin_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    taxonomy = read_taxonomy(public, prepared.classes, Findings())
    mapped = map_labels(taxonomy, read_labels(find_labels(standin_file)))
    pack_embedder(standin_file, None, mapped, prepared.classes, folder / "embedder", blocks=BLOCKS)
    return block_vectors(prepared, public, folder / "embedder", folder / "cache", blocks=BLOCKS, clips_per_class=2)


def test_every_block_of_the_stand_in_can_be_exposed(standin_file):
    assert list(exposable_blocks(standin_file)) == BLOCKS


def test_blocks_come_in_the_networks_order_and_the_embedding_last(probed):
    assert list(probed.vectors) == [*(f"block:{name}" for name in BLOCKS), "embedding"]
    assert {len(vectors) for vectors in probed.vectors.values()} == {len(probed.species)}
    assert all(np.isfinite(vectors).all() for vectors in probed.vectors.values())
    assert probed.vectors["embedding"].shape[1] == 1536


def test_each_class_with_clips_gives_at_most_so_many_and_clips_of_an_author_are_one_recording(probed, prepared):
    names, counts = np.unique(probed.species, return_counts=True)
    assert set(names) == set(prepared.clips.primary_label)
    assert counts.max() == 2
    assert set(probed.recordings) <= set(prepared.clips.author) | set(prepared.related.values())
