"""A packed embedder has logits of the project's classes, is opened once, and refuses what does not belong to it."""

from dataclasses import replace

import numpy as np
import pytest

from lib.competition.classes import ClassList
from lib.core.errors import BadInput
from lib.core.records import check_seal, read_json, seal, write_json
from lib.models.embedder.labels import FLAT_LOGIT, LabelMap
from lib.models.embedder.pack import pack_embedder
from lib.models.embedder.packed import open_embedder
from tests.support.standin import CHANNELS, loudness, write_labels, write_standin
from tests.support.tinytflite import write_tflite

CLASSES = ClassList(("owl", "frog", "insect"))
MAP = LabelMap(CLASSES.labels, ((7,), (3, 99), ()), ("name", "genus", "none"), 100)
WINDOWS = np.random.default_rng(1).normal(size=(4, 160_000)).astype(np.float32)


@pytest.fixture
def source(tmp_path):
    write_standin(tmp_path / "perch.onnx")
    write_labels(tmp_path / "labels.csv")
    return tmp_path / "perch.onnx"


@pytest.fixture
def packed(source, tmp_path):
    pack_embedder(source, None, MAP, CLASSES, tmp_path / "embedders" / "perch", blocks=["MBConv_0"])
    return tmp_path / "embedders" / "perch"


def test_its_outputs_are_in_the_projects_classes_and_as_wide_as_on_its_card(packed):
    embedder = open_embedder(packed, CLASSES)
    outputs, level = embedder.embed(WINDOWS), loudness(WINDOWS)
    flat = np.full(4, FLAT_LOGIT)
    highest = np.maximum(-level[:, 3], -level[:, 99])
    np.testing.assert_allclose(outputs.logits, np.stack([-level[:, 7], highest, flat], axis=1), rtol=1e-4)
    means = level.mean(axis=1)[:, None] * np.arange(1, CHANNELS + 1)
    np.testing.assert_allclose(outputs.by_name()["block:MBConv_0"], means, rtol=1e-4)
    assert {name: values.shape[1] for name, values in outputs.by_name().items()} == embedder.widths
    assert embedder.widths == {"embedding": 1536, "logits": 3, "block:MBConv_0": CHANNELS}
    assert {values.dtype for values in outputs.by_name().values()} == {np.dtype("float32")}


def test_it_is_opened_once_whatever_its_folder_and_for_its_classes_only(packed, tmp_path, source):
    embedder = open_embedder(packed, CLASSES)
    assert embedder.manifest == check_seal(packed)
    assert open_embedder(packed, ClassList(CLASSES.labels)) is embedder
    with pytest.raises(BadInput, match="another class list"):
        open_embedder(packed, ClassList(("frog", "owl", "insect")))
    pack_embedder(source, None, MAP, CLASSES, tmp_path / "again" / "perch", blocks=["MBConv_0"])
    assert open_embedder(tmp_path / "again" / "perch", CLASSES) is embedder
    pack_embedder(source, None, MAP, CLASSES, tmp_path / "again" / "perch")  # over the other one
    assert open_embedder(tmp_path / "again" / "perch", CLASSES).widths == {"embedding": 1536, "logits": 3}


def test_its_file_or_its_card_changed_or_no_embedder_at_all_is_refused(packed, tmp_path):
    (packed / "another").write_text("of a folder that is not opened yet")
    seal(packed, "embedder")
    (packed / "model.onnx").write_bytes((packed / "model.onnx").read_bytes() + b"\0")
    with pytest.raises(BadInput, match=r"different: model\.onnx"):
        open_embedder(packed, CLASSES)
    write_json(packed / "embedder.json", read_json(packed / "embedder.json") | {"more": 1})
    seal(packed, "embedder")
    with pytest.raises(BadInput, match=r"unknown \['more'\]"):
        open_embedder(packed, CLASSES)
    with pytest.raises(BadInput, match="no embedder lies in"):
        open_embedder(tmp_path / "nothing", CLASSES)


@pytest.mark.parametrize(
    ("wrong", "blocks", "message"),
    [
        (replace(MAP, width=99), [], r"100 labels[\s\S]*99 labels"),
        (replace(MAP, labels=("frog", "owl", "insect")), [], "other classes"),
        (MAP, ["MBConv_7"], r"MBConv_0[\s\S]*MBConv_7"),
    ],
)
def test_another_tables_map_or_a_block_that_is_not_there_cannot_be_packed(source, tmp_path, wrong, blocks, message):
    with pytest.raises(BadInput, match=message):
        pack_embedder(source, None, wrong, CLASSES, tmp_path / "e", blocks=blocks)
    assert not (tmp_path / "e" / "manifest.json").exists()


def test_a_tflite_model_packs_like_any_other_and_its_inner_blocks_need_no_exposing(tmp_path):
    layers = {"net/global_average_pooling2d/Mean": np.ones((2, 15_600)), "net/dense/BiasAdd": np.eye(4, 2)}
    layers["net/global_average_pooling2d/Mean"][1, ::2] = 0
    write_tflite(tmp_path / "short.tflite", layers)
    write_labels(tmp_path / "labels.csv", 4)
    label_map = LabelMap(CLASSES.labels, ((1,), (), (0,)), ("name", "none", "name"), 4)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "model.onnx").touch()  # of an embedder that was packed there before
    pack_embedder(tmp_path / "short.tflite", None, label_map, CLASSES, tmp_path / "e")
    outputs = open_embedder(tmp_path / "e", CLASSES).embed(WINDOWS)
    assert outputs.embedding.shape == (4, 2)
    assert set(read_json(tmp_path / "e" / "manifest.json")["files"]) == {"embedder.json", "labels.csv", "model.tflite"}
    assert (outputs.logits[:, 1] == FLAT_LOGIT).all()
    with pytest.raises(BadInput, match="no such blocks"):
        pack_embedder(tmp_path / "short.tflite", None, label_map, CLASSES, tmp_path / "e", blocks=["layer1"])
