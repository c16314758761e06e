"""Inputs are found in every layout that Kaggle has used, and a failure lists every path that was searched."""

import os
from pathlib import Path

import pytest

from lib.core.errors import BadInput
from lib.core.paths import (
    DATA_VARIABLE,
    KAGGLE_VARIABLE,
    MARKERS,
    by_name,
    cache_folder,
    find_artifact,
    find_artifacts,
    find_competition,
    find_named,
    ledger_path,
    output_folder,
)
from lib.core.records import seal

LAYOUTS = [
    "competitions/birdclef-2026",
    "birdclef-2026",
    "datasets/somebody/birdclef-2026",
    "some-dataset/nested/birdclef-2026",
]


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """An empty stand-in for /kaggle, with the working directory outside any checkout."""
    root = tmp_path / "kaggle"
    (root / "input").mkdir(parents=True)
    (root / "working").mkdir()
    monkeypatch.setenv(KAGGLE_VARIABLE, str(root))
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.chdir(root / "working")
    return root


def mark(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for marker in MARKERS:
        (folder / marker).write_text("x")
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_mount_layout_is_found(kaggle, layout):
    folder = mark(kaggle / "input" / layout)
    assert find_competition() == folder


def test_the_variable_wins_over_the_mounts(kaggle, tmp_path, monkeypatch):
    mark(kaggle / "input" / "birdclef-2026")
    mine = mark(tmp_path / "mine")
    monkeypatch.setenv(DATA_VARIABLE, str(mine))
    assert find_competition() == mine


def test_large_audio_folders_are_never_entered(kaggle):
    mark(kaggle / "input" / "x" / "train_audio" / "birdclef-2026")
    with pytest.raises(BadInput):
        find_competition()


def test_a_checkout_finds_its_local_data(tmp_path, monkeypatch):
    monkeypatch.setenv(KAGGLE_VARIABLE, str(tmp_path / "no-kaggle"))
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    (tmp_path / "notebooks_src").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks_src")
    mini = mark(tmp_path / "data/mini/public/birdclef-2026")
    assert find_competition() == mini
    real = mark(tmp_path / "data/real/public/birdclef-2026")
    assert find_competition() == real
    assert output_folder("01_data_prep") == tmp_path / "runs/mini/01_data_prep"


def test_the_error_lists_every_path_searched(kaggle):
    (kaggle / "input" / "birdclef-2026").mkdir()
    with pytest.raises(BadInput) as caught:
        find_competition()
    text = str(caught.value)
    assert str(kaggle / "input/competitions/birdclef-2026") + " (no such folder)" in text
    assert str(kaggle / "input/birdclef-2026") + " (lacks sample_submission.csv" in text
    assert "make demo" in text


def test_an_explicit_folder_is_not_second_guessed(kaggle, tmp_path):
    mark(kaggle / "input" / "birdclef-2026")
    with pytest.raises(BadInput, match="no such folder"):
        find_competition(str(tmp_path / "typo"))


def made(folder, kind, text="x"):
    folder.mkdir(parents=True)
    (folder / "file.txt").write_text(text)
    seal(folder, kind)
    return folder


def test_outputs_of_other_notebooks_are_found_in_both_mount_styles(kaggle):
    new = made(kaggle / "input/notebooks/somebody/pantanal-02-fold-training/members/a", "member")
    old = made(kaggle / "input/pantanal-03-perch-probe/members/b", "member")
    assert sorted(find_artifacts("member")) == sorted([new, old])
    with pytest.raises(BadInput, match="nothing of kind 'recipes'"):
        find_artifacts("recipes")


def test_two_different_candidates_are_an_error_and_two_copies_are_not(kaggle):
    made(kaggle / "input/a/prepared", "prepared")
    made(kaggle / "input/b/prepared", "prepared")
    assert find_artifact("prepared").name == "prepared"
    made(kaggle / "input/c/prepared", "prepared", text="y")
    with pytest.raises(BadInput, match="more than one"):
        find_artifact("prepared")


def test_the_ledger_lies_in_runs_at_home_and_beside_the_output_on_kaggle(kaggle, tmp_path):
    assert ledger_path(tmp_path / "runs/mini/02_fold_training") == tmp_path / "runs/ledger.jsonl"
    assert ledger_path(kaggle / "working") == kaggle / "working/ledger.jsonl"


def test_runs_outside_a_checkout_share_one_ledger_and_one_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(KAGGLE_VARIABLE, str(tmp_path / "no-kaggle"))
    mine = tmp_path / "mine"
    outputs = [mine / "02_fold_training", mine / "03_perch_probe", mine]  # RUNS itself is what tools give
    assert {ledger_path(output) for output in outputs} == {mine / "ledger.jsonl"}
    assert {cache_folder(output) for output in outputs} == {mine / "audio"}


def test_decoded_audio_lies_in_runs_at_home_and_on_kaggle_where_no_output_is_collected(kaggle, tmp_path, monkeypatch):
    assert cache_folder(tmp_path, explicit=str(tmp_path / "mine")) == tmp_path / "mine"
    assert not cache_folder(kaggle / "working").is_relative_to(kaggle)
    monkeypatch.setenv(KAGGLE_VARIABLE, str(tmp_path / "no-kaggle"))
    assert cache_folder(tmp_path / "runs/mini/02_fold_training") == tmp_path / "runs/audio"


FOREIGN = {
    "web-app": b'{"name": "app", "short_name": "a", "icons": []}',
    "list": b'["member"]',
    "empty": b"",
    "picture": b"\x89PNG\r\n\x1a\n\0",
    "deep": b"[" * 200_000,
    "pickle": b"cposix\nsystem\n(S'touch executed'\ntR.",
    "other-files": b'{"kind": "member", "files": 3}',
    "other-kind": b'{"kind": ["member"], "files": {}}',
}


def test_a_foreign_manifest_is_nobodys(kaggle):
    """Whatever lies in `manifest.json` of other people's folders, ours are found beside them."""
    for name, data in FOREIGN.items():
        (kaggle / "input" / name).mkdir()
        (kaggle / "input" / name / "manifest.json").write_bytes(data)
    (kaggle / "input" / "a-folder" / "manifest.json").mkdir(parents=True)
    (kaggle / "input" / "a-loop").symlink_to(kaggle / "input", target_is_directory=True)
    ours = kaggle / "input" / "ours"
    ours.mkdir()
    seal(ours, "member")
    assert find_artifacts("member")[0] == ours
    assert {folder.name for folder in find_artifacts("member")} == {"ours"}
    with pytest.raises(BadInput, match="nothing of kind 'recipes'"):
        find_artifacts("recipes")
    assert find_named(["ours", "list", "absent"])[:2] == [kaggle / "input" / "list", ours]
    assert not (kaggle / "working" / "executed").exists()


def test_a_folder_that_cannot_be_listed_is_passed_over(kaggle, monkeypatch):
    ours = kaggle / "input" / "ours"
    ours.mkdir()
    seal(ours, "member")
    (kaggle / "input" / "locked").mkdir()
    listed = os.scandir

    def refuse(folder):
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "scandir", refuse)  # root may list everything
    assert find_artifacts("member") == [ours]


def test_of_one_name_copies_are_one_and_different_folders_an_error_that_names_both(kaggle):
    for place, files in (("a", "1"), ("b", "1"), ("c", "2")):
        folder = kaggle / "input" / place / "net"
        folder.mkdir(parents=True)
        (folder / "x.txt").write_text(files)
        seal(folder, "member")
    a, b, c = sorted(find_artifacts("member"))
    assert by_name([b, a]) == {"net": b}
    with pytest.raises(BadInput, match=rf"two different folders are called net(.|\n)*{a}, {c}"):
        by_name([a, b, c])
