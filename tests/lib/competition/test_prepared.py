"""What 01 leaves is read back as it was, and not at all once it was touched."""

import shutil

import pytest

from lib.competition.prepared import data_version, load_prepared, save_prepared
from lib.competition.qa import excluded_items, qa_rows, qa_table
from lib.core.errors import BadInput


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


def saved(prepared, folder, row):
    """The tables saved again with one more line in the QA table: (kind, action, item, partner)."""
    kind, action, item, partner = row
    qa = qa_table([prepared.qa, qa_rows(saved, kind, "planted", action, [(item, partner, "")])])
    tables = prepared.classes, prepared.clips, prepared.windows, prepared.folds
    save_prepared(folder, *tables, qa=qa, data_version="x", seed=0)
    return load_prepared(folder)


def test_the_qa_table_travels_along_and_what_it_excludes_is_not_there(prepared_folder):
    prepared = load_prepared(prepared_folder)
    assert excluded_items(prepared.qa, "clip")
    assert not excluded_items(prepared.qa, "clip") & set(prepared.clips.filename)
    assert prepared.related == {}


def test_pairs_of_one_recording_come_back_as_clusters(prepared_folder, tmp_path):
    one, other = load_prepared(prepared_folder).clips.filename[:2]
    again = saved(load_prepared(prepared_folder), tmp_path / "prepared", ("clip", "group", other, one))
    assert again.related == {one: min(one, other), other: min(one, other)}


def test_tables_that_hold_an_excluded_clip_are_not_saved(prepared_folder, tmp_path):
    prepared = load_prepared(prepared_folder)
    with pytest.raises(BadInput, match="excluded items"):
        saved(prepared, tmp_path / "prepared", ("clip", "exclude", prepared.clips.filename[0], ""))
    assert not (tmp_path / "prepared").exists()
