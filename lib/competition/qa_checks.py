"""Checks that need no sound: tables against each other, against the files, and against themselves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.competition.qa import qa_rows
from lib.competition.scores import Labels

_POOR_RATING = 1.0

_IMPROBABLE = 0.01  # a probability, were the two classes independent, of so few shared soundscapes

_SAME_AS_TAXONOMY = ("scientific_name", "common_name", "class_name", "inat_taxon_id")


def check_label_map(clips: pd.DataFrame, taxonomy: pd.DataFrame) -> pd.DataFrame:
    """Clips whose folder or names contradict the taxonomy, and classes that share a scientific name."""
    folder = clips.filename.str.partition("/")[0]
    strays = clips[folder != clips.primary_label]
    rows = [(row.filename, "", f"labelled {row.primary_label}") for row in strays.itertuples()]
    official = taxonomy.set_index("primary_label").loc[clips.primary_label].reset_index(drop=True)
    for column in _SAME_AS_TAXONOMY:
        differs = clips[column].astype(str).to_numpy() != official[column].astype(str).to_numpy()
        for row, name in zip(clips[differs].itertuples(), official[column][differs], strict=True):
            rows.append((row.filename, "", f"{column} is {getattr(row, column)}, in the taxonomy {name}"))
    shared = taxonomy[taxonomy.scientific_name.duplicated(keep=False)]
    same_name = [
        (row.primary_label, "", f"scientific name {row.scientific_name} is another class's too")
        for row in shared.itertuples()
    ]
    return pd.concat(
        [
            qa_rows(check_label_map, "clip", "label map", "review", rows),
            qa_rows(check_label_map, "class", "label map", "review", same_name),
        ]
    )


def check_joins(
    clips: pd.DataFrame, windows: pd.DataFrame, clip_files: Sequence[str], stems: Sequence[str]
) -> pd.DataFrame:
    """Rows without a file, which are excluded, and files without a row, which are never read."""
    known = set(clip_files)
    rowless = sorted(known - set(clips.filename))
    fileless = [name for name in clips.filename if name not in known]
    absent = sorted(set(windows.stem) - set(stems))
    parts = {
        ("clip", "row without file", "exclude"): [(name, "", "in train.csv only") for name in fileless],
        ("clip", "file without row", "none"): [(name, "", "in train_audio only") for name in rowless],
        ("soundscape", "labels without file", "exclude"): [(stem, "", "in the labels only") for stem in absent],
    }
    return pd.concat([qa_rows(check_joins, *what, rows) for what, rows in parts.items()])


def check_ratings(clips: pd.DataFrame) -> pd.DataFrame:
    """Clips rated 1 or worse by listeners; a rating of 0 is no rating."""
    poor = clips[(clips.rating > 0) & (clips.rating <= _POOR_RATING)]
    rows = [(row.filename, "", f"rated {row.rating:g} of 5") for row in poor.itertuples()]
    return qa_rows(check_ratings, "clip", "poor rating", "review", rows)


def check_cooccurrence(labels: Labels, stems: Sequence[str]) -> pd.DataFrame:
    """Classes with identical labels in every window, and windows with two classes that otherwise do not co-occur."""
    groups = mirror_groups(labels)
    mirrors = [(group[0], other, "positive in the same windows, always") for group in groups for other in group[1:]]
    _, owner = np.unique(np.asarray(stems), return_inverse=True)
    present = np.zeros((owner.max() + 1, labels.values.shape[1]))
    np.maximum.at(present, owner, labels.values)
    together, totals = present.T @ present, present.sum(axis=0)
    expected = np.outer(totals, totals) / len(present)
    rare = np.exp(-expected) * (1 + expected) < _IMPROBABLE  # the Poisson probability of one co-occurrence or none
    rows = []
    for one, other in np.argwhere(np.triu(rare & (together == 1), k=1)):
        for row in np.flatnonzero(labels.values[:, one] & labels.values[:, other]):
            pair = f"{labels.classes[one]} with {labels.classes[other]}"
            rows.append((labels.row_ids[row], "", f"{pair}: one soundscape, {expected[one, other]:.1f} by chance"))
    return pd.concat(
        [
            qa_rows(check_cooccurrence, "class", "mirrored classes", "none", mirrors),
            qa_rows(check_cooccurrence, "window", "improbable co-occurrence", "review", rows),
        ]
    )


def mirror_groups(labels: Labels) -> list[list[str]]:
    """Groups of classes that are positive in exactly the same windows, without classes that are never positive."""
    by_pattern: dict[bytes, list[str]] = {}
    for column in np.flatnonzero(labels.values.any(axis=0)):
        by_pattern.setdefault(labels.values[:, column].tobytes(), []).append(labels.classes[column])
    return [group for group in by_pattern.values() if len(group) > 1]
