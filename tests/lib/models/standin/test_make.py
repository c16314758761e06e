"""The stand-in has Perch's interface, and its logits depend on the species that calls."""

import csv
import re

import numpy as np
import onnx
import pytest

from lib.competition.miniature.cast import make_cast
from lib.competition.miniature.elsewhere import recordings_from_elsewhere
from lib.competition.miniature.spec import MiniatureSpec
from lib.models.runtime.onnx import OnnxSession
from lib.models.standin.make import make_standin
from tests.support.tinystandin import tiny_standin

OUTPUTS = {
    "embedding": (1536,),
    "spatial_embedding": (16, 4, 1536),
    "spectrogram": (500, 128),
    "label": (14_795,),
}


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    return tiny_standin(tmp_path_factory.mktemp("standin"))


@pytest.fixture(scope="module")
def graph(standin):
    return onnx.load(standin).graph


@pytest.fixture(scope="module")
def session(standin):
    return OnnxSession(standin, inputs=["inputs"], outputs=list(OUTPUTS))


@pytest.fixture(scope="module")
def labels(standin):
    with (standin.parent / "labels.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["inat2024_fsd50k"]
    return [row[0] for row in rows]


def scopes(graph) -> list[str]:
    return [node.output[0] for node in graph.node if node.output[0].startswith("encoder/")]


def test_the_interface_is_perchs_for_any_number_of_windows(session, graph):
    assert [(item.name, len(item.type.tensor_type.shape.dim)) for item in graph.input] == [("inputs", 2)]
    for rows in (1, 3):
        outputs = session.run(inputs=np.random.default_rng(0).normal(size=(rows, 160_000)).astype(np.float32))
        assert [item.shape for item in outputs] == [(rows, *shape) for shape in OUTPUTS.values()]


def test_windows_are_heard_one_by_one(session):
    windows = np.random.default_rng(1).normal(size=(3, 160_000)).astype(np.float32) * np.array([[0.1], [1], [0.01]])
    windows = windows.astype(np.float32)
    together, alone = session.run(inputs=windows), session.run(inputs=windows[1:2])
    for many, one in zip(together, alone, strict=True):
        np.testing.assert_allclose(many[1:2], one, rtol=1e-3, atol=1e-3)


def test_the_embedding_is_the_mean_of_its_places(session):
    embedding, places, *_ = session.run(inputs=np.random.default_rng(2).normal(size=(2, 160_000)).astype(np.float32))
    np.testing.assert_allclose(embedding, places.mean(axis=(1, 2)), rtol=1e-4, atol=1e-4)


def test_its_twenty_six_blocks_are_scoped_and_front_end_and_stem_are_not(graph):
    found = [int(match[1]) for name in scopes(graph) if (match := re.search(r"/MBConv_(\d+)/", name))]
    assert found == sorted(found)  # in the order of the graph
    assert sorted(set(found)) == list(range(26))
    convolutions = [node.output[0] for node in graph.node if node.op_type == "Conv"]
    inside = [name for name in convolutions if "MBConv_" in name]
    kinds = ("ExpandConv_0", "DepthwiseConv_0", "ProjectConv_0", "SqueezeExcite_0/Reduce", "SqueezeExcite_0/Expand")
    counts = {kind: sum(kind in name for name in inside) for kind in kinds}
    assert counts == dict(zip(kinds, (24, 26, 26, 26, 26), strict=True))  # the first two blocks do not expand
    assert sum("/Head_0/Conv_0" in name for name in convolutions) == 1
    assert [name for name in convolutions if "/" not in name] == convolutions[: len(convolutions) - len(inside) - 1]
    assert sum(node.op_type == "Exp" for node in graph.node) == 26


def test_blocks_end_where_efficientnet_b3s_do(standin, graph, tmp_path):
    last = {}
    for name in scopes(graph):
        if match := re.search(r"/MBConv_(\d+)/", name):
            last[int(match[1])] = name
    model = onnx.load(standin)
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in last.values())
    onnx.save(model, tmp_path / "tapped.onnx")
    tapped = OnnxSession(tmp_path / "tapped.onnx", inputs=["inputs"], outputs=list(last.values()))
    shapes = [item.shape[1:3] for item in tapped.run(inputs=np.zeros((1, 160_000), dtype=np.float32))]
    sizes = {2: (250, 64), 5: (125, 32), 8: (63, 16), 18: (32, 8), 26: (16, 4)}
    assert shapes == [next(size for end, size in sizes.items() if block < end) for block in range(26)]


def test_the_same_settings_make_the_same_bytes_and_another_seed_another_model(standin, tmp_path):
    again = tiny_standin(tmp_path / "again")
    assert again.read_bytes() == standin.read_bytes()
    assert (again.parent / "labels.csv").read_bytes() == (standin.parent / "labels.csv").read_bytes()
    untaught = [make_standin(tmp_path / str(seed), scientific_names=[], width=0.1, seed=seed) for seed in (0, 1)]
    weights = [
        [item.raw_data for item in onnx.load(path).graph.initializer if "ExpandConv" in item.name]
        for path in (standin, *untaught)
    ]
    assert weights[0] == weights[1]  # training changes nothing below the labels
    assert not set(weights[1]) & set(weights[2])


def test_labels_are_as_many_as_perchs_and_hold_what_was_taught_relatives_and_tags(labels):
    calls = recordings_from_elsewhere(MiniatureSpec.tiny(), windows=1)
    assert len(labels) == len(set(labels)) == 14_795
    assert set(calls) < set(labels)
    for name in calls:
        assert sum(label.split()[0] == name.split()[0] for label in labels) >= 4
    assert {"Insect", "Bird", "Rain"} < set(labels)


def test_what_was_taught_is_heard_in_other_individuals_and_the_rest_is_weak(session, labels):
    calls = recordings_from_elsewhere(
        MiniatureSpec(
            n_aves=5, n_amphibia=2, n_insecta=3, n_mammalia=1, n_reptilia=1, seed=7, n_sonotypes=2, mirrors=((1, 2),)
        ),
        windows=4,
    )
    columns = [labels.index(name) for name in calls]
    logits = session.run(inputs=np.concatenate(list(calls.values())))[3]
    owner = np.repeat(np.arange(len(calls)), 4)
    known = logits[:, columns]
    own = [known[owner == place, place].mean() - known[owner != place, place].mean() for place in range(len(calls))]
    assert np.mean(np.array(own) > 0) > 0.7
    others = np.delete(logits, columns, axis=1)
    assert others.std() < 0.5 * known.std()


def test_the_embedding_has_a_sane_scale_for_calls_it_never_heard(session):
    calls = recordings_from_elsewhere(MiniatureSpec(seed=5), windows=2)
    embedding = session.run(inputs=np.concatenate(list(calls.values())))[0]
    assert 0.2 < embedding.std() < 5
    assert np.abs(embedding).max() < 100


def test_what_is_heard_elsewhere_are_no_clips_of_the_contest_no_sonotypes_and_no_reptiles():
    spec = MiniatureSpec.tiny()
    calls, cast = recordings_from_elsewhere(spec, windows=2), make_cast(spec)
    mute = [species for species in cast if not species.focal and species.taxon.class_name == "Amphibia"]
    focal = {
        species.taxon.scientific_name for species in cast if species.focal and species.taxon.class_name != "Reptilia"
    }
    assert set(calls) == focal | {f"{species.taxon.scientific_name.split()[0]} vicina" for species in mute}
    again = recordings_from_elsewhere(spec, windows=2)
    for name, windows in calls.items():
        assert windows.shape == (2, 160_000)
        assert windows.dtype == np.float32
        assert np.abs(windows).max() <= 1
        np.testing.assert_array_equal(windows, again[name])
