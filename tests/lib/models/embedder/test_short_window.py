"""A row's excerpts become one output: means of embeddings and blocks, the largest logits."""

from pathlib import Path

import numpy as np
import pytest

from lib.core.errors import BadInput
from lib.models.embedder.base import block_of
from lib.models.embedder.short_window import ShortWindowEmbedder

WINDOWS = np.random.default_rng(0).normal(size=(3, 160_000)).astype(np.float32)


class Made:
    """A file like BirdNET's whose outputs are the mean level of the excerpts."""

    path = Path("made.tflite")

    def __init__(self, **outputs):
        self.inputs = {"sound": (1, 144_000)}
        self.outputs = {
            "head/weights": (1, 3),
            "model/GLOBAL_AVG_POOL/Mean": (1, 2),
            "head/BiasAdd": (1, 4),
            "Identity": (1, 4),
        } | outputs

    def run_outputs(self, outputs, sound):
        level = np.abs(sound).mean(axis=1)
        values = {
            "model/GLOBAL_AVG_POOL/Mean": np.stack([level, -level], axis=1),
            "head/BiasAdd": level[:, None] * [1, -1, 2, -2],
            "Identity": np.full((len(sound), 4), 0.5),
            "map": level[:, None, None, None] * np.ones((1, 2, 3, 5)) * np.arange(6).reshape(1, 2, 3, 1),
        }
        return [values["map" if "/" in name and "map" in name else name].astype(np.float32) for name in outputs]


def levels():
    """(rows, 2) the level of each of a row's two excerpts, cut at the file's own rate."""
    return np.stack(
        [np.abs(ShortWindowEmbedder(Made(), "abcd")._format.inputs(WINDOWS)[:, part]).mean(axis=1) for part in (0, 1)],
        1,
    )


def test_embeddings_and_blocks_are_means_and_logits_the_largest_of_a_rows_excerpts():
    outputs = ShortWindowEmbedder(Made(**{"stage2_ds1/map": (1, 2, 3, 5)}), "abcd").embed(WINDOWS, ["stage2_ds1"])
    level, mean = levels(), levels().mean(axis=1)
    assert np.ptp(level, axis=1).min() > 1e-5
    np.testing.assert_allclose(outputs.embedding, np.stack([mean, -mean], axis=1), rtol=1e-5)
    high, low = level.max(axis=1), level.min(axis=1)
    np.testing.assert_allclose(outputs.logits, np.stack([high, -low, 2 * high, -2 * low], axis=1), rtol=1e-5)
    assert list(outputs.blocks) == ["stage2_ds1"]
    np.testing.assert_allclose(outputs.blocks["stage2_ds1"], np.repeat(2.5 * mean[:, None], 5, axis=1), rtol=1e-5)


def test_blocks_are_the_last_maps_in_their_scopes_in_the_order_of_the_graph():
    maps = [
        "layer2/w_map",
        "layer1/map",
        "layer2/map;layer3/relu",
        "layer2/last_map",
        "front/map",
        "layer3/map_dequantize",
    ]
    model = ShortWindowEmbedder(Made(**dict.fromkeys(maps, (1, 2, 3, 5))), "abcd")
    assert model.blocks == ("layer1", "layer2")
    assert model._maps["layer2"] == "layer2/last_map"


def test_exposed_means_are_used_as_they_are():
    model = ShortWindowEmbedder(Made(**{"block:late": (1, 2), "layer1/map": (1, 2, 3, 5)}), "abcd")
    assert model.blocks == ("late",)


@pytest.mark.parametrize(
    ("labels", "file", "message"),
    [
        ("abc", Made(**{"head/weights": (1, 9)}), r"table's 3 labels[\s\S]*Identity \(1, 4\)"),
        ("abcd", Made(**{"model/GLOBAL_AVG_POOL/Mean": (1,)}), "pooled embedding"),
    ],
)
def test_a_file_without_its_tables_labels_or_an_embedding_is_refused(labels, file, message):
    if "pooled" in message:
        del file.outputs["model/GLOBAL_AVG_POOL/Mean"]
    with pytest.raises(BadInput, match=message):
        ShortWindowEmbedder(file, labels)


def test_a_file_with_another_input_is_refused_with_the_known_formats():
    file = Made()
    file.inputs = {"sound": (1, 240_000)}
    with pytest.raises(BadInput, match=r"BirdNET 2\.4 \(144000,\)[\s\S]*240000"):
        ShortWindowEmbedder(file, "abcd")


@pytest.mark.parametrize(
    ("tensor", "block"),
    [
        ("encoder/MBConv_24/ProjectConv_0/conv", "MBConv_24"),
        ("net/stage1_ds2_pw_relu_1/Relu6", "stage1_ds2"),
        ("yamnet_frames/layer12/relu", "layer12"),
        ("model/BLOCK_4-1_ADD/add", "BLOCK_4-1"),
        ("encoder/Head_0/conv", None),
        ("player1/conv", None),
    ],
)
def test_a_block_is_read_off_a_tensors_scope(tensor, block):
    assert block_of(tensor) == block
