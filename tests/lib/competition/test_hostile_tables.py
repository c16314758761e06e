"""A table that is cut, mangled or foreign is refused with its line, or what is odd in it is a finding."""

import numpy as np
import pandas as pd
import pytest

from lib.competition.classes import read_class_list
from lib.competition.folds import Folds
from lib.competition.prepared import load_prepared
from lib.competition.qa import read_qa, save_qa
from lib.competition.row_ids import parse_soundscape, split_row_id
from lib.competition.tables import Findings, read_clips, read_solution, read_taxonomy, read_windows
from lib.core.errors import BadInput
from lib.core.records import seal

READERS = {"taxonomy.csv": read_taxonomy, "train.csv": read_clips, "train_soundscapes_labels.csv": read_windows}
LABELS = "train_soundscapes_labels.csv"


def edited(folder, name, change):
    """The table's bytes changed: what its reader returns, and its findings as text."""
    classes, path, findings = read_class_list(folder), folder / name, Findings()
    path.write_bytes(change(path.read_bytes()))
    return READERS[name](folder, classes, findings), findings.frame().what.str.cat(sep="; ")


def in_first_row(old, new):
    """A change of a cell of the first row."""
    return lambda data: data.replace(old.encode(), new.encode(), 1)


def lines(data):
    return data.splitlines(keepends=True)


def column_twice(data):
    return b"\n".join(line + b"," + line.split(b",")[0] for line in data.splitlines()) + b"\n"


MANGLED = {
    "a header alone": (lambda data: lines(data)[0], "at least one row"),
    "nothing": (lambda data: b"", "at least one row"),
    "a row too short": (lambda data: data + b"x,y\n", r"fields in line \d+"),
    "a row too long": (lambda data: data.rstrip() + b",x\n", r"fields in line \d+"),
    "another encoding": (lambda data: data.decode().encode("utf-16"), "UTF-8"),
    "a quote that is never closed": (lambda data: data + b'"', "line"),
    "bytes of zero": (lambda data: data + b"\0\0\0\n", "line|fields"),
    "a column twice": (column_twice, "each column once"),
    "a picture": (lambda data: b"\x89PNG\r\n\x1a\n" + data, "UTF-8"),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(("change", "text"), MANGLED.values(), ids=MANGLED)
def test_a_mangled_table_is_refused(tables, name, change, text):
    with pytest.raises(BadInput, match=text):
        edited(tables, name, change)


@pytest.mark.parametrize("name", READERS)
def test_a_table_cut_within_a_row_is_refused_or_a_finding(tables, name):
    whole = (tables / name).read_bytes()
    start = len(b"".join(lines(whole)[:3]))
    for end in range(start + 1, len(b"".join(lines(whole)[:4])), 5):
        try:
            _, found = edited(tables, name, lambda data, end=end: data[:end])
        except BadInput:
            found = "may be cut"
        assert "may be cut" in found
        (tables / name).write_bytes(whole)


def test_a_label_row_cut_before_its_labels_is_no_negative(tables):
    with pytest.raises(BadInput, match="4 fields in line"):
        edited(tables, LABELS, lambda data: data[: data.rindex(b",")] + b"\n")


def test_rows_lost_from_a_doubled_table_are_a_finding(tables):
    _, found = edited(tables, LABELS, lambda data: b"".join(lines(data)[:-3]))
    assert "rows that occur once, where others occur twice" in found
    (windows, found) = edited(tables, LABELS, lambda data: b"".join(lines(data)[: len(lines(data)) // 2 + 1]))
    assert len(windows)
    assert "occur once" not in found


def test_bytes_that_mark_utf_8_are_ignored(tables):
    for name in (*READERS, "sample_submission.csv"):
        path = tables / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(edited(tables, "train.csv", lambda data: data)[0])


REFUSED_CELLS = {
    "a list of 20,000 minus signs": ("train.csv", ",[],", f",{'-' * 20_000}1,", "cannot be read"),
    "a list in lists": ("train.csv", ",[],", f",{'[' * 5_000},", "cannot be read"),
    "a file elsewhere": ("train.csv", "1161364/", "/etc/", "outside its folder"),
    "a way up": ("train.csv", "1161364/", "../", "outside its folder"),
    "a deep file": ("train.csv", "1161364/", "1161364/../", "outside its folder"),
    "a name longer than any disk's": ("train.csv", "1161364/", "1161364/" + "x" * 300, "outside its folder"),
    "another ending": ("train.csv", ".ogg", ".wav", "outside its folder"),
    "a time of digits that are none": (LABELS, ",00:00:", ",00:²0:", "time cannot be read"),
    "a test soundscape": (LABELS, "_Train_", "_Test_", "labels a test soundscape"),
    "a site of digits that are none": (LABELS, "_S", "_S٣", "cannot be read"),
}


@pytest.mark.parametrize(("name", "old", "new", "text"), REFUSED_CELLS.values(), ids=REFUSED_CELLS)
def test_a_cell_that_would_be_acted_upon_is_refused(tables, name, old, new, text):
    assert old.encode() in (tables / name).read_bytes()
    with pytest.raises(BadInput, match=text) as caught:
        edited(tables, name, in_first_row(old, new))
    assert len(f"{caught.value}") < 1000


def test_impossible_numbers_are_findings_and_left_empty(tables):
    def spoil(data):
        frame = pd.read_csv(tables / "train.csv", dtype=str)
        frame.loc[[0, 1, 2, 3], "latitude"] = ["999", "-91", "1e400", "9" * 400]
        frame.loc[[0, 1], "longitude"], frame.loc[[0, 1], "rating"] = ["181", "nan"], ["77", "-1"]
        return frame.to_csv(index=False).encode()

    clips, found = edited(tables, "train.csv", spoil)
    assert clips[["latitude", "longitude", "rating"]].isna().sum().tolist() == [4, 2, 2]
    assert "rows without a rating from 0 to 5" in found


def test_an_unknown_animal_class_and_an_impossible_date_are_findings(tables):
    assert "classes other than Aves" in edited(tables, "taxonomy.csv", in_first_row("Insecta", "Alien"))[1]
    first = pd.read_csv(tables / LABELS).filename[0]
    other = first.replace(parse_soundscape(first).date, "00000000")
    windows, found = edited(tables, LABELS, lambda data: data.replace(first.encode(), other.encode()))
    assert "soundscapes of a date that no calendar has" in found
    assert "00000000" in set(windows.date)


@pytest.mark.parametrize("change", [lambda data: b"", lambda data: b"\xff\xfe", in_first_row("row_id", "id")])
def test_a_sample_without_its_columns_is_refused(tables, change):
    path = tables / "sample_submission.csv"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BadInput, match=r"sample_submission\.csv is not usable"):
        read_class_list(tables)


@pytest.mark.parametrize("label", ["", "a b", "../x", "a\n1"])
def test_a_label_that_is_no_name_is_refused(tables, label):
    (tables / "sample_submission.csv").write_text(f'row_id,ok,"{label}"\nx_5,0,0\n')
    with pytest.raises(BadInput, match="letters and digits"):
        read_class_list(tables)


def test_a_missing_sample_is_refused_in_four_parts(tmp_path):
    with pytest.raises(BadInput, match=r"sample_submission\.csv is missing"):
        read_class_list(tmp_path)


def test_a_row_id_of_digits_that_are_none_is_refused():
    with pytest.raises(BadInput, match="cannot be read"):
        split_row_id("BC2026_Test_0001_S05_20250227_010002_²5")


@pytest.mark.parametrize("value", ["2", "x", ""])
def test_a_solution_of_other_values_is_refused(tmp_path, value):
    classes = read_class_list_of(tmp_path, "a", "b")
    (tmp_path / "solution.csv").write_text(f"row_id,a,b\nx_5,1,{value}\n")
    with pytest.raises(BadInput, match="other values than 0 and 1"):
        read_solution(tmp_path / "solution.csv", classes)


def read_class_list_of(folder, *labels):
    (folder / "sample_submission.csv").write_text(f"row_id,{','.join(labels)}\nx_5{',0' * len(labels)}\n")
    return read_class_list(folder)


def resealed(prepared_folder, tmp_path, name, change):
    """A copy of `prepared/` whose file is changed, with seals and versions that fit it again."""
    for path in prepared_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    change(tmp_path / name)
    (tmp_path / "manifest.json").unlink()
    seal(tmp_path, "prepared")
    return tmp_path


def folds_changed(change):
    """A change of folds.csv that prepared.json agrees with."""

    def apply(path):
        facts = path.with_name("prepared.json")
        before = Folds(pd.read_csv(path))
        after = Folds(change(before.table))
        after.save(path)
        facts.write_text(facts.read_text().replace(before.version, after.version))

    return apply


RESEALED = {
    "a fold's row gone": ("folds.csv", folds_changed(lambda f: f.iloc[1:]), "folds do not fit the clips"),
    "a soundscape's fold gone": ("folds.csv", folds_changed(lambda f: f.iloc[:-1]), "do not fit the soundscapes"),
    "a fold's row twice": ("folds.csv", folds_changed(lambda f: pd.concat([f, f.iloc[:1]])), "do not fit the clips"),
    "folds of other columns": ("folds.csv", lambda path: path.write_text("a,b\n1,2\n"), "no table of folds"),
    "folds without numbers": (
        "folds.csv",
        lambda path: path.write_text("item,kind,group,fold\na,clip,a,x\n"),
        "no tab",
    ),
    "no parquet": ("clips.parquet", lambda path: path.write_bytes(b"PAR1"), "not what 01 writes"),
    "another parquet": (
        "windows.parquet",
        lambda path: pd.DataFrame({"a": [1]}).to_parquet(path),
        "the columns row_id",
    ),
    "numbers for names": (
        "windows.parquet",
        lambda path: pd.read_parquet(path).assign(stem=np.arange(1.0)[0]).to_parquet(path),
        "text in row_id",
    ),
    "text for lists": (
        "windows.parquet",
        lambda path: pd.read_parquet(path).assign(labels="abc").to_parquet(path),
        "lists in labels",
    ),
    "a QA table of other columns": ("qa.csv", lambda path: path.write_text("a\n1\n"), "no QA table"),
}


@pytest.mark.parametrize(("name", "change", "text"), RESEALED.values(), ids=RESEALED)
def test_a_resealed_folder_that_does_not_fit_itself_is_refused(prepared_folder, tmp_path, name, change, text):
    with pytest.raises(BadInput, match=text):
        load_prepared(resealed(prepared_folder, tmp_path, name, change))


def test_an_empty_qa_table_comes_back_empty(prepared_folder, tmp_path):
    save_qa(tmp_path, load_prepared(prepared_folder).qa.iloc[:0])
    assert len(read_qa(tmp_path)) == 0
