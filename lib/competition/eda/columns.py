"""Metadata roles: each column's use, completeness, and how well it predicts the label without any sound."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.tables import TRAIN, read_table

_EMPTY_TEXT = ("", "[]", "['']")
_NUMBERS = ("latitude", "longitude", "seconds", "rms")
_QUANTILES = 20  # numbers are cut into this many bins of equally many clips
ROLES = {
    "primary_label": ("target", "the species of a clip"),
    "secondary_labels": ("target", "other species in it: incomplete, so its absence is no proof"),
    "type": ("feature", "song or call; absent from test"),
    "latitude": ("split key", "where; absent from test, where the site stands in for it"),
    "longitude": ("split key", "as latitude"),
    "scientific_name": ("target", "another name of the label"),
    "common_name": ("target", "another name of the label"),
    "class_name": ("target", "the label's animal class"),
    "inat_taxon_id": ("target", "another name of the label"),
    "author": ("split key", "one person's recorder, location and voice: clips of an author share a fold"),
    "license": ("leakage risk", "belongs to source and author, not to sound"),
    "rating": ("feature", "a weight for training; 0 is no rating, and absent from test"),
    "url": ("leakage risk", "names the recording"),
    "filename": ("leakage risk", "holds the label as its folder"),
    "collection": ("leakage risk", "the source, with lengths and codecs of its own"),
    "seconds": ("leakage risk", "a clip's length belongs to its source; every test window has 5"),
    "rms": ("leakage risk", "recorder and distance; front ends must not depend on it"),
    "site": ("split key", "shadow split: whole sites held out; a feature where test sites are known"),
    "date": ("split key", "with site, the group of a soundscape"),
    "group": ("split key", "site and date: a fold never splits one"),
    "hour": ("feature", "of the day, in UTC: part of a test file's name"),
    "month": ("feature", "season: part of a test file's name"),
}


def metadata_roles(competition: Path, clips: pd.DataFrame, windows: pd.DataFrame) -> pd.DataFrame:
    """One row a column of train.csv or derived key: role, missing share, distinct values, example, prediction, reason.

    `predicts the label` is how often the commonest label of the other clips with the same value (numbers: in the same
    twentieth) is the clip's own; by chance, without the column, it would be the share of the commonest label.
    """
    raw = read_table(competition, "train.csv", TRAIN).drop_duplicates("filename", ignore_index=True)
    rated = pd.to_numeric(raw.rating, errors="coerce") > 0
    raw = raw.assign(rating=raw.rating.where(rated, ""))
    files = windows.drop_duplicates("stem")[["site", "date", "group", "hour"]].assign(month=lambda t: t.date.str[4:6])
    tables = (
        ("train.csv", raw, raw.primary_label),
        ("decoded clips", clips[["seconds", "rms"]].round(3), clips.primary_label),
        ("soundscape names", files, None),
    )
    rows = [_row(name, table[column], labels) for name, table, labels in tables for column in table.columns]
    predicts = f"predicts the label ({_commonest(clips.primary_label):.0%} by chance)"
    columns = ["table", "column", "role", "missing", "distinct", "example", predicts, "reason"]
    return pd.DataFrame(rows, columns=columns)


def label_information(values: pd.Series, labels: pd.Series) -> float:
    """The share of items whose label is the commonest, without a tie, among the other items with the same value."""
    counts = labels.groupby([values.to_numpy(), labels.to_numpy()]).size().rename_axis(["value", "label"])
    ordered = counts.sort_values(ascending=False, kind="stable").groupby("value")
    first, second = ordered.nth(0).droplevel("label"), ordered.nth(1).droplevel("label")
    highest, next_highest = first.to_numpy(), second.reindex(first.index, fill_value=0).to_numpy()
    return float(highest[highest - 1 > next_highest].sum() / len(labels))


def _row(table: str, column: pd.Series, labels: pd.Series | None) -> tuple:
    role, reason = ROLES.get(str(column.name), ("leakage risk", "unknown to this project: check before use"))
    text = column.astype(str)
    known = text[~text.isin(_EMPTY_TEXT)]
    example = known.iloc[0][:24] if len(known) else ""
    predicts = "" if labels is None else f"{label_information(_bin_numbers(column), labels):.0%}"
    missing = f"{(len(text) - len(known)) / len(text):.0%}"
    return table, column.name, role, missing, known.nunique(), example, predicts, reason


def _bin_numbers(column: pd.Series) -> pd.Series:
    """The column as text, or the quantile bin of each of its numbers."""
    if column.name not in _NUMBERS:
        return column.astype(str)
    numbers = pd.to_numeric(column, errors="coerce")
    return pd.qcut(numbers.rank(method="dense"), _QUANTILES, labels=False, duplicates="drop").fillna(-1)


def _commonest(labels: pd.Series) -> float:
    return float(np.max(labels.value_counts(normalize=True)))
