"""Labels are the blended predictions of the teachers' models of each fold, made once, the same bytes however it ran."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from lib.blend.recipe import RecipeMember
from lib.competition.classes import ClassList
from lib.competition.folds import Folds
from lib.competition.prepared import load_prepared
from lib.competition.row_ids import SAMPLE_RATE, parse_soundscape
from lib.core.errors import BadInput
from lib.core.fingerprint import of_file
from lib.core.records import identity_of, read_json, seal, write_json
from lib.learn.soft_labels.store import open_soft_labels
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.open import open_member
from lib.pseudo import predictions
from lib.pseudo.label import _order_soundscapes, label
from lib.pseudo.predictions import is_external
from lib.pseudo.teachers import TeacherBlend
from lib.sound.decode import decode
from tests.support.fakemachine import CLASSES, Machine, soundscapes, table_of

PRIOR, CLASSICAL = "l0_prior", "l1_statistics"
BOTH = TeacherBlend({PRIOR: 1.0, CLASSICAL: 3.0})


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


@pytest.fixture(scope="module")
def files(public):
    return sorted((public / "train_soundscapes").glob("*.ogg"))[:5]


@pytest.fixture
def folders(members):
    return {folder.name: folder for folder in members.iterdir()}


@pytest.fixture(autouse=True)
def chunks(monkeypatch):
    """Small chunks, and the list of those predicted, with their teachers."""
    calls, score = [], predictions.score_soundscapes

    def noted(chunk, members, *rest):
        calls.append(([file.stem for file in chunk], sorted({name.partition("@")[0] for name in members})))
        return score(chunk, members, *rest)

    monkeypatch.setattr(predictions, "CHUNK", 2)
    monkeypatch.setattr(predictions, "score_soundscapes", noted)
    return calls


@pytest.fixture
def labelled(folders, files, prepared, tmp_path):
    """A call that labels into a folder below `tmp_path`, with a cache there; what is named replaces the usual."""

    def call(name="owls", teaching=BOTH, cache="cache", folders=folders, files=files, prepared=prepared):
        return label(teaching, folders, files, prepared, tmp_path / name, tmp_path / cache)

    return call


def spoiled(folder, tmp_path, change):
    """A copy of a member, changed and sealed again."""
    copy = shutil.copytree(folder, tmp_path / "spoiled" / folder.name)
    change(copy)
    seal(copy, "member")
    return copy


def reseeded(folder):
    """Let the member's card state another seed: another member, with the same predictions."""
    card = read_json(folder / "member.json")
    write_json(folder / "member.json", card | {"seed": card["seed"] + 1})


def test_labels_are_the_predictions_of_the_teachers_models_of_each_fold(
    labelled, folders, files, prepared, classes, capsys
):
    labels = open_soft_labels(labelled(), classes, prepared.folds)
    members = {name: open_member(folder, classes) for name, folder in folders.items()}
    assert labels.card.stems == [file.stem for file in files]
    assert labels.card.teachers == {name: identity_of(folder) for name, folder in folders.items()}
    assert (labels.card.folds, labels.card.external) == (prepared.folds.numbers, [])
    assert labels.card.mixed == {"weights": {PRIOR: 1.0, CLASSICAL: 3.0}}
    for number, file in enumerate(files):
        inputs = SoundscapeInputs(parse_soundscape(file.stem), decode(file))
        for fold in prepared.folds.numbers:
            prior, classical = (members[name].for_fold(fold)(inputs) for name in (PRIOR, CLASSICAL))
            np.testing.assert_allclose(labels.of_fold(fold)[number], 0.25 * prior + 0.75 * classical, atol=1e-3)
    assert np.abs(labels.of_fold(0)[:] - labels.of_fold(1)[:]).max() > 0.01
    assert "labelling, 2 soundscapes at a time: 3/3" in capsys.readouterr().out


def test_what_will_be_stored_is_printed_before_anything_is_predicted(labelled, classes, monkeypatch, capsys):
    monkeypatch.setattr(predictions, "_BYTES", 1e5)  # so that a few soundscapes fill megabytes
    size = 3 * 5 * 12 * len(classes) / 10
    for there in (0, 2 * size):
        labelled()
        first, *_ = capsys.readouterr().out.splitlines()
        assert first == (
            f"5 soundscapes, by 3 models each of {PRIOR}, {CLASSICAL}: {2 * size:.1f} MB of their predictions "
            f"({there:.1f} MB are there), {size:.1f} MB of labels"
        )


def test_nothing_is_predicted_twice(labelled, chunks, files):
    before = labelled()
    assert [stems for stems, _ in chunks] == [[file.stem for file in files[at : at + 2]] for at in (0, 2, 4)]
    chunks.clear()
    again = labelled("again", files=files[::-1])
    assert [of_file(again / f"fold{fold}.npy") for fold in range(3)] == [
        of_file(before / f"fold{fold}.npy") for fold in range(3)
    ]
    labelled("alone", TeacherBlend.of_member(CLASSICAL))
    assert chunks == []


def test_an_interrupted_labelling_resumes_with_the_same_bytes(labelled, chunks, monkeypatch, tmp_path):
    whole = labelled(cache="other")
    expected = of_file(whole / "manifest.json")
    shutil.rmtree(whole)
    noted = predictions.score_soundscapes

    def breaks(chunk, *rest):
        if len(chunks) == 5:
            raise KeyboardInterrupt
        return noted(chunk, *rest)

    monkeypatch.setattr(predictions, "score_soundscapes", breaks)
    with pytest.raises(KeyboardInterrupt):
        labelled()
    assert len(chunks) == 5
    assert not (tmp_path / "owls").exists()
    (tmp_path / "cache" / "chunk.part").write_bytes(b"half a chunk")
    monkeypatch.setattr(predictions, "score_soundscapes", noted)
    assert of_file(labelled() / "manifest.json") == expected
    assert len(chunks) == 6


def test_a_changed_member_predicts_again_and_the_others_do_not(labelled, folders, chunks, tmp_path):
    labelled()
    chunks.clear()
    labelled(folders=folders | {CLASSICAL: spoiled(folders[CLASSICAL], tmp_path, reseeded)})
    assert [names for _, names in chunks] == [[CLASSICAL]] * 3


def test_a_soundscape_that_cannot_be_decoded_is_left_out_and_named(
    labelled, files, prepared, classes, capsys, chunks, tmp_path
):
    bad = tmp_path / "BC2026_Train_0000_S01_20250101_000000.ogg"
    bad.write_bytes(b"no sound")
    for name in ("first", "again"):
        labels = open_soft_labels(labelled(name, files=[*files, bad]), classes, prepared.folds)
        assert labels.card.stems == [file.stem for file in files]
        assert np.isfinite(labels.of_fold(0)).all()
        assert f"left out of the labels: {bad.name}" in capsys.readouterr().out
    whole = open_soft_labels(labelled("whole"), classes, prepared.folds)
    np.testing.assert_array_equal(labels.of_fold(2), whole.of_fold(2))
    chunks.clear()
    shutil.copy(files[0], bad)  # it is fixed
    labels = open_soft_labels(labelled(files=[*files, bad]), classes, prepared.folds)
    assert bad.stem in labels.card.stems
    assert [stems for stems, _ in chunks] == [[bad.stem, files[0].stem]]


def test_a_recipe_labels_each_fold_without_that_folds_labels(labelled, recipe, prepared, classes, monkeypatch):
    with pytest.raises(BadInput, match=r"safe is fitted on the labels of fold 0(.|\n)*run 05 again"):
        labelled(teaching=TeacherBlend.of_recipe(replace(recipe, by_fold={})))
    turned = {str(fold): recipe.mixes for fold in prepared.folds.numbers}
    one, other = recipe.mixes[0].parts
    parts = [replace(one, weight=0.9), replace(other, weight=0.1)]
    turned["1"] = [replace(recipe.mixes[0], parts=parts)]
    knowing = replace(recipe, by_fold=turned)
    labels = open_soft_labels(labelled(teaching=TeacherBlend.of_recipe(knowing)), classes, prepared.folds)
    for fold, weights in enumerate(((0.25, 0.75), (0.9, 0.1), (0.25, 0.75))):
        plain = labelled(f"plain{fold}", TeacherBlend(dict(zip((PRIOR, CLASSICAL), weights, strict=True))))
        mean = np.load(plain / f"fold{fold}.npy")
        ordered = labels.of_fold(fold)
        np.testing.assert_array_equal(
            np.sort(ordered.reshape(-1, len(classes)), axis=0), np.sort(mean.reshape(-1, len(classes)), axis=0)
        )
        assert (ordered != mean).any()  # smoothed, and in another order
    assert labels.card.mixed["recipe"]["by_fold"]["1"][0]["parts"][0]["weight"] == 0.9


def test_teachers_of_a_recipe_are_those_it_was_made_with(labelled, recipe, prepared, folders):
    knowing = replace(recipe, by_fold={str(fold): recipe.mixes for fold in prepared.folds.numbers})
    others = [replace(recipe.members[0], manifest="another"), recipe.members[1]]
    with pytest.raises(BadInput, match=r"l0_prior is not the one of the recipe(.|\n)*manifest another"):
        labelled(teaching=TeacherBlend.of_recipe(replace(knowing, members=others)))
    absent = replace(knowing, fold_only_members=[RecipeMember("owl", "m", 0.1)])
    with pytest.raises(BadInput, match="no owl; there are l0_prior, l1_statistics"):
        labelled(teaching=TeacherBlend.of_recipe(absent))


def test_teachers_of_other_classes_or_folds_damaged_or_without_models_by_fold_are_refused(
    labelled, folders, prepared, tmp_path, chunks
):
    turned = ClassList(tuple(reversed(prepared.classes.labels)))
    with pytest.raises(BadInput, match="another class list"):
        labelled(prepared=replace(prepared, classes=turned))
    other = Folds(prepared.folds.table.assign(fold=(prepared.folds.table.fold + 1) % 3))
    with pytest.raises(BadInput, match="l0_prior was fitted on other folds"):
        labelled(prepared=replace(prepared, folds=other))

    def of_other_folds(folder):
        training = read_json(folder / "training.json")
        write_json(folder / "training.json", training | {"fold_version": other.version})

    two = folders | {CLASSICAL: spoiled(folders[CLASSICAL], tmp_path / "a", of_other_folds)}
    with pytest.raises(BadInput, match="l1_statistics was fitted on other folds"):
        labelled(folders=two)
    bare = spoiled(folders[CLASSICAL], tmp_path / "b", lambda folder: (folder / "fold1.onnx").unlink())
    with pytest.raises(BadInput, match="l1_statistics has no model of fold 1"):
        labelled(folders=folders | {CLASSICAL: bare})
    damaged = spoiled(folders[PRIOR], tmp_path / "c", lambda folder: None)
    (damaged / "fold0.npz").write_bytes(b"damaged")
    with pytest.raises(BadInput, match=r"changed or damaged(.|\n)*fold0\.npz"):
        labelled(folders=folders | {PRIOR: damaged})
    assert chunks == []
    assert not (tmp_path / "owls").exists()


def test_a_teacher_that_fails_on_a_soundscape_that_can_be_decoded_is_an_error(labelled, files, monkeypatch, tmp_path):
    def failing(folder, classes):
        member = open_member(folder, classes)

        def for_fold(fold):
            score = member.for_fold(fold)
            return lambda inputs: 1 / 0 if (inputs.soundscape.stem, fold) == (files[4].stem, 2) else score(inputs)

        return replace(member, for_fold=for_fold)

    monkeypatch.setattr(predictions, "CHUNK", 30)
    monkeypatch.setattr("lib.submit.stream._MAY_FAIL", 0.5)
    monkeypatch.setattr(predictions, "open_member", failing)
    with pytest.raises(
        BadInput, match=rf"fails on a soundscape that can be decoded(.|\n)*{files[4].stem}(.|\n)*@2(.|\n)*ZeroDivision"
    ):
        labelled()
    assert not (tmp_path / "owls").exists()


def test_no_deadline_drops_a_teacher_or_a_soundscape(monkeypatch):
    machine = Machine(threads=2).installed(monkeypatch)
    slow = type(
        "Slow", (predictions._NoDeadline,), {"__init__": lambda self: predictions.Clock.__init__(self, now=machine.now)}
    )
    monkeypatch.setattr(predictions, "_NoDeadline", slow)
    files = soundscapes(12)
    tables = predictions._predict_chunk(
        files, {name: machine.member(name, 1000.0) for name in ("a@0", "b@0")}, ClassList(CLASSES)
    )
    assert machine.now() > 60 * 150
    for name, table in tables.items():
        expected = np.array([table_of(name, file.stem) for file in files]).astype(np.float16)
        np.testing.assert_array_equal(table, expected)


def test_soundscapes_are_named_once_and_there_is_room_for_their_predictions(labelled, files, monkeypatch, chunks):
    with pytest.raises(BadInput, match=files[0].stem):
        labelled(files=[*files, files[0]])
    with pytest.raises(BadInput, match="soundscapes to be labelled"):
        labelled(files=[])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: type("", (), {"free": 1000}))
    with pytest.raises(BadInput, match="disk is too small"):
        labelled()
    assert chunks == []


def test_others_than_the_contests_soundscapes_come_last_and_are_distinguished(files, tmp_path):
    others = [tmp_path / "A_garden_00.flac", tmp_path / "A_garden_01.flac"]
    assert _order_soundscapes([*others, *files]) == (*files, *others)
    assert [is_external(file.stem) for file in (*files[:1], *others)] == [False, True, True]


def test_external_recordings_are_predicted_by_members_that_need_no_name(
    labelled, files, prepared, classes, folders, chunks, tmp_path
):
    one = tmp_path / "External_0123456789abcdef_00000.flac"
    soundfile.write(one, decode(files[0]), SAMPLE_RATE)
    with pytest.raises(BadInput, match=rf"{PRIOR} cannot predict external recordings(.|\n)*{one.name}"):
        labelled(files=[one, *files])
    assert chunks == []
    labels = open_soft_labels(
        labelled(teaching=TeacherBlend.of_member(CLASSICAL), files=[one, *files]), classes, prepared.folds
    )
    assert labels.card.external == labels.card.stems[-1:] == [one.stem]
    np.testing.assert_allclose(labels.of_fold(1)[-1], labels.of_fold(1)[0], atol=2e-2)  # 16 bits, as it was
