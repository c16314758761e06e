"""A network member answers as in training, or it is not opened: mismatches planted one by one, each sealed anew."""

import shutil
from functools import partial

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from lib.competition.classes import ClassList
from lib.competition.errors import BadInput
from lib.competition.names import parse_soundscape
from lib.competition.prepared import load_prepared
from lib.competition.records import read_json, seal, write_json
from lib.competition.scores import load_scores
from lib.models import listening
from lib.models.applied_network import AppliedNetwork
from lib.models.card import read_card
from lib.models.hearing import Hearing
from lib.models.members import open_member
from lib.sound.decode import decode


@pytest.fixture
def twin(network_member, tmp_path):
    """A copy of the member that a test may spoil."""
    return shutil.copytree(network_member, tmp_path / network_member.name)


def with_card(folder, part, **settings):
    """Change settings of a part of the plan on the card, as a careless hand would."""
    card = read_json(folder / "member.json")
    assert set(settings) <= set(card["config"][part])
    card["config"][part] |= settings
    write_json(folder / "member.json", card)


def permuted(path):
    """Let the graph answer with its first two classes exchanged."""
    model = onnx.load(path)
    columns = np.array([1, 0, *range(2, 12)])
    model.graph.initializer.append(numpy_helper.from_array(columns, "columns"))
    for name in ("clip_logits", "frame_logits"):
        for node in model.graph.node:
            for names in (node.input, node.output):
                names[:] = [f"{n}_before" if n == name else n for n in names]
        model.graph.node.append(helper.make_node("Gather", [f"{name}_before", "columns"], [name], axis=1))
    onnx.save(model, path)


def nudged(path):
    """Change each weight matrix of the graph by a hundredth."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if len(tensor.dims) > 1:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.01), tensor.name))
    onnx.save(model, path)


def exchanged(one, other):
    """Exchange two files."""
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


FRONT_END = {
    "another number of bands": {"n_mels": 33},
    "another hop": {"hop_samples": 1000},
    "a slightly other hop, with as many frames": {"hop_samples": 1022},
    "another lowest frequency": {"fmin_hz": 60.0},
    "another highest frequency": {"fmax_hz": 15500.0},
    "another scale of bands": {"mel_scale": "slaney"},
    "bands of unit area": {"mel_norm": "slaney"},
    "another spectrum": {"n_fft": 2048},
    "another taper": {"taper_samples": 512},
    "magnitudes": {"magnitude_power": 1.0},
    "PCEN": {"level": "pcen"},
    "a narrower range": {"top_db": 60.0},
    "the file's peak": {"scope": "file", "top_db": 80.0},
    "no normalisation": {"normalise": "none"},
    "another normalisation": {"normalise": "zscore minmax"},
    "real sound at the edges": {"edges": "file"},
}  # fmt: skip
PLANTED = {
    **{what: partial(with_card, part="front_end", **settings) for what, settings in FRONT_END.items()},
    "more seconds": lambda folder: with_card(folder, "crop", seconds=10),
    "a missing fold": lambda folder: (folder / "fold1.onnx").unlink(),
    "no folds": lambda folder: [path.unlink() for path in folder.glob("*.onnx")],
    "another member's fold": lambda folder: shutil.copy(folder / "fold0.onnx", folder / "fold3.onnx"),
    "exchanged folds": lambda folder: exchanged(folder / "fold0.onnx", folder / "fold2.onnx"),
    "exchanged classes": lambda folder: permuted(folder / "fold1.onnx"),
    "other weights": lambda folder: nudged(folder / "fold2.onnx"),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_mismatch_is_refused_when_the_member_is_opened(twin, classes, what):
    PLANTED[what](twin)
    seal(twin, "member")
    with pytest.raises(BadInput, match=r"does not hear as it did|cannot answer the probe|is not whole"):
        open_member(twin, classes)


def test_the_clean_twin_is_opened(twin, classes):
    seal(twin, "member")
    assert open_member(twin, classes).needs_audio


def test_damage_and_another_order_of_classes_are_refused_before_anything_is_asked(twin, classes):
    with pytest.raises(BadInput, match="another class list"):
        open_member(twin, ClassList(tuple(reversed(classes.labels))))
    nudged(twin / "fold2.onnx")
    with pytest.raises(BadInput, match=r"fold2\.onnx"):
        open_member(twin, classes)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_another_padding_of_short_files_is_refused(network_member, classes, monkeypatch, mode):
    monkeypatch.setattr(listening, "fit_length", lambda audio, n: np.pad(audio, (0, n - len(audio)), mode=mode))
    with pytest.raises(BadInput, match="does not hear as it did"):
        open_member(network_member, classes)


def test_a_fold_asked_alone_gives_the_out_of_fold_scores_and_all_together_their_mean(
    network_member, prepared_folder, public, classes
):
    prepared, oof = load_prepared(prepared_folder), load_scores(network_member / "oof.parquet")
    networks = AppliedNetwork(network_member, read_card(network_member, classes))
    for stem, fold in prepared.folds.of("soundscape").items():
        audio = decode(public / "train_soundscapes" / f"{stem}.ogg")
        rows = [row.startswith(stem) for row in oof.row_ids]
        np.testing.assert_allclose(networks.score(audio, [fold]), oof.values[rows], atol=1e-6)
    alone = [networks.score(audio, [number]) for number in prepared.folds.numbers]
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    together = open_member(network_member, classes).score(Hearing(parse_soundscape(stem), audio))
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-6)
