"""`Scores`, the one type passed from every model to the writer, and `Labels`, the truth they are evaluated against."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from lib.core.errors import BadInput, shorten

SCORE_KINDS = ("logit", "prob", "rank")


@dataclass(frozen=True, eq=False)
class Scores:
    """One number for each window and class: `values` (rows, classes) float32, of one kind throughout."""

    values: np.ndarray
    row_ids: tuple[str, ...]
    classes: tuple[str, ...]
    kind: str

    def __post_init__(self):
        object.__setattr__(self, "values", np.ascontiguousarray(self.values, dtype=np.float32))
        object.__setattr__(self, "row_ids", tuple(self.row_ids))
        object.__setattr__(self, "classes", tuple(self.classes))
        self.values.setflags(write=False)
        if self.kind not in SCORE_KINDS:
            raise _bad_scores("unknown kind", f"one of {SCORE_KINDS}", self.kind)
        check_table(self.values, self.row_ids, self.classes)
        if not np.isfinite(self.values).all():
            row, column = np.argwhere(~np.isfinite(self.values))[0]
            raise _bad_scores(
                "a value is not finite",
                "finite numbers",
                f"{self.values[row, column]} at row {self.row_ids[row]}, class {self.classes[column]}",
            )
        if self.kind != "logit" and self.values.size and not (self.values.min() >= 0 and self.values.max() <= 1):
            raise _bad_scores(
                f"a {self.kind} lies outside [0, 1]", "[0, 1]", f"{self.values.min()} … {self.values.max()}"
            )

    def with_values(self, values: np.ndarray, kind: str | None = None) -> "Scores":
        """The same rows and classes with other values."""
        return Scores(values, self.row_ids, self.classes, kind or self.kind)

    def take(self, row_ids: Sequence[str]) -> "Scores":
        """The named rows, in the order named; an absent row is an error."""
        return Scores(self.values[_positions(self.row_ids, row_ids)], tuple(row_ids), self.classes, self.kind)

    def save(self, path: Path) -> None:
        """Write a parquet table: row_id, the classes in order, and the kind as a constant last column."""
        table = pd.DataFrame(self.values, columns=list(self.classes))
        table.insert(0, "row_id", self.row_ids)
        table.assign(kind=self.kind).to_parquet(path, index=False)


@dataclass(frozen=True, eq=False)
class Labels:
    """Expert labels: `values` (rows, classes) booleans. Labelled windows only: no row means unlabelled.

    Rows with the same number in `strata` (rows,) were scored by one model. Out of fold, each fold has a model and a
    scale of its own: only rows within a fold can be ranked against each other.
    """

    values: np.ndarray
    row_ids: tuple[str, ...]
    classes: tuple[str, ...]
    strata: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))  # empty: all rows are one stratum

    def __post_init__(self):
        object.__setattr__(self, "values", np.ascontiguousarray(self.values, dtype=bool))
        object.__setattr__(self, "row_ids", tuple(self.row_ids))
        object.__setattr__(self, "classes", tuple(self.classes))
        if not len(self.strata):
            object.__setattr__(self, "strata", np.zeros(len(self.row_ids), dtype=int))
        check_table(self.values, self.row_ids, self.classes)

    def take(self, row_ids: Sequence[str]) -> "Labels":
        """The named rows, in the order named."""
        rows = _positions(self.row_ids, row_ids)
        return Labels(self.values[rows], tuple(row_ids), self.classes, self.strata[rows])

    def restrict_to(self, scores: Scores) -> "Labels":
        """The rows that the scores have too."""
        scored = set(scores.row_ids)
        return self.take([row for row in self.row_ids if row in scored])


def load_scores(path: Path) -> Scores:
    """The scores that `Scores.save` wrote."""
    table = pd.read_parquet(path)
    kinds = set(table.pop("kind"))
    if len(kinds) != 1:
        raise _bad_scores(f"{path} mixes kinds", "one kind", kinds)
    row_ids = tuple(table.pop("row_id"))
    return Scores(table.to_numpy(np.float32), row_ids, tuple(table.columns), kinds.pop())


def concat_scores(parts: list[Scores]) -> Scores:
    """Several scores of the same classes and kind, concatenated by rows."""
    check_same(parts, rows=False)
    rows = tuple(row for part in parts for row in part.row_ids)
    return Scores(np.concatenate([part.values for part in parts]), rows, parts[0].classes, parts[0].kind)


def check_same(parts: list[Scores], rows: bool = True, kinds: bool = True) -> None:
    """Refuse scores that differ in classes, in kind (if `kinds`) or in rows (if `rows`)."""
    for part in parts[1:]:
        if kinds and part.kind != parts[0].kind:
            raise _bad_scores("kinds are mixed", parts[0].kind, part.kind)
        if part.classes != parts[0].classes:
            raise _bad_scores("classes differ", shorten(parts[0].classes, 3), shorten(part.classes, 3))
        if rows and part.row_ids != parts[0].row_ids:
            raise _bad_scores("rows are not aligned", shorten(parts[0].row_ids, 3), shorten(part.row_ids, 3))


def check_table(values: np.ndarray, row_ids: tuple[str, ...], classes: tuple[str, ...]) -> None:
    """Refuse a table whose shape does not fit its names, or whose names repeat."""
    if values.shape != (len(row_ids), len(classes)):
        raise _bad_scores("the shape does not fit", (len(row_ids), len(classes)), values.shape)
    for what, names in (("row ids", row_ids), ("classes", classes)):
        if len(set(names)) != len(names):
            duplicates = [name for name in dict.fromkeys(names) if names.count(name) > 1]
            raise _bad_scores(f"{what} repeat", "unique names", shorten(duplicates))


def _positions(row_ids: tuple[str, ...], requested: Sequence[str]) -> list[int]:
    index = {row: position for position, row in enumerate(row_ids)}
    missing = [row for row in requested if row not in index]
    if missing:
        raise _bad_scores("rows are missing", "every row requested", f"{len(missing)} absent: {shorten(missing, 3)}")
    return [index[row] for row in requested]


def _bad_scores(what: str, expected: object, got: object) -> BadInput:
    return BadInput(f"scores refused: {what}", expected=expected, got=got, do="fix the step that made these scores")
