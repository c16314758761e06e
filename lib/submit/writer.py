"""Write a submission: check it, write a temporary file, read it back, compare, and only then move it into place."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.classes import ClassList
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten


def write_submission(path: Path, scores: Scores, required: tuple[str, ...], classes: ClassList) -> str:
    """Write `scores` for the required rows, in their order, and return the file's fingerprint; never half a file."""
    if scores.kind == "logit":
        raise _refused("logits cannot be submitted", "probabilities or ranks in [0, 1]", "logits")
    frame = pd.DataFrame(scores.values, columns=list(scores.classes))
    frame.insert(0, "row_id", scores.row_ids)
    return write_frame(path, frame, required, classes)


def write_frame(path: Path, frame: pd.DataFrame, required: tuple[str, ...], classes: ClassList) -> str:
    """Write a table of row_id and classes; a reader of `path` sees the old file or the new one, each complete."""
    check_submission(frame, required, classes)
    frame = frame.set_index("row_id").loc[list(required)].reset_index()
    aside = path.with_name(f".{path.name}.new")  # one name, so that the next run replaces what a killed one left
    try:
        _save(frame, aside)
        written = read_submission(aside)
        check_submission(written, required, classes)
        if not np.array_equal(
            written[list(classes.labels)].to_numpy(np.float32), frame[list(classes.labels)].to_numpy(np.float32)
        ):
            raise _refused(
                "the file read back differs from the scores", "equal values", f"other values in {aside.name}"
            )
        os.replace(aside, path)
    finally:
        with suppress(OSError):  # a folder that cannot be written to has its own error
            aside.unlink(missing_ok=True)
    return fingerprint.of_file(path)


def _save(frame: pd.DataFrame, path: Path) -> None:
    """Write the table; a folder that cannot be written to is an error that names it."""
    try:
        frame.to_csv(path, index=False)
    except OSError as error:
        raise BadInput(
            "the submission cannot be written",
            expected=f"a folder that can be written to: {path.parent}",
            got=error,
            do="set another output_dir, or free space on the disk",
        ) from error


def read_submission(path: Path) -> pd.DataFrame:
    """A submission file as a table, labels and row ids as text."""
    return pd.read_csv(path, dtype={"row_id": str})


def check_submission(frame: pd.DataFrame, required: tuple[str, ...], classes: ClassList) -> None:
    """Refuse a table that the platform would reject or score wrongly; the error names the first wrong row or column."""
    columns = list(frame.columns)
    expected = ["row_id", *classes.labels]
    if columns != expected:
        raise _refused("columns", f"row_id and {len(classes)} classes in order", _column_error(columns, expected))
    if doubled := frame.row_id[frame.row_id.duplicated()].tolist():
        raise _refused("a row is repeated", "each row once", shorten(doubled, 3))
    have, want = set(frame.row_id), set(required)
    if missing := [row for row in required if row not in have]:
        raise _refused("rows are missing", f"{len(required)} rows", f"{len(missing)} missing, first {missing[0]}")
    if extra := [row for row in frame.row_id if row not in want]:
        raise _refused("rows that are not required", f"{len(required)} rows", f"{len(extra)} more, first {extra[0]}")
    values = frame[list(classes.labels)]
    if textual := [column for column in classes.labels if not pd.api.types.is_numeric_dtype(values[column])]:
        raise _refused("a column is not numeric", "numbers", shorten(textual, 3))
    table = values.to_numpy(dtype=np.float64)
    checks = {"a value is not finite": ~np.isfinite(table), "a value lies outside [0, 1]": (table < 0) | (table > 1)}
    for what, bad in checks.items():
        if bad.any():
            row, column = np.argwhere(bad)[0]
            at = f"{table[row, column]} at row {frame.row_id.iloc[row]}, column {classes.labels[column]}"
            raise _refused(what, "finite values in [0, 1]", at)


def _column_error(columns: list[str], expected: list[str]) -> str:
    """A description of the first difference in the columns, the most specific one first."""
    unnamed = [column for column in columns if str(column).startswith("Unnamed:")]
    if unnamed:
        return f"an index column {unnamed[0]!r}"
    if missing := [column for column in expected if column not in columns]:
        return f"{len(missing)} missing, first {missing[0]!r}"
    if extra := [column for column in columns if column not in expected]:
        return f"{len(extra)} unknown, first {extra[0]!r}"
    if len(columns) > len(expected):
        return f"repeated: {shorten({column for column in columns if columns.count(column) > 1}, 3)}"
    at = next(i for i, (have, want) in enumerate(zip(columns, expected, strict=True)) if have != want)
    return f"another order, first at column {at}: {columns[at]!r} instead of {expected[at]!r}"


def _refused(what: str, expected: object, got: object) -> BadInput:
    return BadInput(f"submission refused: {what}", expected=expected, got=got, do="fix the step before the writer")
