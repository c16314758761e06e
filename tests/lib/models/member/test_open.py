"""Members are cross-fitted, sealed, opened as they were made, and refused when they differ from their card."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from build.project import ROOT
from lib.competition.classes import ClassList
from lib.competition.prepared import clip_targets, load_prepared
from lib.competition.row_ids import parse_soundscape, row_ids
from lib.competition.scores import load_scores
from lib.core.errors import BadInput
from lib.core.records import read_json, seal, write_json
from lib.judge.leakage import judge_member, load_oof_scores
from lib.judge.metric import judge
from lib.learn.baseline.crossfit import ClassicalSettings, fit_prior_member, fit_statistics_member
from lib.learn.baseline.logistic import LogisticSettings
from lib.models.member.card import read_card
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.open import open_member
from lib.models.member.prior import PriorSettings, fit_prior
from lib.sound.decode import decode, soundscape_windows

MEMBERS = ["l0_prior", "l1_statistics"]


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


@pytest.mark.parametrize("name", MEMBERS)
def test_out_of_fold_scores_hold_all_windows_of_the_labelled_soundscapes(members, prepared, name):
    scores = load_oof_scores(members / name, prepared.folds)
    assert set(scores.row_ids) == {row for stem in prepared.windows.stem.unique() for row in row_ids(stem)}
    assert 0 < judge_member(members / name, prepared.labels, prepared.folds).macro < 1


def test_out_of_fold_means_out_of_fold(members, prepared):
    """Fitting on all rows must look better than the judge's score: else the folds leak."""
    windows, truth = prepared.windows, prepared.labels
    refit = fit_prior(windows.site.tolist(), windows.hour.tolist(), truth.values, PriorSettings())
    oof = load_scores(members / "l0_prior" / "oof.parquet")
    stems = [row.rpartition("_")[0] for row in oof.row_ids[::12]]
    seen = oof.with_values(np.concatenate([refit.windows(parse_soundscape(stem)) for stem in stems]))
    assert judge(truth, seen).macro > judge(truth, oof).macro + 0.05


def fit_member(name, prepared, public, folder):
    if name == "l0_prior":
        fit_prior_member(prepared, folder / name, PriorSettings())
    else:
        fit_statistics_member(prepared, public, folder / name, ClassicalSettings(), LogisticSettings(max_iterations=3))
    return load_scores(folder / name / "oof.parquet")


@pytest.mark.parametrize("name", MEMBERS)
def test_a_folds_labels_have_no_part_in_its_own_scores(prepared, public, tmp_path, name):
    """Give fold 0 other labels: its out-of-fold scores may not move by a bit, the other folds' must."""
    fold_of = prepared.folds.of("soundscape")
    here = prepared.windows.stem.map(fold_of) == 0
    other = [
        tuple(prepared.classes.labels[:2]) if h else own for own, h in zip(prepared.windows.labels, here, strict=True)
    ]
    turned = replace(prepared, windows=prepared.windows.assign(labels=other))
    before, after = (fit_member(name, p, public, tmp_path / n) for n, p in (("a", prepared), ("b", turned)))
    held_out = np.array([fold_of[row.rpartition("_")[0]] == 0 for row in before.row_ids])
    np.testing.assert_array_equal(before.values[held_out], after.values[held_out])
    assert (before.values[~held_out] != after.values[~held_out]).any()


def test_a_clips_secondary_labels_are_neither_positive_nor_negative(prepared):
    clips = prepared.clips[prepared.clips.secondary.map(len) > 0].reset_index(drop=True)
    primary, cells = clip_targets(prepared, clips, 0.3)
    for row, clip in clips.iterrows():
        columns = [prepared.classes.index[label] for label in clip.secondary]
        assert (cells[row, columns] == 0).all()
        assert cells[row].sum() == pytest.approx(0.3 * (len(prepared.classes) - len(columns)))
        assert primary[row].sum() == 1


@pytest.mark.parametrize("name", MEMBERS)
def test_a_fold_alone_gives_the_scores_of_what_it_held_out(members, prepared, public, classes, name):
    member, oof = open_member(members / name, classes), load_scores(members / name / "oof.parquet")
    for stem, fold in prepared.folds.of("soundscape").items():
        inputs = SoundscapeInputs(parse_soundscape(stem), decode(public / "train_soundscapes" / f"{stem}.ogg"))
        by_fold = [member.for_fold(number)(inputs) for number in prepared.folds.numbers]
        own = [row.rpartition("_")[0] == stem for row in oof.row_ids]
        np.testing.assert_allclose(by_fold[fold], oof.values[own], atol=1e-5)
    assert np.abs(by_fold[0] - by_fold[1]).max() > 1e-3
    with pytest.raises(BadInput, match=rf"{name} has no model of fold 7(.|\n)*fit the member again"):
        member.for_fold(7)


@pytest.mark.parametrize("name", MEMBERS)
def test_folds_are_opened_only_when_needed(members, classes, public, tmp_path, name):
    copy = shutil.copytree(members / name, tmp_path / name)
    for path in copy.glob("fold*"):
        path.write_bytes(b"not to be opened")
    seal(copy, "member")
    member = open_member(copy, classes)
    path = next(iter(sorted((public / "train_soundscapes").glob("*.ogg"))))
    assert member.score(SoundscapeInputs(parse_soundscape(path.name), decode(path))).shape == (12, len(classes))
    with pytest.raises(Exception, match=r"fold0|pickle"):
        member.for_fold(0)


def test_an_older_member_without_models_by_fold_is_refused_for_a_fold(members, classes, tmp_path):
    copy = shutil.copytree(members / "l0_prior", tmp_path / "l0_prior", ignore=shutil.ignore_patterns("fold*"))
    seal(copy, "member")
    with pytest.raises(BadInput, match=r"no model of fold 1(.|\n)*got:      none"):
        open_member(copy, classes).for_fold(1)


@pytest.mark.parametrize("name", MEMBERS)
def test_an_opened_member_gives_probabilities_for_twelve_windows(members, public, classes, name):
    member = open_member(members / name, classes)
    path = next(iter(sorted((public / "train_soundscapes").glob("*.ogg"))))
    scores = member.score(SoundscapeInputs(parse_soundscape(path.name), decode(path)))
    assert scores.shape == (12, len(classes))
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert member.needs_audio == (name == "l1_statistics")


def test_the_card_holds_all_that_inference_needs(members, classes):
    card = read_card(members / "l1_statistics", classes)
    assert card.config["front_end"]["n_mels"] == 64
    assert card.measured.seconds_per_soundscape > 0
    assert card.measured.parity_max_abs < 1e-4
    assert (card.inputs, card.outputs) == (["features"], ["prob"])


def alter_card(member, tmp_path, **changes):
    """A copy of the member with a changed card, sealed anew, as a careless hand would leave it."""
    copy = shutil.copytree(member, tmp_path / member.name)
    write_json(copy / "member.json", read_json(copy / "member.json") | changes)
    seal(copy, "member")
    return copy


def test_a_damaged_member_is_refused(members, classes, tmp_path):
    copy = shutil.copytree(members / "l1_statistics", tmp_path / "l1_statistics")
    model = bytearray((copy / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (copy / "model.onnx").write_bytes(model)
    with pytest.raises(BadInput, match=r"model\.onnx"):
        open_member(copy, classes)


def test_another_class_list_unknown_families_and_unknown_keys_are_refused(members, classes, tmp_path):
    with pytest.raises(BadInput, match="another class list"):
        open_member(members / "l0_prior", ClassList(tuple(reversed(classes.labels))))
    with pytest.raises(BadInput, match="unknown family"):
        open_member(alter_card(members / "l0_prior", tmp_path, family="oracle"), classes)
    with pytest.raises(BadInput, match="wings"):
        open_member(alter_card(members / "l1_statistics", tmp_path, wings=2), classes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"n_mels": 32, "n_fft": 1024}, "Got invalid dimensions"),
        ({"fmin_hz": 500.0}, "does not reproduce its golden output"),
    ],
)
def test_another_front_end_than_trained_cannot_slip_through(members, classes, tmp_path, changes, text):
    """The front end lives in the card alone: the graph refuses other numbers of features, the golden output others."""
    config = read_json(members / "l1_statistics" / "member.json")["config"]
    other = config | {"front_end": config["front_end"] | changes}
    with pytest.raises(BadInput, match=text):
        open_member(alter_card(members / "l1_statistics", tmp_path, config=other), classes)


def test_the_same_data_and_settings_give_the_same_member(members, prepared, tmp_path):
    fit_prior_member(prepared, tmp_path / "l0_prior", PriorSettings())
    for name in ("prior.npz", "oof.parquet", "training.json"):
        assert (tmp_path / "l0_prior" / name).read_bytes() == (members / "l0_prior" / name).read_bytes()


def test_windows_reach_the_member_unchanged():
    audio = np.random.default_rng(0).normal(size=12 * 160_000).astype(np.float32)
    np.testing.assert_array_equal(soundscape_windows(audio).ravel(), audio)


def test_the_runtimes_telemetry_is_off():
    """onnxruntime reads the variable at its first import, which must be ours."""
    code = "import os; from lib.submit.receipt import versions; print(os.environ['ORT_DISABLE_TELEMETRY'], *versions())"
    bare = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=bare, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("1 python onnxruntime")
