"""The class list: the columns of the sample submission, in their order, and the hash that every artifact stores."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lib.competition.text_table import read_header
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten

_LABEL = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class ClassList:
    """The labels in submission order."""

    labels: tuple[str, ...]

    def __post_init__(self):
        duplicates = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if duplicates or not self.labels:
            raise BadInput(
                "the class list is not usable",
                expected="unique labels",
                got=duplicates or "none",
                do="fix the columns of sample_submission.csv",
            )

    @cached_property
    def hash(self) -> str:
        """The fingerprint of the labels and their order."""
        return fingerprint.of_text("\n".join(self.labels))

    @cached_property
    def index(self) -> dict[str, int]:
        """The column of each label."""
        return {label: column for column, label in enumerate(self.labels)}

    def __len__(self) -> int:
        return len(self.labels)

    def multi_hot(self, label_sets) -> np.ndarray:
        """(rows, classes) booleans from one collection of labels a row; an unknown label is an error."""
        table = np.zeros((len(label_sets), len(self)), dtype=bool)
        for row, labels in enumerate(label_sets):
            for label in labels:
                if label not in self.index:
                    raise BadInput(
                        "a label is not in the class list",
                        expected="a column of sample_submission.csv",
                        got=label,
                        do="fix the label in the table it came from",
                    )
                table[row, self.index[label]] = True
        return table

    def check_hash(self, other: str, where: str) -> None:
        """Refuse an artifact that was made for another class list."""
        if other != self.hash:
            raise BadInput(
                f"{where} was made for another class list",
                expected=f"class hash {self.hash} ({len(self)} classes: {shorten(self.labels, 3)})",
                got=f"class hash {other}",
                do="make it again from this competition folder",
            )


def read_class_list(competition: Path) -> ClassList:
    """The class list of a competition folder, read from its sample submission."""
    columns = read_header(competition / "sample_submission.csv")
    odd = [label for label in columns[1:] if not _LABEL.fullmatch(label)]
    if columns[:1] != ["row_id"] or odd:
        raise BadInput(
            "sample_submission.csv is not usable",
            expected="row_id as first column, then labels of letters and digits",
            got=shorten(odd or columns[:1]),
            do="use the file as the competition provides it",
        )
    return ClassList(tuple(columns[1:]))
