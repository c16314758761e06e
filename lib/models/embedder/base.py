"""Outputs of frozen embedders and their names; where a model's file and its table of labels are found."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.core.errors import BadInput, shorten
from lib.core.paths import checkout, folders_below, inputs_root
from lib.models.embedder.card import BLOCK

_SCOPE = re.compile(r"(?<![A-Za-z0-9])(MBConv_\d+|stage\d+_ds\d+|layer\d+|BLOCK_\d+-\d+)")


@dataclass(frozen=True, eq=False)
class RawEmbeddings:
    """A frozen model's outputs for some windows, in its own labels."""

    embedding: np.ndarray  # (rows, size) float32
    logits: np.ndarray  # (rows, labels) float32
    blocks: dict[str, np.ndarray]  # name -> (rows, channels) float32: means over time and frequency


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The outputs in the project's classes."""

    embedding: np.ndarray  # (rows, size) float32
    logits: np.ndarray  # (rows, classes) float32; labels.FLAT_LOGIT where no label stands for the class
    blocks: dict[str, np.ndarray]

    def by_name(self) -> dict[str, np.ndarray]:
        """Every (rows, width) part by the name of a head's input: embedding, logits, block:<name>."""
        blocks = {BLOCK + name: means for name, means in self.blocks.items()}
        return {"embedding": self.embedding, "logits": self.logits, **blocks}


def block_of(tensor: str) -> str | None:
    """The block in whose scope a tensor or node lies, by its name: "…/MBConv_24/…" lies in "MBConv_24"."""
    found = _SCOPE.search(tensor)
    return found[1] if found else None


_COLUMNS = ("inat2024_fsd50k", "scientific_name", "display_name")  # of Perch's, Kaggle's and YAMNet's tables


def find_embedder(where: str) -> Path:
    """The embedder's file: `where` itself, or a file of that name among what is attached or was fetched."""
    if Path(where).is_file():
        return Path(where)
    project = checkout()
    roots = [root for root in (inputs_root(), *([project / "data"] if project else [])) if root.is_dir()]
    found = sorted(folder / where for root in roots for folder in folders_below(root, 6) if (folder / where).is_file())
    if not found:
        raise BadInput(
            f"the embedder {where} is not there",
            expected="an ONNX or TFLite file of a frozen model",
            got=f"none below {', '.join(map(str, roots))}",
            do="run `make fetch WHAT=perch`, attach it, or set its path",
        )
    return found[0]


def find_labels(model: Path) -> Path:
    """The table of labels beside a model: labels.csv, else one named like it, else one with "label" in its name."""
    tables = [path for path in sorted(model.parent.iterdir()) if path.suffix in (".csv", ".txt")]
    exact = [path for path in tables if path.name == "labels.csv"]
    named = [path for path in tables if path.name.startswith(model.stem)]
    found = exact or named or [path for path in tables if "label" in path.name.lower()]
    if len(found) != 1:
        raise BadInput(
            f"{model.name} has no table of labels",
            expected=f"labels.csv, {model.stem}*.csv or {model.stem}*.txt beside it",
            got=shorten(found) or f"none in {model.parent}",
            do="set the path of its table",
        )
    return found[0]


def read_labels(table: Path) -> tuple[str, ...]:
    """The names in a table, in its order: a column of a .csv, or the lines of a .txt up to their first underscore."""
    if table.suffix != ".csv":
        return tuple(line.split("_")[0].strip() for line in table.read_text(encoding="utf-8").splitlines())
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or ())
        known = columns if len(columns) == 1 else [name for name in _COLUMNS if name in columns]
        if not known:
            raise BadInput(
                f"{table} has several columns, none of a known name",
                got=f"columns {shorten(columns)}",
                expected=f"one column, or one called {' or '.join(_COLUMNS)}",
                do="rename the column of scientific names",
            )
        return tuple(row[known[0]].strip() for row in reader)
