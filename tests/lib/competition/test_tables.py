"""Each quirk of the contest's tables is handled, counted and reported; each spoilt table is refused by name."""

import json

import pandas as pd
import pytest

from lib.competition.classes import ClassList, read_class_list
from lib.competition.tables import Findings, read_clips, read_solution, read_taxonomy, read_windows, window_labels
from lib.core.errors import BadInput


def lines(findings):
    return {(line.table, line.what): line for line in findings.lines}


@pytest.fixture(scope="module")
def quirks(mini):
    return json.loads((mini / "miniature.json").read_text())["quirks"]


def spoil(folder, table, change):
    frame = pd.read_csv(folder / table, dtype=str, keep_default_na=False)
    change(frame).to_csv(folder / table, index=False)


def test_labels_that_look_like_numbers_stay_text(public, classes, quirks):
    clips = read_clips(public, classes, Findings())
    assert quirks["numeric_label"]
    assert set(clips.primary_label) <= set(classes.labels)
    assert all(isinstance(label, str) for label in clips.primary_label)
    assert set(quirks["numeric_label"]) <= set(read_taxonomy(public, classes, Findings()).primary_label)


def test_duplicate_label_rows_are_dropped_and_counted(public, classes):
    findings = Findings()
    windows = read_windows(public, classes, findings)
    raw = pd.read_csv(public / "train_soundscapes_labels.csv", dtype=str)
    assert len(windows) == len(raw) / 2
    assert lines(findings)["train_soundscapes_labels.csv", "rows that repeat another exactly"].count == len(windows)


def test_absent_windows_are_unlabelled_and_not_negative(public, classes, quirks):
    findings = Findings()
    windows = read_windows(public, classes, findings)
    partial = windows.groupby("stem").size().loc[lambda size: size < 12]
    named = {name.removesuffix(".ogg") for name in quirks["partly_labelled_soundscape"]}
    assert set(partial.index) == named
    labels = window_labels(windows, classes)
    absent = lines(findings)["train_soundscapes_labels.csv", "windows absent from them"].count
    assert len(labels.row_ids) == 12 * windows.stem.nunique() - absent
    assert absent == (12 - partial).sum() > 0
    assert labels.values.any(axis=1).all()


def test_secondary_labels_are_parsed_and_unknown_ones_counted(public, classes):
    findings = Findings()
    clips = read_clips(public, classes, findings)
    assert clips.secondary.map(len).sum() > 0
    assert all(set(labels) <= set(classes.labels) for labels in clips.secondary)
    assert lines(findings)["train.csv", "secondary labels outside the class list"].count > 0
    assert all("" not in kinds for kinds in clips.kinds)


def test_classes_without_clips_are_expected(public, classes, quirks):
    findings = Findings()
    read_clips(public, classes, findings)
    line = lines(findings)["train.csv", "classes without any focal clip"]
    assert line.count == len(quirks["label_without_clips"])


def test_code_in_a_list_literal_is_not_run(tables, classes):
    spoil(
        tables, "train.csv", lambda f: f.assign(secondary_labels=["__import__('os').getcwd()"] + ["[]"] * (len(f) - 1))
    )
    with pytest.raises(BadInput, match="row 0, secondary_labels cannot be read"):
        read_clips(tables, classes, Findings())


def test_windows_labelled_differently_are_merged(tables, classes):
    def add(frame):
        other = next(label for label in classes.labels if label not in frame.primary_label[0].split(";"))
        return pd.concat([frame, frame.iloc[[0]].assign(primary_label=other)])

    before = read_windows(tables, classes, Findings())
    spoil(tables, "train_soundscapes_labels.csv", add)
    findings = Findings()
    after = read_windows(tables, classes, findings)
    assert len(after) == len(before)
    assert after.labels.map(len).sum() == before.labels.map(len).sum() + 1
    assert lines(findings)["train_soundscapes_labels.csv", "windows labelled more than once, differently"].count == 1


def test_an_index_column_is_ignored(tables, classes):
    frame = pd.read_csv(tables / "taxonomy.csv", dtype=str)
    frame.to_csv(tables / "taxonomy.csv")
    taxonomy = read_taxonomy(tables, classes, Findings())
    assert list(taxonomy.columns) == ["primary_label", "inat_taxon_id", "scientific_name", "common_name", "class_name"]


def test_a_taxonomy_in_another_order_is_put_in_class_order(tables, classes):
    spoil(tables, "taxonomy.csv", lambda frame: frame.iloc[::-1])
    findings = Findings()
    assert list(read_taxonomy(tables, classes, findings).primary_label) == list(classes.labels)
    assert findings.lines


SPOILT = {
    "missing table": ("train.csv", None, "train.csv is missing"),
    "missing column": ("train.csv", lambda f: f.drop(columns="author"), "lacks columns"),
    "unknown label in train": ("train.csv", lambda f: f.assign(primary_label="nobody"), "outside the class list"),
    "unknown label in windows": (
        "train_soundscapes_labels.csv",
        lambda f: f.assign(primary_label=f.primary_label + ";nobody"),
        "outside the class list",
    ),
    "unparsable name": ("train_soundscapes_labels.csv", lambda f: f.assign(filename="x.ogg"), "cannot be read"),
    "six seconds": ("train_soundscapes_labels.csv", lambda f: f.assign(end="00:00:06"), "not one of the twelve"),
    "ten seconds": ("train_soundscapes_labels.csv", lambda f: f.assign(start="00:00:00", end="00:00:10"), "not one of"),
    "beyond a minute": (
        "train_soundscapes_labels.csv",
        lambda f: f.assign(start="00:01:00", end="00:01:05"),
        "not one of the twelve",
    ),
    "no time": ("train_soundscapes_labels.csv", lambda f: f.assign(start="5"), "time cannot be read"),
    "taxonomy lacks a class": ("taxonomy.csv", lambda f: f.iloc[1:], "differ"),
    "taxonomy doubles a class": ("taxonomy.csv", lambda f: pd.concat([f, f.iloc[:1]]), "differ"),
}


@pytest.mark.parametrize(("table", "change", "message"), SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_table_is_refused(tables, classes, table, change, message):
    if change is None:
        (tables / table).unlink()
    else:
        spoil(tables, table, change)
    readers = (read_taxonomy, read_clips, read_windows)
    with pytest.raises(BadInput, match=message):
        _ = [read(tables, classes, Findings()) for read in readers]


def test_duplicate_file_names_keep_the_first(tables, classes):
    before = read_clips(tables, classes, Findings())
    spoil(tables, "train.csv", lambda f: pd.concat([f, f.iloc[:2]]))
    findings = Findings()
    assert len(read_clips(tables, classes, findings)) == len(before)
    assert lines(findings)["train.csv", "rows with a file name seen before"].count == 2


def test_the_class_list_is_the_submissions_columns_in_order(public, classes):
    columns = list(pd.read_csv(public / "sample_submission.csv", nrows=0).columns)
    assert list(classes.labels) == columns[1:]
    assert ClassList(tuple(reversed(classes.labels))).hash != classes.hash
    assert read_class_list(public).hash == classes.hash


def test_duplicate_columns_are_refused(tables):
    path = tables / "sample_submission.csv"
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([first + "," + first.split(",")[1], *rest]))
    with pytest.raises(BadInput, match="unique labels"):
        read_class_list(tables)


def test_an_artifact_for_other_classes_names_both_hashes(classes):
    with pytest.raises(BadInput) as caught:
        classes.check_hash("0123456789abcdef", "member x")
    assert "0123456789abcdef" in str(caught.value)
    assert classes.hash in str(caught.value)


def test_the_solution_is_read_in_class_order(mini, classes):
    path = mini / "hidden" / "solution.csv"
    labels = read_solution(path, classes)
    raw = pd.read_csv(path)
    assert labels.values[:, 3].tolist() == (raw[classes.labels[3]] == 1).tolist()
