"""A TTA member is one like any other: own scores and golden output, its source's networks, more forward passes."""

import shutil
from collections import Counter

import numpy as np
import pytest

from lib.competition.prepared import load_prepared
from lib.competition.row_ids import parse_soundscape, row_ids
from lib.competition.scores import load_scores
from lib.core.errors import BadInput
from lib.core.records import read_json, seal, write_json
from lib.judge.leakage import judge_member
from lib.learn.network.tta_member import TTA_PRESETS, find_tta, write_tta_member
from lib.models.member import windows as window_specs
from lib.models.member.card import read_card
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.network import NetworkMember
from lib.models.member.open import open_member
from lib.models.member.tta import TTA, TTAPass
from lib.models.runtime.onnx import OnnxSession
from lib.sound.decode import decode


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


@pytest.fixture(scope="module")
def beside(network_member, tmp_path_factory):
    """A folder with a copy of the member and its TTA of three shifts, made once; read it, never write to it."""
    return shutil.copytree(network_member, tmp_path_factory.mktemp("tta") / "members" / "l2_tiny").parent


@pytest.fixture(scope="module")
def tta_member(beside, prepared, public):
    write_tta_member(beside / "l2_tiny", TTA_PRESETS["shifts"], prepared, public, beside / "l2_shifts")
    return beside / "l2_shifts"


@pytest.fixture
def copied(network_member, tmp_path):
    """A copy of the member that a test may spoil."""
    return shutil.copytree(network_member, tmp_path / "l2_tiny")


@pytest.fixture
def counted(monkeypatch):
    """The windows of each call that makes spectrograms, and the calls of networks by number of windows."""
    counts, calls = [], Counter()
    spectrograms, run = window_specs.soundscape_spectrograms, OnnxSession.run

    def drawn(audio, front_end, starts, samples):
        counts.append(len(starts))
        return spectrograms(audio, front_end, starts, samples)

    def counted_run(self, **inputs):
        calls[len(inputs["spectrogram"])] += 1
        return run(self, **inputs)

    monkeypatch.setattr(window_specs, "soundscape_spectrograms", drawn)
    monkeypatch.setattr(OnnxSession, "run", counted_run)
    return counts, calls


def some_inputs(public):
    path = sorted((public / "train_soundscapes").glob("*.ogg"))[0]
    return SoundscapeInputs(parse_soundscape(path.name), decode(path))


def test_a_tta_member_has_its_sources_networks_and_training_record_and_is_judged_out_of_fold(
    tta_member, beside, prepared, public, classes
):
    source, card = beside / "l2_tiny", read_card(tta_member, classes)
    for name in ("fold0.onnx", "fold1.onnx", "fold2.onnx", "training.json"):
        assert (tta_member / name).read_bytes() == (source / name).read_bytes()
    plain = read_card(source, classes)
    assert card.config == plain.config | {"tta": read_json(tta_member / "member.json")["config"]["tta"]}
    assert (card.name, card.family) == ("l2_shifts", "network")
    assert card.config_fingerprint != plain.config_fingerprint
    assert card.measured.seconds_per_soundscape > 0
    oof, networks = load_scores(tta_member / "oof.parquet"), NetworkMember(source, plain)
    for stem, fold in prepared.folds.of("soundscape").items():
        audio = decode(public / "train_soundscapes" / f"{stem}.ogg")
        expected = networks.with_tta(TTA_PRESETS["shifts"]).predict_audio(audio, [fold])
        np.testing.assert_allclose(oof.values[[oof.row_ids.index(row) for row in row_ids(stem)]], expected, atol=1e-6)
    assert np.abs(oof.values - load_scores(source / "oof.parquet").values).max() > 1e-3
    assert 0 < judge_member(tta_member, prepared.labels, prepared.folds).macro < 1


def test_an_opened_tta_member_predicts_as_all_its_folds_and_one_that_was_changed_is_refused(
    tta_member, public, classes, tmp_path
):
    inputs = some_inputs(public)
    alone = NetworkMember(tta_member, read_card(tta_member, classes))
    expected = np.mean([alone.predict_audio(inputs.audio, [fold]) for fold in range(3)], axis=0)
    np.testing.assert_allclose(open_member(tta_member, classes).score(inputs), expected, atol=1e-6)
    other = shutil.copytree(tta_member, tmp_path / "other")
    card = read_json(other / "member.json")
    card["config"]["tta"]["passes"][1]["shift_s"] = -1.0
    write_json(other / "member.json", card)
    seal(other, "member")
    with pytest.raises(BadInput, match="does not reproduce its golden output"):
        open_member(other, classes)


def test_a_shift_costs_its_forward_passes_and_no_spectrogram(tta_member, beside, public, classes, counted):
    plain, shifted = open_member(beside / "l2_tiny", classes), open_member(tta_member, classes)
    windows, calls = counted
    for members, drawn in {
        "plain": ([plain], [12]),
        "tta": ([shifted], [36]),
        "tta first": ([shifted, plain], [36]),
        "plain first": ([plain, shifted], [12, 24]),
        "twice": ([shifted, shifted], [36]),
    }.values():
        windows.clear()
        calls.clear()
        inputs = some_inputs(public)
        for member in members:
            member.score(inputs)
        assert [each for each in windows if each] == drawn
        assert calls == {12: sum(3 if member is plain else 9 for member in members)}


def test_the_order_of_members_changes_no_prediction(tta_member, beside, public, classes):
    members = [open_member(beside / "l2_tiny", classes), open_member(tta_member, classes)]
    one, other = some_inputs(public), some_inputs(public)
    forth = [member.score(one) for member in members]
    back = [member.score(other) for member in reversed(members)]
    np.testing.assert_allclose(forth, back[::-1], atol=1e-5)


@pytest.mark.parametrize("tta", [TTA(), TTA_PRESETS["long"], TTA([TTAPass(), TTAPass(gain_db=3.0)])])
def test_tta_that_changes_no_input_of_the_network_is_refused(beside, prepared, public, tmp_path, tta):
    with pytest.raises(BadInput, match="would predict the same"):
        write_tta_member(beside / "l2_tiny", tta, prepared, public, tmp_path / "view")
    assert not (tmp_path / "view").exists()


def test_tta_on_tta_of_no_network_or_in_its_sources_place_is_refused(tta_member, members, prepared, public, tmp_path):
    with pytest.raises(BadInput, match="l2_shifts cannot be given TTA"):
        write_tta_member(tta_member, TTA_PRESETS["half"], prepared, public, tmp_path / "view")
    with pytest.raises(BadInput, match="l0_prior cannot be given TTA"):
        write_tta_member(members / "l0_prior", TTA_PRESETS["half"], prepared, public, tmp_path / "view")
    source = tta_member.with_name("l2_tiny")
    with pytest.raises(BadInput, match="would replace its source"):
        write_tta_member(source, TTA_PRESETS["half"], prepared, public, source)
    assert (source / "fold0.onnx").is_file()


def test_a_damaged_source_or_one_that_was_trained_on_what_it_scores_is_refused(copied, prepared, public, tmp_path):
    training = read_json(copied / "training.json")
    stem, fold = next(iter(prepared.folds.of("soundscape").items()))
    training["soundscapes"][stem].append(fold)
    write_json(copied / "training.json", training)
    with pytest.raises(BadInput, match="was changed or damaged"):
        write_tta_member(copied, TTA_PRESETS["half"], prepared, public, tmp_path / "view")
    seal(copied, "member")
    with pytest.raises(BadInput, match="has out-of-fold scores of rows it was trained on"):
        write_tta_member(copied, TTA_PRESETS["half"], prepared, public, tmp_path / "view")


def test_an_unknown_preset_is_refused_with_those_there_are():
    with pytest.raises(BadInput, match="shifts, half, s3, long"):
        find_tta("owl")
