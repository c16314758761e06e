"""The writer: a submission is checked, written aside, read back, compared, and only then put in place."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.classes import ClassList
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput, shortened


def write_submission(path: Path, scores: Scores, asked: tuple[str, ...], classes: ClassList) -> str:
    """Write `scores` for the asked rows, in their order, and return the file's fingerprint; never half a file."""
    if scores.kind == "logit":
        raise _refused("logits are not wanted", "probabilities or ranks in [0, 1]", "logits")
    frame = pd.DataFrame(scores.values, columns=list(scores.classes))
    frame.insert(0, "row_id", scores.row_ids)
    return write_frame(path, frame, asked, classes)


def write_frame(path: Path, frame: pd.DataFrame, asked: tuple[str, ...], classes: ClassList) -> str:
    """The same for a table of row_id and classes, whatever made it."""
    check_submission(frame, asked, classes)
    frame = frame.set_index("row_id").loc[list(asked)].reset_index()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _save(frame, aside)
        written = read_submission(aside)
        check_submission(written, asked, classes)
        if not np.array_equal(
            written[list(classes.labels)].to_numpy(np.float32), frame[list(classes.labels)].to_numpy(np.float32)
        ):
            raise _refused(
                "what was read back is not what was written", "equal values", f"other values in {aside.name}"
            )
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return fingerprint.of_file(path)


def _save(frame: pd.DataFrame, path: Path) -> None:
    """Write the table; a folder that does not take it is an error that names it."""
    try:
        frame.to_csv(path, index=False)
    except OSError as error:
        raise BadInput(
            "the submission cannot be written",
            expected=f"a folder that can be written to: {path.parent}",
            got=error,
            do="give another output_dir, or make room on the disk",
        ) from error


def read_submission(path: Path) -> pd.DataFrame:
    """A submission file as a table, labels and row ids as text."""
    return pd.read_csv(path, dtype={"row_id": str})


def check_submission(frame: pd.DataFrame, asked: tuple[str, ...], classes: ClassList) -> None:
    """Refuse a table that the platform would reject or score wrongly; the first row or column at fault is named."""
    columns = list(frame.columns)
    wanted = ["row_id", *classes.labels]
    if columns != wanted:
        raise _refused("columns", f"row_id and {len(classes)} classes in order", _column_fault(columns, wanted))
    if doubled := frame.row_id[frame.row_id.duplicated()].tolist():
        raise _refused("a row is repeated", "each row once", shortened(doubled, 3))
    have, want = set(frame.row_id), set(asked)
    if missing := [row for row in asked if row not in have]:
        raise _refused("rows are missing", f"{len(asked)} rows", f"{len(missing)} missing, first {missing[0]}")
    if extra := [row for row in frame.row_id if row not in want]:
        raise _refused("rows that nobody asked for", f"{len(asked)} rows", f"{len(extra)} more, first {extra[0]}")
    values = frame[list(classes.labels)]
    if textual := [column for column in classes.labels if not pd.api.types.is_numeric_dtype(values[column])]:
        raise _refused("a column is not numeric", "numbers", shortened(textual, 3))
    table = values.to_numpy(dtype=np.float64)
    faults = {"a value is not finite": ~np.isfinite(table), "a value lies outside [0, 1]": (table < 0) | (table > 1)}
    for what, bad in faults.items():
        if bad.any():
            row, column = np.argwhere(bad)[0]
            at = f"{table[row, column]} at row {frame.row_id.iloc[row]}, column {classes.labels[column]}"
            raise _refused(what, "finite values in [0, 1]", at)


def _column_fault(columns: list[str], wanted: list[str]) -> str:
    """What is wrong with the columns, the most telling fault first."""
    unnamed = [column for column in columns if str(column).startswith("Unnamed:")]
    if unnamed:
        return f"an index column {unnamed[0]!r}"
    if missing := [column for column in wanted if column not in columns]:
        return f"{len(missing)} missing, first {missing[0]!r}"
    if extra := [column for column in columns if column not in wanted]:
        return f"{len(extra)} unknown, first {extra[0]!r}"
    if len(columns) > len(wanted):
        return f"repeated: {shortened({column for column in columns if columns.count(column) > 1}, 3)}"
    at = next(i for i, (have, want) in enumerate(zip(columns, wanted, strict=True)) if have != want)
    return f"another order, first at column {at}: {columns[at]!r} instead of {wanted[at]!r}"


def _refused(what: str, expected: object, got: object) -> BadInput:
    return BadInput(f"submission refused: {what}", expected=expected, got=got, do="mend the step before the writer")
