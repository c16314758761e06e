"""Fitting a network: what is honest is judged, what is finished or interrupted goes on, what is wrong is refused."""

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from build.project import ROOT
from lib.competition.prepared import load_prepared
from lib.competition.row_ids import parse_soundscape, row_ids
from lib.competition.scores import load_scores
from lib.core.errors import BadInput
from lib.core.records import MEASURED, check_seal, read_json, seal, to_json, write_json
from lib.judge.leakage import judge_member
from lib.learn.network import crossfit as fit_network
from lib.learn.network.config import override
from lib.learn.network.dataset import fold_examples, soundscape_stems
from lib.models.member.card import read_card
from lib.models.member.golden_output import golden_sound
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.network import NetworkMember
from lib.models.member.open import open_member
from tests.support.tinylabels import tiny_labels, write_labels
from tests.support.tinyplan import TINY_PLAN, fit


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


@pytest.fixture
def here(monkeypatch):
    """Folds are trained one after the other in this process, which starts at once."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the processes of folds do: sums in another order are other weights
    monkeypatch.setattr(fit_network, "train_folds", lambda folds, run, places: {n: run(n, "cpu") for n in folds})
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def beside(network_member, tmp_path):
    """A copy of the member, of its training and of the audio cache, in which a test may go on."""
    return shutil.copytree(network_member.parents[1], tmp_path / "networks")


def stem_of(public):
    return soundscape_stems(public)[0]


def trainings(folder):
    return sorted((folder / "training").iterdir())


def test_all_windows_of_the_labelled_soundscapes_are_scored_and_judged(network_member, prepared):
    scores = load_scores(network_member / "oof.parquet")
    assert sorted(scores.row_ids) == sorted(row for stem in set(prepared.windows.stem) for row in row_ids(stem))
    assert 0 < judge_member(network_member, prepared.labels, prepared.folds).macro < 1


def test_the_training_record_holds_backgrounds_too_and_a_leak_is_refused(beside, prepared, public):
    member = beside / "members" / "l2_tiny"
    training = read_json(member / "training.json")
    assert set(training["soundscapes"]) - set(prepared.windows.stem)  # backgrounds
    for fold in prepared.folds.numbers:
        trained_on = {stem for stem, folds in training["soundscapes"].items() if fold in folds}
        own = fold_examples(prepared, soundscape_stems(public), fold, TINY_PLAN.targets, 5)
        assert trained_on == {*own.soundscapes.items, *own.backgrounds}
        assert {clip for clip, folds in training["clips"].items() if fold in folds} == set(own.clips.items)
    stem, fold = next(iter(prepared.folds.of("soundscape").items()))
    training["soundscapes"][stem].append(fold)
    write_json(member / "training.json", training)
    with pytest.raises(BadInput, match="has out-of-fold scores of rows it was trained on"):
        judge_member(member, prepared.labels, prepared.folds)


def test_the_card_holds_what_was_measured(network_member, classes):
    card = read_card(network_member, classes)
    assert card.family == "network"
    assert 0 < card.measured.seconds_per_soundscape < 60
    assert 0 <= card.measured.parity_max_abs < 1e-3
    assert card.config["loop"]["epochs"] == 2


def test_what_is_finished_is_not_trained_again_and_some_folds_make_no_member(
    beside, here, prepared, prepared_folder, public, capsys
):
    member, (training,) = beside / "members" / "l2_tiny", trainings(beside)
    whole = load_scores(member / "oof.parquet")
    shutil.rmtree(member)
    before = {path: path.stat().st_mtime_ns for path in training.rglob("checkpoint")}
    fitted = fit(TINY_PLAN, "l2_tiny", prepared_folder, public, beside, folds=[1])
    assert "fold1: finished before" in capsys.readouterr().out
    assert len(before) == 3
    assert {path: path.stat().st_mtime_ns for path in training.rglob("checkpoint")} == before
    assert fitted.card is None
    assert not member.exists()
    assert fitted.history.epoch.tolist() == [1, 2]
    held_out = {row for stem, fold in prepared.folds.of("soundscape").items() if fold == 1 for row in row_ids(stem)}
    assert set(fitted.oof.row_ids) == held_out
    rows = [row in held_out for row in whole.row_ids]
    np.testing.assert_allclose(fitted.oof.values, whole.values[rows], atol=1e-5)


def test_another_plan_or_seed_is_trained_in_a_folder_of_its_own(beside, here, prepared_folder, public, capsys):
    short = override(TINY_PLAN, epochs=1, steps_per_epoch=1)
    for seed in (1, 2):
        fit(short, "l2_tiny", prepared_folder, public, beside, folds=[0], seed=seed)
    assert "finished before" not in capsys.readouterr().out
    assert len(trainings(beside)) == 3


@pytest.mark.parametrize("folds", [[0, 7], []])
def test_an_unknown_fold_or_none_is_refused(prepared_folder, public, tmp_path, folds):
    with pytest.raises(BadInput, match="no such fold"):
        fit(TINY_PLAN, "l2_tiny", prepared_folder, public, tmp_path, folds=folds)


STUDENT = override(TINY_PLAN, pseudo_ratio=1.0)


@pytest.fixture
def labels(beside, prepared, public):
    """Soft labels under the name of the member."""
    teacher = beside / "members" / "l2_tiny"
    return tiny_labels(beside / "labels" / "first", prepared, public, {"l2_tiny": teacher})


def test_labels_and_a_ratio_go_together(labels, beside, prepared_folder, public):
    with pytest.raises(BadInput, match=r"labels and pseudo_ratio go together(.|\n)*labels None(.|\n)*04_pseudo_labels"):
        fit(STUDENT, "student", prepared_folder, public, beside)
    with pytest.raises(BadInput, match=r"go together(.|\n)*pseudo_ratio 0"):
        fit(TINY_PLAN, "student", prepared_folder, public, beside, labels=labels)
    with pytest.raises(BadInput, match=r"go together(.|\n)*labels None, pseudo_ratio 0.0, pooled"):
        fit(TINY_PLAN, "student", prepared_folder, public, beside, pooled=True)


def test_labels_that_cannot_be_trained_on_are_refused_before_anything_is_decoded(
    labels, beside, prepared, prepared_folder, public, tmp_path
):
    def refused(match, folder=labels, plan=STUDENT, **how):
        with pytest.raises(BadInput, match=match):
            fit(plan, "student", prepared_folder, public, beside, labels=folder, cache_folder=tmp_path / "new", **how)
        assert not (tmp_path / "new").exists()

    refused("no soft labels at", folder=tmp_path / "nowhere")
    refused(r"the teacher l2_tiny is missing(.|\n)*among l9_owl", others={"l9_owl": beside})
    refused("nothing passes the gate, of fold 0", plan=override(STUDENT, gate_threshold=0.99))
    refused("rejects nothing, of fold 0", plan=override(STUDENT, gate_threshold=0.001))
    few = tiny_labels(tmp_path / "few", replace(prepared, folds=prepared.folds), public, {})
    card = read_json(few / "labels.json")
    write_json(few / "labels.json", card | {"folds": card["folds"][:2]})
    seal(few, "labels")
    refused(r"not made for every fold(.|\n)*none for \[2\]", folder=few)
    write_json(few / "labels.json", card | {"fold_version": "owl"})
    seal(few, "labels")
    refused("other folds", folder=few)
    stems = [*card["stems"], "BC2026_Train_9999_S99_20250101_050000"]
    probabilities = np.zeros((len(stems), 12, len(prepared.classes)))
    probabilities[:, 0, 0] = 0.9
    gone = write_labels(tmp_path / "gone", prepared, dict.fromkeys(prepared.folds.numbers, probabilities), stems, {})
    refused(r"labelled are not there(.|\n)*no BC2026_Train_9999", folder=gone)
    teacher = beside / "members" / "l2_tiny"
    training = read_json(teacher / "training.json")
    stem, fold = next(iter(prepared.folds.of("soundscape").items()))
    training["soundscapes"][stem].append(fold)
    write_json(teacher / "training.json", training)
    seal(teacher, "member")
    refused("is not the one that made the labels")
    leaky = tiny_labels(tmp_path / "leaky", prepared, public, {"l2_tiny": teacher})
    refused("l2_tiny has out-of-fold scores", folder=leaky)  # its student would be refused too


def test_a_student_names_its_teacher_and_its_training_data_and_is_judged_through_it(
    labels, beside, here, prepared, prepared_folder, public, classes, capsys
):
    teacher, student = beside / "members" / "l2_tiny", beside / "members" / "student"
    few = override(STUDENT, epochs=1, steps_per_epoch=2, serve="one")
    fitted = fit(few, "student", prepared_folder, public, beside, labels=labels)
    printed = capsys.readouterr().out
    assert "fold 0: " in printed
    assert f"{prepared.windows.stem.nunique()} labelled" in printed
    assert "GB once they are decoded" in printed
    training = read_json(student / "training.json")
    assert (training["teachers"], training["pooled_teachers"]) == (["l2_tiny"], [])
    for fold in prepared.folds.numbers:
        trained_on = {stem for stem, folds in training["soundscapes"].items() if fold in folds}
        own = fitted.run.examples(fold)
        assert trained_on == {*own.soundscapes.items, *own.pseudo.items}
    assert read_card(student, classes).config["labels"] == check_seal(labels)
    assert set(fitted.run.examples(None).pseudo.items) >= set(own.pseudo.items)
    assert (
        len(open_member(student, classes).score(SoundscapeInputs(parse_soundscape(stem_of(public)), golden_sound())))
        == 12
    )
    assert (student / "full_data.onnx").is_file()
    assert 0 < judge_member(student, prepared.labels, prepared.folds).macro < 1
    training = read_json(teacher / "training.json")
    stem, fold = next(iter(prepared.folds.of("soundscape").items()))
    training["soundscapes"][stem].append(fold)
    write_json(teacher / "training.json", training)
    with pytest.raises(BadInput, match=r"student has out-of-fold scores(.|\n)*through l2_tiny"):
        judge_member(student, prepared.labels, prepared.folds)


def test_other_labels_or_pooled_ones_are_another_training_and_another_config(
    labels, beside, here, prepared, prepared_folder, public, tmp_path
):
    few, before = override(STUDENT, epochs=1, steps_per_epoch=1), len(trainings(beside))
    other = tiny_labels(tmp_path / "other", prepared, public, {}, seed=1)
    prints = set()
    for how in ({"labels": labels}, {"labels": labels, "pooled": True}, {"labels": other}, {"labels": labels}):
        fitted = fit(few, "student", prepared_folder, public, beside, folds=[0], **how)
        prints.add(fitted.run.config_fingerprint)
    assert len(prints) == 3
    assert len(trainings(beside)) == before + 3


def test_a_student_of_pooled_labels_is_refused_by_the_judge(labels, beside, here, prepared, prepared_folder, public):
    few = override(STUDENT, epochs=1, steps_per_epoch=1)
    leaky = fit(few, "leaky", prepared_folder, public, beside, labels=labels, pooled=True, folds=[0])
    training = fit_network._training_record(leaky.run)
    assert (training.teachers, training.pooled_teachers) == ([], ["l2_tiny"])
    assert any(fold in training.soundscapes[stem] for stem, fold in prepared.folds.of("soundscape").items())
    for record in (
        training,
        replace(training, soundscapes={}),
    ):  # for its own training data, and for its teachers'
        member = shutil.copytree(beside / "members" / "l2_tiny", beside / "members" / "leaky", dirs_exist_ok=True)
        write_json(member / "training.json", to_json(record))
        with pytest.raises(BadInput, match="leaky has out-of-fold scores of rows it was trained on"):
            judge_member(member, prepared.labels, prepared.folds)


@pytest.mark.slow
def test_one_network_of_everything_is_served_and_the_folds_scores_stay_as_they_are(
    beside, here, prepared, prepared_folder, public, classes, capsys
):
    alone, (training,) = beside / "members" / "l2_tiny", trainings(beside)
    oof, parts = (alone / "oof.parquet").read_bytes(), sorted(path.name for path in alone.glob("*.onnx"))
    fitted = fit(override(TINY_PLAN, serve="one"), "l2_tiny", prepared_folder, public, beside)
    assert trainings(beside) == [training]  # the folds are as they were
    assert capsys.readouterr().out.count("finished before") == 3
    assert (alone / "oof.parquet").read_bytes() == oof
    assert sorted(path.name for path in alone.glob("*.onnx")) == [*parts, "full_data.onnx"]
    assert set(fitted.parity.index.get_level_values("fold")) == {"fold 0", "fold 1", "fold 2", "whole"}
    assert np.load(alone / "golden_output.npy").shape[0] == 1
    assert fitted.full_data_history.epoch.tolist() == [1, 2]
    assert "soundscapes" not in fitted.full_data_history
    whole = fitted.run.examples(None)
    assert set(whole.soundscapes.items) == set(prepared.windows.stem)
    assert len(whole.clips) == len(prepared.clips)
    opened = NetworkMember(alone, read_card(alone, classes))
    mean = np.mean([opened.predict_audio(golden_sound(), [fold]) for fold in prepared.folds.numbers], axis=0)
    assert not np.allclose(opened.predict_each(golden_sound())[0], mean, atol=1e-3)
    assert 0 < judge_member(alone, prepared.labels, prepared.folds).macro < 1


def test_an_error_in_a_folds_process_arrives_as_it_was_raised(prepared_folder, public, tmp_path):
    with pytest.raises(BadInput, match="timm has no network 'owl9'"):
        fit(override(TINY_PLAN, backbone="owl9"), "l2_owl", prepared_folder, public, tmp_path, folds=[0])
    assert not (tmp_path / "members").exists()


@pytest.mark.slow
def test_killed_in_an_epoch_and_run_again_it_is_the_same_member(
    network_member, prepared_folder, public, tmp_path, capsys
):
    paths = [str(ROOT)]
    where = [str(prepared_folder), str(public), str(tmp_path)]
    code = (
        f"import sys; sys.path[:0] = {paths!r}; from pathlib import Path; "
        "from tests.support.tinyplan import TINY_PLAN, fit; "
        f"prepared, public, folder = map(Path, {where!r}); fit(TINY_PLAN, 'l2_tiny', prepared, public, folder)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("training/*/fold0/checkpoint")):
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)  # some steps into the next epoch
    parent.send_signal(signal.SIGKILL)
    parent.wait(30)
    (training,) = trainings(tmp_path)
    time.sleep(1)  # the folds' processes end with it
    assert not (training / "fold0" / "network.pt").exists(), "it was over before it was killed"
    fit(TINY_PLAN, "l2_tiny", prepared_folder, public, tmp_path)
    assert "fold0: goes on at step 40" in capsys.readouterr().out
    same_member(network_member, tmp_path / "members" / "l2_tiny")


def same_member(one, other):
    """Assert that two members are the same byte for byte, but for what was timed."""
    assert check_seal(one) == check_seal(other)
    assert (one / MEASURED).read_bytes() != (other / MEASURED).read_bytes()
    trained = [[path.name for path in trainings(folder.parents[1])] for folder in (one, other)]
    assert trained[0] == trained[1]
