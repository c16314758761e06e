"""CSV tables of the contest and the hidden ones, quirks included."""

import numpy as np
import pandas as pd

from lib.competition.miniature.cast import Species
from lib.competition.miniature.clips import Clip
from lib.competition.miniature.plan import Scene, audible_windows, planned_window_labels
from lib.competition.miniature.spec import MiniatureSpec
from lib.competition.row_ids import WINDOW_S, row_ids, window_ends

TRAIN_COLUMNS = (
    "primary_label",
    "secondary_labels",
    "type",
    "latitude",
    "longitude",
    "scientific_name",
    "common_name",
    "class_name",
    "inat_taxon_id",
    "author",
    "license",
    "rating",
    "url",
    "filename",
    "collection",
)
DOMINANT_AUTHOR = "Marta Aguapé"
SITE_TEXT = """Recordings were made in the Pantanal, Mato Grosso do Sul, Brazil.
Latitude between -16.5 and -21.6, longitude between -55.9 and -57.6. Times in file names are UTC (local time is UTC-4).
This copy is a miniature: its sounds are synthetic, its schema and its defects are those of the contest.
"""
README_TEXT = "The hidden test soundscapes appear here when the notebook is scored.\n"
_TYPES = ("['song']", "['call']", "['song', 'call']", "[]", "['']", "['alarm call']", "['flight call']")
_TYPE_ODDS = (0.36, 0.18, 0.05, 0.3, 0.05, 0.03, 0.03)
_LICENSES = ("cc-by-nc", "cc-by-nc-sa", "cc-by-nc-nd", "cc-by", "cc0")


def taxonomy_table(cast: list[Species]) -> pd.DataFrame:
    """taxonomy.csv: five text columns, one row per class in class order."""
    taxa = [species.taxon for species in cast]
    columns = ("primary_label", "inat_taxon_id", "scientific_name", "common_name", "class_name")
    return pd.DataFrame({column: [getattr(taxon, column) for taxon in taxa] for column in columns})


def train_table(spec: MiniatureSpec, cast: list[Species], clips: list[Clip]) -> pd.DataFrame:
    """train.csv: fifteen columns, one row per clip; labels and lists are text, as in the contest."""
    taxa = {species.label: species.taxon for species in cast}
    rng = spec.stream("train table")
    authors = [f"Recordist {number:02d}" for number in range(1, max(13, spec.n_clips // 12))]
    types = rng.choice(_TYPES, len(clips), p=_TYPE_ODDS).tolist()
    types[0], types[len(types) // 2] = "[]", "['']"
    rows = []
    for clip, kind in zip(clips, types, strict=True):
        taxon, number = taxa[clip.label], "".join(filter(str.isdigit, clip.filename.split("/")[1]))
        catalogued = clip.collection == "XC"
        near = rng.random() < 0.05  # few focal clips come from the Pantanal itself
        rows.append(
            {
                "primary_label": clip.label,
                "secondary_labels": repr(list(clip.secondary)),
                "type": kind,
                "latitude": round(float(rng.uniform(-21.6, -16.5) if near else rng.uniform(-34, 9)), 4),
                "longitude": round(float(rng.uniform(-57.6, -55.9) if near else rng.uniform(-76, -36)), 4),
                "scientific_name": taxon.scientific_name,
                "common_name": taxon.common_name,
                "class_name": taxon.class_name,
                "inat_taxon_id": taxon.inat_taxon_id,
                "author": DOMINANT_AUTHOR if rng.random() < 0.22 else authors[int(rng.integers(len(authors)))],
                "license": _LICENSES[int(rng.integers(len(_LICENSES)))],
                "rating": float(rng.choice((0, 2, 2.5, 3, 3.5, 4, 4.5, 5))) if catalogued else 0.0,
                "url": f"https://xeno-canto.org/{number}"
                if catalogued
                else f"https://static.inaturalist.org/sounds/{number}.m4a",
                "filename": clip.filename,
                "collection": clip.collection,
            }
        )
    return pd.DataFrame(rows, columns=list(TRAIN_COLUMNS))


def partial_windows(spec: MiniatureSpec, scenes: list[Scene]) -> dict[str, list[int]]:
    """For each partially labelled soundscape, by stem: the windows (0 to 11) that the experts did label."""
    rng = spec.stream("partial")
    stems = [scene.recording.stem for scene in scenes if scene.recording.role == "labelled"]
    seconds_shared = pd.Series([stem.split("_", 3)[3] for stem in stems]).duplicated(keep=False)
    alone = [stem for stem, shared in zip(stems, seconds_shared, strict=True) if not shared]
    chosen = sorted(rng.permutation(alone)[: spec.n_partial].tolist())
    return {stem: sorted(rng.permutation(12)[: int(rng.integers(3, 8))].tolist()) for stem in chosen}


def soundscape_label_table(scenes: list[Scene], partial: dict[str, list[int]]) -> pd.DataFrame:
    """train_soundscapes_labels.csv: one row per labelled window, and then every row once more."""
    rows = [
        (
            f"{scene.recording.stem}.ogg",
            _clock(index * WINDOW_S),
            _clock((index + 1) * WINDOW_S),
            ";".join(sorted(labels)),
        )
        for scene in scenes
        if scene.recording.role == "labelled"
        for index, labels in enumerate(planned_window_labels(scene))
        if labels and index in partial.get(scene.recording.stem, range(12))
    ]
    table = pd.DataFrame(rows, columns=["filename", "start", "end", "primary_label"])
    return pd.concat([table, table], ignore_index=True)


def sample_table(stems: list[str], classes: list[str]) -> pd.DataFrame:
    """sample_submission.csv: row_id and one constant column per class, a row per window of each soundscape."""
    ids = [row for stem in stems for row in row_ids(stem)]
    flat = np.full((len(ids), len(classes)), 1 / len(classes))
    return _wide(ids, classes, flat)


def truth_table(scenes: list[Scene], classes: list[str]) -> pd.DataFrame:
    """row_id and one 0/1 column per class: the species audible in every window of the scenes."""
    ids = [row for scene in scenes for row in row_ids(scene.recording.stem)]
    audible = [
        [int(label in labels) for label in classes] for scene in scenes for labels in planned_window_labels(scene)
    ]
    return _wide(ids, classes, np.array(audible, dtype=int))


def solution_table(spec: MiniatureSpec, scenes: list[Scene], classes: list[str]) -> pd.DataFrame:
    """The truth of the test scenes with the column Usage, Public or Private by file, about three tenths public."""
    table = truth_table(scenes, classes)
    public = set(spec.stream("usage").permutation(len(scenes))[: max(1, round(0.3 * len(scenes)))].tolist())
    table["Usage"] = [
        "Public" if number in public else "Private" for number in range(len(scenes)) for _ in window_ends()
    ]
    return table


def event_table(scenes: list[Scene]) -> pd.DataFrame:
    """Every call of every soundscape: file, label, seconds, signal-to-noise ratio, whether it counts, site and hour."""
    rows = [
        (
            f"{scene.recording.stem}.ogg",
            event.label,
            round(event.onset_s, 3),
            round(event.offset_s, 3),
            round(event.snr_db, 2),
            int(bool(audible_windows(event))),
            scene.recording.site,
            scene.recording.hour,
        )
        for scene in scenes
        for event in scene.events
    ]
    return pd.DataFrame(rows, columns=["file", "label", "onset_s", "offset_s", "snr_db", "heard", "site", "hour"])


def _wide(ids: list[str], classes: list[str], values: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame(values, columns=classes)
    table.insert(0, "row_id", ids)
    return table


def _clock(second: int) -> str:
    return f"00:{second // 60:02d}:{second % 60:02d}"
