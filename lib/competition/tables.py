"""Readers of the contest's tables. Each checks its table, repairs known defects, and reports them as findings."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.classes import ClassList
from lib.competition.row_ids import WINDOW_S, parse_soundscape, row_id, window_ends
from lib.competition.scores import Labels
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
WINDOW_LABELS = ("filename", "start", "end", "primary_label")
LABELS_WITHOUT_AUDIO = 28  # of the 234 classes of 2026


def read_table(competition: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """The csv table as text columns (labels look like numbers), its needed columns checked, an index column dropped."""
    path = competition / name
    if not path.is_file():
        raise BadInput(
            f"{name} is missing",
            expected=path,
            got=f"{competition} holds {shorten(_names(competition), 8)}",
            do="attach the competition, or copy the table there",
        )
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table = table[[column for column in table.columns if not column.startswith("Unnamed:")]]
    if absent := [column for column in columns if column not in table.columns]:
        raise BadInput(
            f"{name} lacks columns",
            expected=", ".join(columns),
            got=f"no {', '.join(absent)}",
            do="use the table as the competition provides it",
        )
    return table


def read_taxonomy(competition: Path, classes: ClassList, findings: Findings) -> pd.DataFrame:
    """One row a class, in class order; the taxonomy and the class list must name the same labels."""
    taxonomy = read_table(competition, "taxonomy.csv", TAXONOMY)
    labels = list(taxonomy.primary_label)
    if sorted(labels) != sorted(classes.labels):
        odd = sorted(set(labels) ^ set(classes.labels)) or [label for label in labels if labels.count(label) > 1]
        raise BadInput(
            "taxonomy.csv and sample_submission.csv differ",
            expected="the same labels, once each",
            got=shorten(odd),
            do="use both from the same competition folder",
        )
    if labels != list(classes.labels):
        findings.add("taxonomy.csv", "rows in another order than the submission's columns", len(labels), "reordered")
    return taxonomy.set_index("primary_label").loc[list(classes.labels)].reset_index()


def read_clips(competition: Path, classes: ClassList, findings: Findings) -> pd.DataFrame:
    """train.csv, with `secondary` (tuple of known labels), `kinds` (tuple of call types) and numbers as numbers."""
    table = read_table(competition, "train.csv", TRAIN)
    _refuse_unknown("train.csv", table.primary_label, classes)
    if duplicates := list(table.filename[table.filename.duplicated()]):
        findings.add("train.csv", "rows with a file name seen before", duplicates, "dropped, first kept")
        table = table.drop_duplicates("filename", ignore_index=True)
    named = [
        _literal_list(text, f"train.csv row {row}, secondary_labels") for row, text in enumerate(table.secondary_labels)
    ]
    unknown = [label for labels in named for label in labels if label not in classes.index]
    findings.add("train.csv", "secondary labels outside the class list", unknown, "ignored")
    table["secondary"] = [
        tuple(dict.fromkeys(label for label in labels if label in classes.index and label != primary))
        for labels, primary in zip(named, table.primary_label, strict=True)
    ]
    table["kinds"] = [_literal_list(text, f"train.csv row {row}, type") for row, text in enumerate(table.type)]
    for column in ("latitude", "longitude", "rating"):
        table[column] = pd.to_numeric(table[column], errors="coerce")
        findings.add(
            "train.csv", f"rows without a readable {column}", list(table.filename[table[column].isna()]), "left empty"
        )
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
    table = read_table(competition, name, WINDOW_LABELS)
    fresh = table.drop_duplicates(ignore_index=True)
    findings.add(name, "rows that repeat another exactly", len(table) - len(fresh), "dropped")
    rows: dict[str, dict] = {}
    merged = []
    lines = zip(fresh.filename, fresh.start, fresh.end, fresh.primary_label, strict=True)
    for number, (filename, start, end, named) in enumerate(lines):
        labels = tuple(label for label in named.split(";") if label)
        _refuse_unknown(f"{name} row {number}", pd.Series(labels, dtype=object), classes)
        soundscape, end_s = parse_soundscape(filename), _window_end(start, end, f"{name} row {number}")
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
    table = pd.read_csv(path, dtype={"row_id": str})
    if absent := [label for label in classes.labels if label not in table.columns]:
        raise BadInput(
            f"{path.name} lacks classes",
            expected="a column a class",
            got=shorten(absent),
            do="build the miniature again with `make demo`",
        )
    values = table[list(classes.labels)].to_numpy()
    if not np.isin(values, (0, 1)).all():
        raise BadInput(
            f"{path.name} holds other values than 0 and 1",
            expected="0 or 1",
            got=values.max(),
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


def _literal_list(text: str, where: str) -> tuple[str, ...]:
    """The strings of a Python list literal; nothing is evaluated."""
    try:
        value = ast.literal_eval(text) if text.strip() else []
    except (ValueError, SyntaxError) as error:
        raise BadInput(
            f"{where} cannot be read", expected="a list such as ['a', 'b']", got=text, do="fix the cell"
        ) from error
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadInput(
            f"{where} is not a list of strings", expected="a list such as ['a', 'b']", got=text, do="fix the cell"
        )
    return tuple(item for item in value if item)


def _window_end(start: str, end: str, where: str) -> int:
    """The end second of a window given as HH:MM:SS twice; it must be one of the twelve."""
    begin_s, end_s = _seconds(start, where), _seconds(end, where)
    if end_s - begin_s != WINDOW_S or end_s not in window_ends():
        raise BadInput(
            f"{where}: not one of the twelve windows",
            expected="five seconds, ending at 5, 10, … 60 s",
            got=f"{start} to {end}",
            do="fix the row's start and end",
        )
    return end_s


def _seconds(clock: str, where: str) -> int:
    parts = clock.split(":")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise BadInput(f"{where}: time cannot be read", expected="HH:MM:SS", got=clock, do="fix the row")
    hours, minutes, seconds = map(int, parts)
    return hours * 3600 + minutes * 60 + seconds
