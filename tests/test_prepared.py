"""What 01 leaves is read back as it was, and not at all once it was touched."""

import shutil

import pytest

from lib.competition.errors import BadInput
from lib.competition.prepared import data_version, load_prepared


def test_tables_come_back_with_their_types(prepared_folder, classes):
    prepared = load_prepared(prepared_folder)
    assert prepared.classes == classes
    assert all(isinstance(label, str) for label in prepared.clips.primary_label)
    assert all(isinstance(labels, tuple) for labels in prepared.clips.secondary)
    assert all(isinstance(labels, tuple) and labels for labels in prepared.windows.labels)
    assert prepared.labels.row_ids == tuple(prepared.windows.row_id)
    assert prepared.folds.version == prepared.facts.fold_version


def test_a_touched_folder_is_refused(prepared_folder, tmp_path):
    copy = shutil.copytree(prepared_folder, tmp_path / "prepared")
    with (copy / "folds.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(BadInput, match=r"folds\.csv"):
        load_prepared(copy)


def test_the_data_version_follows_tables_and_sounds(public, tmp_path):
    copy = shutil.copytree(public, tmp_path / "copy")
    assert data_version(copy) == data_version(public)
    sound = next((copy / "train_soundscapes").glob("*.ogg"))
    sound.write_bytes(sound.read_bytes() + b"x")
    assert data_version(copy) != data_version(public)
