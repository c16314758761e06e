"""The writer lets nothing through that the platform would reject or score wrongly, and leaves no half-written file."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lib.competition.classes import ClassList
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.submit.writer import check_submission, read_submission, write_frame, write_submission

CLASSES = ClassList(("1161364", "116570", "ashgre1", "y00678"))
REQUIRED = (
    "BC2026_Test_0001_S05_20250227_010002_5",
    "BC2026_Test_0001_S05_20250227_010002_10",
    "BC2026_Test_0002_S05_20250227_010002_5",
)
VALUES = np.linspace(0, 1, 12).reshape(3, 4)


def frame():
    table = pd.DataFrame(VALUES, columns=list(CLASSES.labels))
    table.insert(0, "row_id", REQUIRED)
    return table


def test_scores_are_written_in_the_required_order_and_read_back_equal(tmp_path):
    scores = Scores(VALUES, REQUIRED, CLASSES.labels, "rank")
    write_submission(tmp_path / "submission.csv", scores, REQUIRED[::-1], CLASSES)
    again = read_submission(tmp_path / "submission.csv")
    assert list(again.row_id) == list(REQUIRED[::-1])
    assert list(again.columns) == ["row_id", *CLASSES.labels]
    np.testing.assert_array_equal(again[list(CLASSES.labels)].to_numpy(np.float32), scores.values[::-1])


@settings(deadline=None, max_examples=40)
@given(values=arrays.arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=32)))
def test_any_values_survive_to_the_last_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("w") / "submission.csv"
    write_submission(path, Scores(values, REQUIRED, CLASSES.labels, "prob"), REQUIRED, CLASSES)
    np.testing.assert_array_equal(read_submission(path)[list(CLASSES.labels)].to_numpy(np.float32), values)


SPOILT = {
    "row missing": (lambda f: f.iloc[1:], REQUIRED[0]),
    "row repeated": (lambda f: pd.concat([f, f.iloc[:1]]), REQUIRED[0]),
    "row too many": (lambda f: pd.concat([f, f.iloc[:1].assign(row_id="stranger_5")]), "stranger_5"),
    "column missing": (lambda f: f.drop(columns="116570"), "'116570'"),
    "column unknown": (lambda f: f.assign(houspa=0.5), "'houspa'"),
    "column order": (lambda f: f[["row_id", "116570", "1161364", "ashgre1", "y00678"]], "column 1: '116570'"),
    "columns repeated": (lambda f: pd.concat([f, f[["ashgre1"]]], axis=1), "repeated: ashgre1"),
    "index leaked": (lambda f: f.reset_index().rename(columns={"index": "Unnamed: 0"}), "Unnamed: 0"),
    "NaN": (lambda f: f.assign(ashgre1=[0.1, np.nan, 0.2]), f"{REQUIRED[1]}, column ashgre1"),
    "infinite": (lambda f: f.assign(ashgre1=[0.1, 0.2, np.inf]), f"{REQUIRED[2]}, column ashgre1"),
    "over one": (lambda f: f.assign(y00678=[0.1, 0.2, 1.01]), f"{REQUIRED[2]}, column y00678"),
    "below zero": (lambda f: f.assign(y00678=[-0.1, 0.2, 1.0]), f"{REQUIRED[0]}, column y00678"),
    "text": (lambda f: f.assign(ashgre1="high"), "ashgre1"),
    "no row": (lambda f: f.iloc[:0], REQUIRED[0]),
}


@pytest.mark.parametrize(("change", "named"), SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_table_is_refused_and_the_culprit_named(tmp_path, change, named):
    with pytest.raises(BadInput) as caught:
        write_frame(tmp_path / "submission.csv", change(frame()), REQUIRED, CLASSES)
    assert named in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_table_leaves_the_earlier_submission_alone(tmp_path):
    path = tmp_path / "submission.csv"
    write_frame(path, frame(), REQUIRED, CLASSES)
    before = path.read_bytes()
    with pytest.raises(BadInput):
        write_frame(path, frame().assign(ashgre1=np.nan), REQUIRED, CLASSES)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_submission_is_replaced_in_one_move(tmp_path):
    """Neither a reader in between nor a crash may meet half a file: the old file keeps its bytes in its own inode."""
    path, old = tmp_path / "submission.csv", tmp_path / "old.csv"
    write_frame(path, frame(), REQUIRED, CLASSES)
    before = path.read_bytes()
    os.link(path, old)
    with path.open("rb") as reader:
        head = reader.read(len(before) // 2)
        write_frame(path, frame().assign(ashgre1=0.5), REQUIRED, CLASSES)
        assert head + reader.read() == before  # a reader that began before goes on in the old file
    assert old.read_bytes() == before  # a copy into the path would have written through the link
    assert path.read_bytes() != before


def test_a_crash_at_any_point_leaves_the_earlier_submission_whole(tmp_path, monkeypatch):
    """The path is untouched until the one rename, from a file beside it."""
    path = tmp_path / "submission.csv"
    write_frame(path, frame(), REQUIRED, CLASSES)
    before = path.read_bytes()

    def crash(source, target):
        assert path.read_bytes() == before  # untouched until the move
        assert os.path.samefile(Path(target).parent, Path(source).parent)  # within a file system, so in one move
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write_frame(path, frame().assign(ashgre1=0.5), REQUIRED, CLASSES)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_folder_is_an_error_and_not_silence(tmp_path):
    with pytest.raises(BadInput, match=r"cannot be written(.|\n)*absent(.|\n)*output_dir"):
        write_frame(tmp_path / "absent" / "submission.csv", frame(), REQUIRED, CLASSES)


def test_a_folder_that_is_none_keeps_its_own_error(tmp_path):
    """Tidying up must not hide it: on a read-only disk, too, it fails as writing did."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot be written(.|\n)*non-existent directory"):
        write_frame(tmp_path / "file" / "submission.csv", frame(), REQUIRED, CLASSES)


def test_what_a_killed_run_left_is_replaced_by_the_next(tmp_path):
    (tmp_path / ".submission.csv.new").write_text("row_id,116")
    write_frame(tmp_path / "submission.csv", frame(), REQUIRED, CLASSES)
    assert [path.name for path in tmp_path.iterdir()] == ["submission.csv"]


def test_logits_are_refused(tmp_path):
    with pytest.raises(BadInput, match="logits"):
        write_submission(tmp_path / "s.csv", Scores(VALUES * 9, REQUIRED, CLASSES.labels, "logit"), REQUIRED, CLASSES)


def test_three_rows_do_not_pass_for_a_whole_rerun():
    with pytest.raises(BadInput, match="rows are missing"):
        check_submission(frame(), (*REQUIRED, "BC2026_Test_0003_S05_20250227_010002_5"), CLASSES)
