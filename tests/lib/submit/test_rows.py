"""The rows to write come from the test files, and the sample is held against them."""

import shutil

import pandas as pd
import pytest

from lib.core.errors import BadInput
from lib.submit.rows import required_rows


@pytest.fixture
def folder(rerun, tmp_path):
    copy = tmp_path / "birdclef-2026"
    (copy / "test_soundscapes").mkdir(parents=True)
    shutil.copy(rerun / "sample_submission.csv", copy)
    for sound in (rerun / "test_soundscapes").iterdir():
        (copy / "test_soundscapes" / sound.name).touch()
    return copy


def resample(folder, change):
    path = folder / "sample_submission.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)


def test_an_empty_test_folder_means_public_mode_with_the_samples_rows(public):
    required = required_rows(public)
    assert required.mode == "public"
    assert len(required.row_ids) == 3
    assert required.soundscapes == ()


def test_an_empty_test_folder_in_the_rerun_is_an_error(public, monkeypatch):
    monkeypatch.setenv("KAGGLE_IS_COMPETITION_RERUN", "1")
    with pytest.raises(BadInput, match="no test soundscapes"):
        required_rows(public)


def test_the_rerun_requires_twelve_rows_a_file_and_ignores_the_readme(folder):
    required = required_rows(folder)
    assert (folder / "test_soundscapes" / "readme.txt").exists()
    assert required.mode == "rerun"
    assert len(required.row_ids) == 12 * len(required.soundscapes)
    assert required.alarms == ()


def test_the_samples_order_is_kept(folder):
    resample(folder, lambda frame: frame.iloc[::-1])
    assert required_rows(folder).row_ids == tuple(pd.read_csv(folder / "sample_submission.csv").row_id)


def test_a_sample_left_as_the_public_stub_gives_an_alarm_and_rows_from_the_files(folder, public):
    shutil.copy(public / "sample_submission.csv", folder)
    resample(folder, lambda f: f.assign(row_id=[f"BC2026_Test_9999_S01_20250101_000000_{end}" for end in (5, 10, 15)]))
    required = required_rows(folder)
    assert len(required.row_ids) == 12 * len(required.soundscapes)
    assert "names none" in required.alarms[0]


def test_a_sample_that_half_agrees_is_an_error_that_names_a_row(folder):
    first = pd.read_csv(folder / "sample_submission.csv").row_id[0]
    resample(folder, lambda frame: frame.iloc[1:])
    with pytest.raises(BadInput, match=first):
        required_rows(folder)


def test_a_test_file_with_an_unreadable_name_is_an_error(folder):
    (folder / "test_soundscapes" / "recording.ogg").touch()
    with pytest.raises(BadInput, match=r"recording\.ogg"):
        required_rows(folder)


@pytest.mark.parametrize("mode", ["public", "rerun"])
def test_a_row_twice_in_the_sample_is_an_error_that_names_it_and_the_sample(folder, mode):
    if mode == "public":
        shutil.rmtree(folder / "test_soundscapes")
    first = pd.read_csv(folder / "sample_submission.csv").row_id[0]
    resample(folder, lambda frame: pd.concat([frame, frame.iloc[:1]]))
    with pytest.raises(BadInput, match=rf"sample_submission\.csv is not usable(.|\n)*twice or more: {first}"):
        required_rows(folder)


def test_a_sample_without_rows_is_refused_and_where_there_are_files_these_give_the_rows(folder):
    resample(folder, lambda frame: frame.iloc[:0])
    required = required_rows(folder)
    assert len(required.row_ids) == 12 * len(required.soundscapes)
    assert "names none of the test soundscapes (0 rows)" in required.alarms[0]
    shutil.rmtree(folder / "test_soundscapes")
    with pytest.raises(BadInput, match=r"sample_submission\.csv is not usable(.|\n)*a header alone"):
        required_rows(folder)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n\0", b"a,b\n1,2\n", b"row_id\n\xff\xfe\n"])
def test_a_sample_that_is_no_table_of_rows_is_an_error(folder, data):
    (folder / "sample_submission.csv").write_bytes(data)
    with pytest.raises(BadInput, match=r"sample_submission\.csv is not usable"):
        required_rows(folder)


def test_hidden_files_among_the_test_soundscapes_are_ignored(folder):
    before = required_rows(folder)
    for name in ("._BC2026_Test_0001_S01_20250101_000000.ogg", ".nfs0001.ogg"):
        (folder / "test_soundscapes" / name).write_bytes(b"x")
    assert required_rows(folder) == before
