"""A network member predicts as in training, or it is refused: mismatches planted one by one, each sealed anew."""

import shutil
from functools import partial

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from lib.competition.classes import ClassList
from lib.competition.prepared import load_prepared
from lib.competition.row_ids import parse_soundscape
from lib.competition.scores import load_scores
from lib.core.errors import BadInput
from lib.core.records import read_json, seal, write_json
from lib.models.export.network import NETWORK_INPUTS, NETWORK_OUTPUTS
from lib.models.member import network as network_module
from lib.models.member import windows as window_module
from lib.models.member.card import read_card
from lib.models.member.golden_output import golden_sound, write_golden_output
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.network import NetworkMember
from lib.models.member.open import open_member
from lib.models.member.windows import mean_probabilities
from lib.models.runtime.onnx import OnnxSession
from lib.sound.decode import decode


@pytest.fixture
def copy(network_member, tmp_path):
    """A copy of the member that a test may spoil."""
    return shutil.copytree(network_member, tmp_path / network_member.name)


def with_card(folder, part, **settings):
    """Change settings of a part of the plan on the card, as a careless hand would."""
    card = read_json(folder / "member.json")
    assert set(settings) <= set(card["config"][part])
    card["config"][part] |= settings
    write_json(folder / "member.json", card)


def exchange_classes(path):
    """Exchange the first two classes of the graph's outputs."""
    model = onnx.load(path)
    columns = np.array([1, 0, *range(2, 12)])
    model.graph.initializer.append(numpy_helper.from_array(columns, "columns"))
    for name in ("clip_logits", "frame_logits"):
        for node in model.graph.node:
            for names in (node.input, node.output):
                names[:] = [f"{n}_before" if n == name else n for n in names]
        model.graph.node.append(helper.make_node("Gather", [f"{name}_before", "columns"], [name], axis=1))
    onnx.save(model, path)


def nudge(path):
    """Change each weight matrix of the graph by a hundredth."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if len(tensor.dims) > 1:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.01), tensor.name))
    onnx.save(model, path)


def exchange(one, other):
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
}
PLANTED = {
    **{what: partial(with_card, part="front_end", **settings) for what, settings in FRONT_END.items()},
    "more seconds": lambda folder: with_card(folder, "crop", seconds=10),
    "a missing fold": lambda folder: (folder / "fold1.onnx").unlink(),
    "no folds": lambda folder: [path.unlink() for path in folder.glob("*.onnx")],
    "another member's fold": lambda folder: shutil.copy(folder / "fold0.onnx", folder / "fold3.onnx"),
    "exchanged folds": lambda folder: exchange(folder / "fold0.onnx", folder / "fold2.onnx"),
    "exchanged classes": lambda folder: exchange_classes(folder / "fold1.onnx"),
    "other weights": lambda folder: nudge(folder / "fold2.onnx"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_mismatch_is_refused_when_the_member_is_opened(copy, classes, what):
    PLANTED[what](copy)
    seal(copy, "member")
    with pytest.raises(BadInput, match=r"does not reproduce its golden output|fails on the golden sound|is incomplete"):
        open_member(copy, classes)


def test_the_clean_copy_is_opened(copy, classes):
    seal(copy, "member")
    assert open_member(copy, classes).needs_audio


def test_damage_and_another_order_of_classes_are_refused_before_anything_runs(copy, classes):
    with pytest.raises(BadInput, match="another class list"):
        open_member(copy, ClassList(tuple(reversed(classes.labels))))
    nudge(copy / "fold2.onnx")
    with pytest.raises(BadInput, match=r"fold2\.onnx"):
        open_member(copy, classes)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_another_padding_of_short_files_is_refused(network_member, classes, monkeypatch, mode):
    monkeypatch.setattr(window_module, "fit_length", lambda audio, n: np.pad(audio, (0, n - len(audio)), mode=mode))
    with pytest.raises(BadInput, match="does not reproduce its golden output"):
        open_member(network_member, classes)


def test_a_fold_alone_gives_the_out_of_fold_scores_and_all_together_their_mean(
    network_member, prepared_folder, public, classes
):
    prepared, oof = load_prepared(prepared_folder), load_scores(network_member / "oof.parquet")
    networks = NetworkMember(network_member, read_card(network_member, classes))
    for stem, fold in prepared.folds.of("soundscape").items():
        audio = decode(public / "train_soundscapes" / f"{stem}.ogg")
        rows = [row.startswith(stem) for row in oof.row_ids]
        np.testing.assert_allclose(networks.predict_audio(audio, [fold]), oof.values[rows], atol=1e-6)
    alone = [networks.predict_audio(audio, [number]) for number in prepared.folds.numbers]
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    together = open_member(network_member, classes).score(SoundscapeInputs(parse_soundscape(stem), audio))
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-6)


def alone(path, networks, audio):
    """(12, classes) a file's probabilities of audio."""
    session = OnnxSession(path, inputs=NETWORK_INPUTS, outputs=NETWORK_OUTPUTS)
    mels = networks.window_spec.spectrograms(audio, networks.front_end)
    return mean_probabilities(mels, networks.window_spec, [lambda mel: session.run(spectrogram=mel)])


@pytest.fixture
def full_data(copy, classes):
    """The member with a network trained on the full data, whose golden output it keeps."""
    networks = NetworkMember(copy, read_card(copy, classes))
    shutil.copy(copy / "fold0.onnx", copy / "full_data.onnx")
    nudge(copy / "full_data.onnx")
    write_golden_output(copy, alone(copy / "full_data.onnx", networks, golden_sound())[None])
    seal(copy, "member")
    return copy


@pytest.fixture
def opened(monkeypatch):
    """The names of the files that were opened."""
    names, open_file = [], OnnxSession.__init__

    def note(self, path, **interface):
        names.append(path.name)
        open_file(self, path, **interface)

    monkeypatch.setattr(OnnxSession, "__init__", note)
    return names


def test_a_full_data_network_is_served_alone_and_folds_are_opened_when_needed(
    full_data, network_member, public, classes, opened
):
    before, member = open_member(network_member, classes), open_member(full_data, classes)
    assert opened == ["fold0.onnx", "fold1.onnx", "fold2.onnx", "full_data.onnx"]
    path = sorted((public / "train_soundscapes").glob("*.ogg"))[0]
    inputs = SoundscapeInputs(parse_soundscape(path.name), decode(path))
    networks = NetworkMember(full_data, read_card(full_data, classes))
    expected = alone(full_data / "full_data.onnx", networks, inputs.audio)
    np.testing.assert_allclose(member.score(inputs), expected, atol=1e-6)
    opened.clear()
    by_fold = [member.for_fold(fold)(inputs) for fold in range(3)]
    assert opened == ["fold0.onnx", "fold1.onnx", "fold2.onnx"]
    assert [np.abs(values - expected).max() > 1e-3 for values in by_fold] == [True] * 3
    np.testing.assert_allclose(np.mean(by_fold, axis=0), before.score(inputs), atol=1e-6)
    opened.clear()
    assert [before.for_fold(fold)(inputs).tolist() for fold in range(3)] == [values.tolist() for values in by_fold]
    assert opened == []  # they are served, so they are open


@pytest.mark.parametrize("what", ["other weights", "no full-data network", "another member's full-data network"])
def test_a_served_network_that_is_not_the_trained_one_is_refused(full_data, classes, what):
    if what == "other weights":
        nudge(full_data / "full_data.onnx")
    elif what == "no full-data network":
        (full_data / "full_data.onnx").unlink()
    else:
        shutil.copy(full_data / "fold2.onnx", full_data / "full_data.onnx")
    seal(full_data, "member")
    with pytest.raises(BadInput, match=r"does not reproduce its golden output|is incomplete"):
        open_member(full_data, classes)


def test_a_fold_that_is_not_there_is_named(full_data, network_member, classes):
    (full_data / "fold1.onnx").unlink()
    seal(full_data, "member")
    with pytest.raises(BadInput, match=r"has no model of fold 1(.|\n)*folds 0, 2"):
        open_member(full_data, classes).for_fold(1)
    with pytest.raises(BadInput, match="has no model of fold 3"):
        NetworkMember(network_member, read_card(network_member, classes)).predict_audio(golden_sound(), [3])


def test_spectrograms_are_computed_once_for_all_folds(network_member, public, classes, monkeypatch):
    member, computed = open_member(network_member, classes), []
    compute = network_module.tta_spectrograms
    monkeypatch.setattr(
        network_module, "tta_spectrograms", lambda *arguments: computed.append(arguments[-1]) or compute(*arguments)
    )
    path = sorted((public / "train_soundscapes").glob("*.ogg"))[0]
    inputs = SoundscapeInputs(parse_soundscape(path.name), decode(path))
    for fold in range(3):
        member.for_fold(fold)(inputs)
    assert len([copies for copies in computed if copies]) == 1
