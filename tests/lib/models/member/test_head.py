"""A head member uses its own embedder, once for all heads, and predicts as in training or is refused."""

import shutil
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lib.competition.prepared import load_prepared
from lib.competition.row_ids import parse_soundscape
from lib.core.errors import BadInput
from lib.core.records import read_json, seal, write_json
from lib.learn.baseline.logistic import LogisticSettings
from lib.learn.head.base import Head
from lib.learn.head.crossfit import fit_head_member
from lib.learn.head.linear import LinearHeadSettings, fit_linear_head, zero_shot_head
from lib.models.embedder.packed import Embedder
from lib.models.member.card import read_card
from lib.models.member.head import HeadMember, HeadSessions, golden_tokens
from lib.models.member.inputs import SoundscapeInputs
from lib.sound.decode import decode
from tests.support.tinyheads import make_head_setup, pack


@dataclass(frozen=True)
class ReorderingSettings(LinearHeadSettings):
    """A linear head that reads several orders of windows, which changes nothing: it scores each window alone."""

    rolls: tuple[int, ...] = (0, 1, -2)
    flip: bool = True


@pytest.fixture(scope="module")
def head_setup(prepared_folder, public, tmp_path_factory):
    head_setup = make_head_setup(load_prepared(prepared_folder), public, tmp_path_factory.mktemp("heads"))
    quick = LogisticSettings(max_iterations=5)
    linear = Head("linear", fit_linear_head, ReorderingSettings(("embedding",), logistic=quick))
    for name, head in (("linear", linear), ("zero_shot", zero_shot_head())):
        fit_head_member(head_setup.prepared, head_setup.data, head, head_setup.member(name), head_setup.embedder, [0])
    return head_setup


@pytest.fixture
def run(head_setup, tmp_path):
    """A copy of the run that a test may spoil."""
    return shutil.copytree(head_setup.embedder.parents[1], tmp_path / "run")


@pytest.fixture(scope="module")
def new_inputs(head_setup, public):
    stem = head_setup.data.sequences.stems[0]
    audio = decode(public / "train_soundscapes" / f"{stem}.ogg")
    return lambda: SoundscapeInputs(parse_soundscape(stem), audio)


def open_head(folder, head_setup):
    return HeadMember(folder, read_card(folder, head_setup.prepared.classes), head_setup.prepared.classes)


def test_heads_on_one_embedder_embed_a_soundscape_once_together(head_setup, new_inputs, monkeypatch):
    heads = [open_head(head_setup.member(name), head_setup) for name in ("linear", "zero_shot")]
    alone = [head.predict(new_inputs()) for head in heads]
    embedded, embed = [], Embedder.embed
    monkeypatch.setattr(Embedder, "embed", lambda self, windows: embedded.append(len(windows)) or embed(self, windows))
    together = new_inputs()
    for head, expected in zip(heads, alone, strict=True):
        np.testing.assert_array_equal(head.predict(together), expected)
    assert embedded == [12]


def test_the_golden_sound_is_embedded_once_for_all_heads(head_setup, monkeypatch):
    golden_tokens.cache_clear()
    embedded, embed = [], Embedder.embed
    monkeypatch.setattr(Embedder, "embed", lambda self, windows: embedded.append(len(windows)) or embed(self, windows))
    for name in ("linear", "zero_shot"):
        open_head(head_setup.member(name), head_setup)
    assert embedded == [12]


def test_all_folds_together_give_their_mean_probability(head_setup, new_inputs):
    head = open_head(head_setup.member("linear"), head_setup)
    alone = [head.predict(new_inputs(), [fold]) for fold in head_setup.prepared.folds.numbers]
    np.testing.assert_allclose(head.predict(new_inputs()), np.mean(alone, axis=0), atol=1e-6)
    assert np.abs(alone[0] - alone[1]).max() > 1e-3
    by_fold = [head.for_fold(fold)(new_inputs()) for fold in head_setup.prepared.folds.numbers]
    np.testing.assert_array_equal(by_fold, alone)
    with pytest.raises(BadInput, match="linear has no model of fold 7"):
        head.for_fold(7)


def test_a_dataset_of_a_folder_each_serves_as_well_as_a_notebooks_output(run, head_setup, tmp_path):
    dataset = tmp_path / "dataset"
    for folder in (*(run / "members").iterdir(), *(run / "embedders").iterdir()):
        shutil.copytree(folder, dataset / folder.name / folder.name)
    shutil.rmtree(run)
    assert open_head(dataset / "linear" / "linear", head_setup)


def test_an_absent_embedder_is_refused_with_what_to_do(run, head_setup):
    shutil.rmtree(run / "embedders")
    with pytest.raises(BadInput, match=r"needs the embedder tiny, which is not there(.|\n)*attach the output"):
        open_head(run / "members" / "linear", head_setup)


def test_another_embedder_of_that_name_is_refused(run, head_setup, tmp_path):
    pack(head_setup.prepared, tmp_path, run / "embedders" / "tiny", first_label=1)
    with pytest.raises(BadInput, match=r"not the one that member linear was fitted on(.|\n)*fit the head again"):
        open_head(run / "members" / "linear", head_setup)


def exchange_folds(member):
    one, other = (member / "fold0.onnx").read_bytes(), (member / "fold2.onnx").read_bytes()
    (member / "fold0.onnx").write_bytes(other)
    (member / "fold2.onnx").write_bytes(one)


def nudge(member):
    model = onnx.load(member / "fold1.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "bias":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(0.02), "bias"))
    onnx.save(model, member / "fold1.onnx")


PLANTED = {
    "exchanged folds": exchange_folds,
    "a missing fold": lambda member: (member / "fold1.onnx").unlink(),
    "another bias": nudge,
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_mismatch_is_refused_when_the_member_is_open_head(run, head_setup, what):
    PLANTED[what](run / "members" / "linear")
    seal(run / "members" / "linear", "member")
    with pytest.raises(BadInput, match=r"does not reproduce its golden output|is incomplete"):
        open_head(run / "members" / "linear", head_setup)


def test_the_clean_copy_is_opened_wherever_it_lies(run, head_setup, new_inputs):
    seal(run / "members" / "linear", "member")
    here, there = (
        open_head(folder, head_setup) for folder in (head_setup.member("linear"), run / "members" / "linear")
    )
    np.testing.assert_array_equal(here.predict(new_inputs()), there.predict(new_inputs()))


def test_a_card_with_another_interface_is_refused(run, head_setup):
    member = run / "members" / "linear"
    write_json(member / "member.json", read_json(member / "member.json") | {"inputs": ["logits"]})
    seal(member, "member")
    with pytest.raises(BadInput, match="another interface"):
        open_head(member, head_setup)


@pytest.fixture(scope="module")
def context_files(tmp_path_factory):
    """Two folds whose logit is the previous window's token plus ten times the site plus the hour; fold 1 adds one."""
    folder = tmp_path_factory.mktemp("context")
    for fold in (0, 1):
        nodes = [
            helper.make_node("Gather", ["embedding", "before"], ["previous"], axis=1),
            helper.make_node("Mul", ["site", "ten"], ["tens"]),
            helper.make_node("Add", ["tens", "hour"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["place"], to=TensorProto.FLOAT),
            helper.make_node("Reshape", ["place", "shape"], ["places"]),
            helper.make_node("Sum", ["previous", "places", "more"], ["logit"]),
        ]
        constants = {"before": np.arange(-1, 11), "ten": np.array([10]), "shape": np.array([-1, 1, 1])}
        constants["more"] = np.array([fold], dtype=np.float32)
        numbers = [helper.make_tensor_value_info(name, TensorProto.INT64, ["files"]) for name in ("site", "hour")]
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["files", 12, 1])
        logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["files", 12, 1])
        tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
        graph = helper.make_graph(nodes, "context", [embedding, *numbers], [logit], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, folder / f"fold{fold}.onnx")
    return folder


def log_odds(probabilities):
    return np.log(probabilities / (1 - probabilities))


def test_site_and_hour_reach_the_graph_and_each_order_is_put_back_in_time(context_files):
    token = np.linspace(-2, 2, 24).reshape(2, 12, 1).astype(np.float32)
    config = {"sites": ["S01", "S07"], "rolls": [0, 3], "flip": True}
    sessions = HeadSessions(context_files, ["embedding", "site", "hour"], config)
    assert sessions.folds == [0, 1]
    found = log_odds(
        sessions.probabilities({"embedding": token, "logits": token}, ["S09", "S01"], np.array([1, 2]), [0])
    )
    before, after = np.roll(token, 1, axis=1), np.roll(token, -1, axis=1)  # reversed, the next comes before
    expected = (2 * before + after) / 3 + np.array([1.0, 12.0])[:, None, None]
    np.testing.assert_allclose(found, expected, rtol=2e-2)  # float32 probabilities near 1
    both = sessions.probabilities({"embedding": token}, ["S09", "S09"], np.array([0, 0]), [0, 1])
    each = [sessions.probabilities({"embedding": token}, ["S09", "S09"], np.array([0, 0]), [fold]) for fold in (0, 1)]
    np.testing.assert_allclose(both, np.mean(each, axis=0), atol=1e-6)
    assert (each[1] > each[0]).all()
