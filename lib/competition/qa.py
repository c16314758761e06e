"""The QA table: each problem of an item, the function that found it, and the action. Every exclusion is a row of it.

The checks below need no sound: the tables must agree with each other, with the files, and within themselves.
"""

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from lib.competition.folds import clusters
from lib.competition.tables import Findings
from lib.competition.text_table import read_header, read_text_table
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten

QA_COLUMNS = ["item", "kind", "check", "partner", "detail", "provenance", "action"]

ITEM_KINDS = ("clip", "soundscape", "window", "class")

ACTIONS = ("exclude", "group", "review", "none")

REPORTED = ("bad sound", "row without file")  # the inventory's report names these already

_FILE = "qa.csv"


def qa_rows(by: Callable, kind: str, check: str, action: str, rows: Iterable[tuple[Any, str, str]]) -> pd.DataFrame:
    """A part of the table from (item, partner, detail); `by` is the function that found them."""
    if kind not in ITEM_KINDS or action not in ACTIONS:
        raise BadInput(
            "a QA row cannot be made",
            expected=f"one of {ITEM_KINDS} and one of {ACTIONS}",
            got=(kind, action),
            do="use a kind of ITEM_KINDS and an action of ACTIONS",
        )
    lines = [(item, kind, check, partner, detail, provenance(by), action) for item, partner, detail in rows]
    return pd.DataFrame(lines, columns=QA_COLUMNS, dtype=str)


def provenance(by: Callable) -> str:
    """The function's full name and the fingerprint of the file it is defined in."""
    return f"{by.__module__}.{by.__qualname__} @ {fingerprint.of_file(Path(inspect.getfile(by)))}"


def qa_table(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The complete table, in the order of discovery, each line once."""
    parts = [part for part in parts if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=QA_COLUMNS, dtype=str)
    return table.drop_duplicates(ignore_index=True)


def excluded_items(qa: pd.DataFrame, kind: str) -> set[str]:
    """The items of that kind that are used for neither training nor evaluation."""
    return set(qa["item"][(qa.action == "exclude") & (qa.kind == kind)])


def related_pairs(qa: pd.DataFrame) -> list[tuple[str, str]]:
    """The pairs of the same recording: they must share a fold, and a model trained on one was trained on the other."""
    rows = qa[qa.action == "group"]
    return list(zip(rows["item"], rows.partner, strict=True))


def drop_excluded(clips: pd.DataFrame, windows: pd.DataFrame, qa: pd.DataFrame, findings: Findings):
    """The clips and labelled windows that are not excluded; excluded windows are added to the findings."""
    lost = windows.stem.isin(excluded_items(qa, "soundscape")) | windows.row_id.isin(excluded_items(qa, "window"))
    table = "train_soundscapes_labels.csv"
    findings.add(table, "labelled windows of excluded soundscapes", windows.row_id[lost].tolist(), "excluded")
    left = clips[~clips.filename.isin(excluded_items(qa, "clip"))]
    return left.reset_index(drop=True), windows[~lost].reset_index(drop=True)


def report_qa(qa: pd.DataFrame, findings: Findings) -> None:
    """Add a line for each check and action to the findings, without those that the inventory has reported."""
    done = {"exclude": "excluded", "group": "kept in one fold", "review": "to be reviewed", "none": "noted"}
    fresh = qa[~qa.check.isin(REPORTED)]
    for (kind, check, action), rows in fresh.groupby(["kind", "check", "action"], sort=False):
        findings.add("QA", f"{kind}: {check}", rows["item"].tolist(), done[str(action)])


def qa_summary(qa: pd.DataFrame) -> pd.DataFrame:
    """The number of items that each check found, by action."""
    counts = qa.groupby(["check", "kind", "action", "provenance"], sort=False)
    table = counts["item"].agg(items="nunique", example="first").reset_index()
    return table.assign(provenance=table.provenance.str.partition(" @ ")[0])[
        ["check", "kind", "items", "action", "example", "provenance"]
    ]


def pairs_across_folds(pairs: Iterable[tuple[str, str]], fold_of: dict[str, int]) -> list[tuple[str, str]]:
    """The pairs whose two items lie in different folds, so that training on one leaks the label of the other."""
    both = [(one, other) for one, other in pairs if one in fold_of and other in fold_of]
    return [(one, other) for one, other in both if fold_of[one] != fold_of[other]]


def cluster_sizes(pairs: list[tuple[str, str]]) -> pd.Series:
    """The number of clusters of each size: a size of 2 is a pair."""
    sizes = pd.Series(clusters(pairs), dtype=str).value_counts()
    return sizes.value_counts().sort_index().rename_axis("items").rename("clusters")


def refuse_excluded(clips: pd.DataFrame, windows: pd.DataFrame, qa: pd.DataFrame) -> None:
    """Refuse tables that still hold what the QA table excludes."""
    left = {
        *excluded_items(qa, "clip").intersection(clips.filename),
        *excluded_items(qa, "soundscape").intersection(windows.stem),
        *excluded_items(qa, "window").intersection(windows.row_id),
    }
    if left:
        raise BadInput(
            "prepared tables hold excluded items",
            expected="nothing that the QA table excludes",
            got=shorten(sorted(left)),
            do="pass the tables through drop_excluded",
        )


def save_qa(folder: Path, qa: pd.DataFrame) -> None:
    """Write the table into a folder that is not sealed yet."""
    qa[QA_COLUMNS].to_csv(folder / _FILE, index=False, lineterminator="\n")


def read_qa(prepared_folder: Path) -> pd.DataFrame:
    """The QA table of `prepared/`, whose seal the caller has checked."""
    path = prepared_folder / _FILE
    header = read_header(path)
    if header != QA_COLUMNS:
        raise BadInput(
            f"{path} is no QA table",
            expected=f"the columns {', '.join(QA_COLUMNS)}",
            got=", ".join(header),
            do="run 01_data_prep again, and everything after it",
        )
    return read_text_table(path, may_be_empty=True)
