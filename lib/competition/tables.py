"""Readers of the contest's tables. Each checks its table, repairs known defects, and reports them as findings."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.cells import literal_list, window_end
from lib.competition.classes import ClassList
from lib.competition.row_ids import is_date, parse_soundscape, row_id, window_ends
from lib.competition.scores import Labels
from lib.competition.text_table import is_cut_off, read_text_table
from lib.core.errors import BadInput, shorten


@dataclass(frozen=True)
class Finding:
    """One line of the report: a defect in a table, the number of items, and the action taken."""

    table: str
    what: str
    count: int
    action: str
    examples: str = ""


@dataclass
class Findings:
    """The report on defects in the data, added to as tables and sounds are read; every repair is listed."""

    lines: list[Finding] = field(default_factory=list)

    def add(self, table: str, what: str, items: int | Sequence[str], action: str) -> None:
        """Add a line on items (or a count of them) of a table and the action taken; no items, no line."""
        count, examples = (items, "") if isinstance(items, int) else (len(items), shorten(items, 3))
        if count:
            self.lines.append(Finding(table, what, count, action, examples))

    def frame(self) -> pd.DataFrame:
        """The report as a table, in the order of discovery."""
        columns = ["table", "what", "count", "action", "examples"]
        return pd.DataFrame([[getattr(line, column) for column in columns] for line in self.lines], columns=columns)


TAXONOMY = ("primary_label", "inat_taxon_id", "scientific_name", "common_name", "class_name")
TRAIN = (
    "primary_label",
    "secondary_labels",
    "type",
    "latitude",
    "longitude",
    "scientific_name",
    "common_name",
    "class_name",
    "inat_taxon_id",
    "author",
    "license",
    "rating",
    "url",
    "filename",
    "collection",
)
ANIMAL_CLASSES = ("Aves", "Amphibia", "Insecta", "Mammalia", "Reptilia")
_RANGES = {"latitude": (-90, 90), "longitude": (-180, 180), "rating": (0, 5)}
_CLIP_NAME = re.compile(r"[^/\\\0]{1,100}/[^/\\\0]{1,100}\.ogg")
WINDOW_LABELS = ("filename", "start", "end", "primary_label")
LABELS_WITHOUT_AUDIO = 28  # of the 234 classes of 2026


def read_table(competition: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """The csv table as text columns, its needed columns checked, an index column dropped."""
    path = competition / name
    if not path.is_file():
        raise BadInput(
            f"{name} is missing",
            expected=path,
            got=f"{competition} holds {shorten(_names(competition), 8)}",
            do="attach the competition, or copy the table there",
        )
    table = read_text_table(path)
    table = table[[column for column in table.columns if column and not column.startswith("Unnamed:")]]
    if absent := [column for column in columns if column not in table.columns]:
        raise BadInput(
            f"{name} lacks columns",
            expected=", ".join(columns),
            got=f"no {', '.join(absent)}",
            do="use the table as the competition provides it",
        )
    return table


def _read_checked(competition: Path, name: str, columns: tuple[str, ...], findings: Findings) -> pd.DataFrame:
    """The table; that its end may be cut is a finding."""
    table = read_table(competition, name, columns)
    if is_cut_off(competition / name):
        findings.add(name, "last lines without a line break: the file may be cut there", 1, "check the file")
    return table


def read_taxonomy(competition: Path, classes: ClassList, findings: Findings) -> pd.DataFrame:
    """One row a class, in class order; the taxonomy and the class list must name the same labels."""
    taxonomy = _read_checked(competition, "taxonomy.csv", TAXONOMY, findings)
    labels = list(taxonomy.primary_label)
    if sorted(labels) != sorted(classes.labels):
        odd = sorted(set(labels) ^ set(classes.labels)) or [label for label in labels if labels.count(label) > 1]
        raise BadInput(
            "taxonomy.csv and sample_submission.csv differ",
            expected="the same labels, once each",
            got=shorten(odd),
            do="use both from the same competition folder",
        )
    strangers = taxonomy.primary_label[~taxonomy.class_name.isin(ANIMAL_CLASSES)]
    findings.add("taxonomy.csv", f"classes other than {', '.join(ANIMAL_CLASSES)}", list(strangers), "check the table")
    if labels != list(classes.labels):
        findings.add("taxonomy.csv", "rows in another order than the submission's columns", len(labels), "reordered")
    return taxonomy.set_index("primary_label").loc[list(classes.labels)].reset_index()


def read_clips(competition: Path, classes: ClassList, findings: Findings) -> pd.DataFrame:
    """train.csv, with `secondary` (tuple of known labels), `kinds` (tuple of call types) and numbers as numbers."""
    table = _read_checked(competition, "train.csv", TRAIN, findings)
    _refuse_unknown("train.csv", table.primary_label, classes)
    if odd := [name for name in table.filename if not _CLIP_NAME.fullmatch(name) or name.startswith(".")]:
        raise BadInput(
            "train.csv: file name outside its folder",
            expected="<folder>/<file>.ogg below train_audio",
            got=shorten(odd),
            do="fix the filename, or drop the row",
        )
    if duplicates := list(table.filename[table.filename.duplicated()]):
        findings.add("train.csv", "rows with a file name seen before", duplicates, "dropped, first kept")
        table = table.drop_duplicates("filename", ignore_index=True)
    named = [
        literal_list(text, f"train.csv row {row}, secondary_labels") for row, text in enumerate(table.secondary_labels)
    ]
    unknown = [label for labels in named for label in labels if label not in classes.index]
    findings.add("train.csv", "secondary labels outside the class list", unknown, "ignored")
    table["secondary"] = [
        tuple(dict.fromkeys(label for label in labels if label in classes.index and label != primary))
        for labels, primary in zip(named, table.primary_label, strict=True)
    ]
    table["kinds"] = [literal_list(text, f"train.csv row {row}, type") for row, text in enumerate(table.type)]
    for column, (least, most) in _RANGES.items():
        number = pd.to_numeric(table[column], errors="coerce").astype(float)
        table[column] = number.where(number.between(least, most))
        wrong = list(table.filename[table[column].isna()])
        findings.add("train.csv", f"rows without a {column} from {least} to {most}", wrong, "left empty")
    silent = [label for label in classes.labels if label not in set(table.primary_label)]
    findings.add(
        "train.csv", "classes without any focal clip", silent, "expected; soundscapes are their only training data"
    )
    if len(classes) == 234 and len(silent) != LABELS_WITHOUT_AUDIO:
        findings.add("train.csv", f"classes without clips, where 2026 has {LABELS_WITHOUT_AUDIO}", len(silent), "check")
    return table.drop(columns=["secondary_labels", "type"])


def read_windows(competition: Path, classes: ClassList, findings: Findings) -> pd.DataFrame:
    """One row a *labelled* window: row_id, stem, site, date, hour, group, end_s, labels. Absent means unlabelled."""
    name = "train_soundscapes_labels.csv"
    table = _read_checked(competition, name, WINDOW_LABELS, findings)
    fresh, repeated = table.drop_duplicates(), table.duplicated(keep=False)
    findings.add(name, "rows that repeat another exactly", len(table) - len(fresh), "dropped")
    if repeated.any():
        findings.add(name, "rows that occur once, where others occur twice", int((~repeated).sum()), "check the table")
    rows: dict[str, dict] = {}
    merged = []
    lines = zip(fresh.index, fresh.filename, fresh.start, fresh.end, fresh.primary_label, strict=True)
    for number, filename, start, end, named in lines:
        labels = tuple(label for label in named.split(";") if label)
        _refuse_unknown(f"{name} row {number}", pd.Series(labels, dtype=object), classes)
        soundscape, end_s = parse_soundscape(filename), window_end(start, end, f"{name} row {number}")
        if soundscape.split != "Train":
            raise BadInput(
                f"{name} row {number} labels a test soundscape",
                expected="BC2026_Train_…",
                got=filename,
                do="drop the row: what the test holds is not for training",
            )
        row = row_id(soundscape.stem, end_s)
        if row in rows:
            merged.append(row)
            rows[row]["labels"] = tuple(sorted({*rows[row]["labels"], *labels}))
            continue
        rows[row] = {
            "row_id": row,
            "stem": soundscape.stem,
            "site": soundscape.site,
            "date": soundscape.date,
            "hour": soundscape.hour,
            "group": soundscape.group,
            "end_s": end_s,
            "labels": tuple(sorted(labels)),
        }
    findings.add(name, "windows labelled more than once, differently", merged, "their labels merged")
    undated = sorted({line["stem"] for line in rows.values() if not is_date(line["date"])})
    findings.add(name, "soundscapes of a date that no calendar has", undated, "kept; their month is unknown")
    windows = pd.DataFrame(rows.values()).sort_values(["stem", "end_s"], ignore_index=True)
    per_file = windows.groupby("stem").size()
    partial = per_file[per_file < len(window_ends())]
    findings.add(
        name, "partly labelled soundscapes", list(partial.index), "their other windows are unlabelled, not negative"
    )
    findings.add(name, "windows absent from them", int((len(window_ends()) - partial).sum()), "masked")
    findings.add(name, "labelled windows without a label", list(windows.row_id[windows.labels.str.len() == 0]), "kept")
    return windows


def window_labels(windows: pd.DataFrame, classes: ClassList) -> Labels:
    """The labelled windows as a table of booleans."""
    return Labels(classes.multi_hot(list(windows.labels)), tuple(windows.row_id), classes.labels)


def read_solution(path: Path, classes: ClassList) -> Labels:
    """The hidden labels of a miniature competition, in class order."""
    table = read_text_table(path)
    if absent := [column for column in ("row_id", *classes.labels) if column not in table.columns]:
        raise BadInput(
            f"{path.name} lacks classes",
            expected="a column a class",
            got=shorten(absent),
            do="build the miniature again with `make demo`",
        )
    values = table[list(classes.labels)].apply(pd.to_numeric, errors="coerce").to_numpy()
    if not np.isin(values, (0, 1)).all():
        raise BadInput(
            f"{path.name} holds other values than 0 and 1",
            expected="0 or 1",
            got=shorten(sorted({f"{value}" for value in values[~np.isin(values, (0, 1))]})),
            do="build the miniature again with `make demo`",
        )
    return Labels(values.astype(bool), tuple(table.row_id), classes.labels)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ["nothing: no such folder"]


def _refuse_unknown(where: str, labels: pd.Series, classes: ClassList) -> None:
    """Refuse a primary label that is not a column of the submission."""
    if odd := sorted(set(labels) - set(classes.labels)):
        raise BadInput(
            f"{where}: label outside the class list",
            expected="a column of sample_submission.csv",
            got=shorten(odd),
            do="use tables of the same competition",
        )
