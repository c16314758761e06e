"""Output of notebook 01 for the others: clean clips, labelled windows, frozen folds, QA table, the data's version."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.classes import ClassList
from lib.competition.folds import Folds, clusters, read_folds
from lib.competition.qa import read_qa, refuse_excluded, related_pairs, save_qa
from lib.competition.scores import Labels
from lib.competition.sound_files import clip_files, soundscape_files
from lib.competition.tables import window_labels
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.records import check_seal, from_json, read_json, seal, to_json, write_json

_TUPLES = {"clips": ("secondary", "kinds"), "windows": ("labels",)}
_TEXTS = {"clips": ("filename", "primary_label", "author"), "windows": ("row_id", "stem", "site", "date", "group")}


@dataclass(frozen=True)
class PreparedFacts:
    """The fields of `prepared.json`."""

    labels: list[str]
    class_hash: str
    data_version: str
    fold_version: str
    seed: int


@dataclass(frozen=True, eq=False)
class Prepared:
    """The tables every later notebook starts from."""

    classes: ClassList
    clips: pd.DataFrame
    windows: pd.DataFrame
    folds: Folds
    qa: pd.DataFrame
    facts: PreparedFacts

    @property
    def related(self) -> dict[str, str]:
        """The cluster of each clip and soundscape that has copies: training on one item is training on its cluster."""
        return clusters(related_pairs(self.qa))

    @property
    def labels(self) -> Labels:
        """The labelled windows as booleans, with each fold a stratum."""
        fold_of_row = self.windows.stem.map(self.folds.of("soundscape")).to_numpy()
        return replace(window_labels(self.windows, self.classes), strata=fold_of_row)


def save_prepared(
    folder: Path, classes: ClassList, clips, windows, folds: Folds, *, qa: pd.DataFrame, data_version: str, seed: int
) -> None:
    """Write and seal the folder; tables that hold what the QA table excludes are refused."""
    refuse_excluded(clips, windows, qa)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("clips", clips), ("windows", windows)):
        as_lists = {column: table[column].map(list) for column in _TUPLES[name]}
        table.assign(**as_lists).to_parquet(folder / f"{name}.parquet", index=False)
    folds.save(folder / "folds.csv")
    save_qa(folder, qa)
    facts = PreparedFacts(list(classes.labels), classes.hash, data_version, folds.version, seed)
    write_json(folder / "prepared.json", to_json(facts))
    seal(folder, "prepared")


def load_prepared(folder: Path) -> Prepared:
    """The prepared tables of an undamaged folder."""
    check_seal(folder)
    facts = from_json(PreparedFacts, read_json(folder / "prepared.json"), f"{folder}/prepared.json")
    classes = ClassList(tuple(facts.labels))
    classes.check_hash(facts.class_hash, f"{folder}/prepared.json")
    tables = {}
    for name, columns in _TUPLES.items():
        table = _read_parquet(folder / f"{name}.parquet", _TEXTS[name], columns)
        tables[name] = table.assign(**{column: table[column].map(tuple) for column in columns})
    folds = read_folds(folder / "folds.csv", facts.fold_version)
    folds.check_items("clip", tables["clips"].filename)
    folds.check_items("soundscape", tables["windows"].stem.unique())
    return Prepared(classes, tables["clips"], tables["windows"], folds, read_qa(folder), facts)


def _read_parquet(path: Path, texts: tuple[str, ...], lists: tuple[str, ...]) -> pd.DataFrame:
    """The table, its columns of texts and of lists checked."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, KeyError) as error:  # pyarrow's errors are among them
        raise _not_prepared(path, "a parquet table", " ".join(f"{error}".split())[:200]) from error
    if absent := [column for column in (*texts, *lists) if column not in table.columns]:
        raise _not_prepared(path, f"the columns {', '.join((*texts, *lists))}", f"no {', '.join(absent)}")
    if odd := [column for column in texts if not table[column].map(lambda cell: isinstance(cell, str)).all()]:
        raise _not_prepared(path, f"text in {', '.join(texts)}", f"other values in {', '.join(odd)}")
    if odd := [column for column in lists if not table[column].map(pd.api.types.is_list_like).all()]:
        raise _not_prepared(path, f"lists in {', '.join(lists)}", f"other values in {', '.join(odd)}")
    return table


def _not_prepared(path: Path, expected: str, got: str) -> BadInput:
    return BadInput(
        f"{path} is not what 01 writes",
        expected=expected,
        got=got,
        do="run 01_data_prep again, and everything after it",
    )


def data_version(competition: Path) -> str:
    """The fingerprint of the contest's training data: its tables' bytes and the sizes of its sound files."""
    tables = ("train.csv", "taxonomy.csv", "train_soundscapes_labels.csv")
    sounds = [*clip_files(competition), *soundscape_files(competition, "train")]
    sizes = {str(path.relative_to(competition)): path.stat().st_size for path in sorted(sounds)}
    return fingerprint.of_json([[fingerprint.of_file(competition / table) for table in tables], sizes])


def clip_targets(prepared: Prepared, clips: pd.DataFrame, weight: float) -> tuple[np.ndarray, np.ndarray]:
    """(clips, classes) primary labels, and weights without the secondary ones: in this window they may be silent."""
    primary = prepared.classes.multi_hot([(label,) for label in clips.primary_label])
    secondary = prepared.classes.multi_hot(clips.secondary.tolist())
    return primary, weight * ~secondary
