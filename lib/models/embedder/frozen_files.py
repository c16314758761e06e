"""Where a frozen model's file lies, and what its table of labels says."""

import csv
from pathlib import Path

from lib.core.errors import BadInput, shortened
from lib.core.paths import checkout, folders_below, inputs_root

_COLUMNS = ("inat2024_fsd50k", "scientific_name", "display_name")  # of Perch's, Kaggle's and YAMNet's tables


def find_embedder(where: str) -> Path:
    """The embedder's file: `where` itself, or a file of that name among what is attached or was fetched."""
    if Path(where).is_file():
        return Path(where)
    project = checkout()
    roots = [root for root in (inputs_root(), *([project / "data"] if project else [])) if root.is_dir()]
    found = sorted(folder / where for root in roots for folder in folders_below(root, 6) if (folder / where).is_file())
    if not found:
        raise BadInput(f"the embedder {where} is not there", expected="an ONNX or TFLite file of a frozen model",
                       got=f"looked below {', '.join(map(str, roots))}",
                       do="`make fetch WHAT=perch`, attach it, or give its path")  # fmt: skip
    return found[0]


def find_labels(model: Path) -> Path:
    """The table of labels beside a model: labels.csv, else one named like the model, else one that says "label"."""
    tables = [path for path in sorted(model.parent.iterdir()) if path.suffix in (".csv", ".txt")]
    exact = [path for path in tables if path.name == "labels.csv"]
    named = [path for path in tables if path.name.startswith(model.stem)]
    found = exact or named or [path for path in tables if "label" in path.name.lower()]
    if len(found) != 1:
        raise BadInput(f"no table says what {model.name} calls its outputs",
                       expected=f"labels.csv, {model.stem}*.csv or {model.stem}*.txt beside it",
                       got=shortened(found) or f"none in {model.parent}", do="give its path")  # fmt: skip
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
            raise BadInput(f"{table} does not say which column holds the names", got=f"columns {shortened(columns)}",
                           expected=f"one column, or one called {' or '.join(_COLUMNS)}",
                           do="rename the column of scientific names")  # fmt: skip
        return tuple(row[known[0]].strip() for row in reader)
