"""Tables of the data memo: files, classes and their sources, classes covered by the folds, sites, co-occurrence."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.prepared import Prepared
from lib.competition.row_ids import parse_soundscape, split_row_id
from lib.competition.scores import Labels
from lib.competition.sound_files import visible
from lib.competition.tables import TAXONOMY, TRAIN, WINDOW_LABELS, read_table

FOLDERS = ("train_audio", "train_soundscapes", "test_soundscapes")
TABLES = {
    "train.csv": TRAIN,
    "taxonomy.csv": TAXONOMY,
    "train_soundscapes_labels.csv": WINDOW_LABELS,
    "sample_submission.csv": ("row_id",),
}
_COLUMNS_NAMED = 16


def file_inventory(competition: Path, hours: dict[str, float]) -> pd.DataFrame:
    """One row a folder and table: contents, megabytes, hours where its sounds were decoded, columns."""
    rows = []
    for name in FOLDERS:
        sizes = [path.stat().st_size for path in visible((competition / name).rglob("*.ogg"))]
        length = f"{hours[name]:.2f}" if name in hours else ""
        rows.append((f"{name}/", f"{len(sizes)} sounds", f"{sum(sizes) / 1e6:.2f}", length, ""))
    for name, needed in TABLES.items():
        table = read_table(competition, name, needed)
        size = (competition / name).stat().st_size / 1e6
        held = f"{len(table)} rows × {table.shape[1]} columns"
        rows.append((name, held, f"{size:.2f}", "", _column_names(list(table.columns))))
    return pd.DataFrame(rows, columns=["what", "holds", "megabytes", "hours", "columns"])


def class_overview(prepared: Prepared, taxonomy: pd.DataFrame) -> pd.DataFrame:
    """One row a class, most labelled windows first: clips, their minutes and authors, windows, soundscapes, sites."""
    labels, clips, windows = prepared.labels, prepared.clips, prepared.windows
    row, column = np.nonzero(labels.values)
    positives = pd.DataFrame(
        {
            "label": np.array(labels.classes, dtype=object)[column],
            "soundscape": windows.stem.to_numpy()[row],
            "site": windows.site.to_numpy()[row],
        }
    ).groupby("label")
    of_clips = clips.groupby("primary_label")
    known = taxonomy.set_index("primary_label").loc[list(labels.classes)]
    table = known[["common_name", "class_name"]].rename(columns={"common_name": "name", "class_name": "animal class"})
    table["clips"], table["minutes"] = of_clips.size(), (of_clips.seconds.sum() / 60).round(1)
    table["authors"], table["labelled windows"] = of_clips.author.nunique(), positives.size()
    table["soundscapes"], table["sites"] = positives.soundscape.nunique(), positives.site.nunique()
    whole = ["clips", "authors", "labelled windows", "soundscapes", "sites"]
    table = table.fillna({name: 0 for name in [*whole, "minutes"]}).astype(dict.fromkeys(whole, int))
    order = table.sort_values(["labelled windows", "clips"], ascending=False, kind="stable")
    return order.rename_axis("label").reset_index()


def label_sources(prepared: Prepared, taxonomy: pd.DataFrame) -> pd.DataFrame:
    """One row an animal class: its classes, and how many have clips, labelled windows, each fold, one fold only."""
    labels, clips = prepared.labels, set(prepared.clips.primary_label)
    taxon = taxonomy.set_index("primary_label").class_name.loc[list(labels.classes)]
    folds = prepared.folds.numbers
    present = np.stack([labels.values[labels.strata == fold].any(axis=0) for fold in folds])
    table = pd.DataFrame({"classes": 1, "with clips": [label in clips for label in labels.classes]})
    table["with labelled windows"] = np.asarray(present.any(axis=0))
    table = pd.concat([table, pd.DataFrame({f"fold {fold}": present[n] for n, fold in enumerate(folds)})], axis=1)
    table["in one fold only"] = present.sum(axis=0) == 1
    table = table.astype(int).groupby(taxon.to_numpy()).sum()
    return pd.concat([table, table.sum().to_frame("all").T]).rename_axis("animal class").reset_index()


def site_table(windows: pd.DataFrame, soundscapes: Sequence[str]) -> pd.DataFrame:
    """One row a site: soundscapes, days and hours of the day with labels and without, classes, labels per window."""
    scenes = pd.DataFrame(
        [(s.stem, s.site, s.date, s.hour) for s in map(parse_soundscape, soundscapes)],
        columns=["stem", "site", "date", "hour"],
    )
    labelled = scenes.stem.isin(windows.stem)
    rows = []
    for site, files in scenes.groupby("site"):
        with_labels, without = files[labelled[files.index]], files[~labelled[files.index]]
        site_windows = windows[windows.site == site]
        rows.append(
            {
                "site": site,
                "labelled soundscapes": len(with_labels),
                "on days": with_labels.date.nunique(),
                "in hours": with_labels.hour.nunique(),
                "labelled windows": len(site_windows),
                "classes": site_windows.labels.explode().nunique(),
                "labels per window": round(site_windows.labels.str.len().mean(), 1),
                "unlabelled soundscapes": len(without),
                "in other hours": len(set(without.hour) - set(with_labels.hour)),
            }
        )
    return pd.DataFrame(rows)


def cooccurring_pairs(labels: Labels, names: pd.Series, most: int) -> pd.DataFrame:
    """The pairs of classes that co-occur most beyond chance: windows, expected windows, lift, share, soundscapes."""
    present = labels.values.astype(float)
    stems = np.array([split_row_id(row)[0].stem for row in labels.row_ids])
    together, totals = present.T @ present, present.sum(axis=0)
    expected = np.outer(totals, totals) / len(present)
    one, other = np.nonzero(np.triu(together > 0, k=1))
    beyond = (together - expected)[one, other] / np.sqrt(expected[one, other])  # in spreads of a Poisson count
    chosen = np.argsort(-beyond, kind="stable")[:most]
    rows = []
    for a, b in zip(one[chosen], other[chosen], strict=True):
        both = labels.values[:, a] & labels.values[:, b]
        rows.append(
            {
                "class": _full_name(labels.classes[a], names),
                "with": _full_name(labels.classes[b], names),
                "windows": int(together[a, b]),
                "expected": round(expected[a, b], 1),
                "lift": round(together[a, b] / expected[a, b], 1),
                "of the rarer": f"{together[a, b] / min(totals[a], totals[b]):.0%}",
                "soundscapes": len(set(stems[both])),
            }
        )
    return pd.DataFrame(rows)


def similarity(qa: pd.DataFrame) -> pd.Series:
    """The similarity (0 to 1) of each row's item and partner, read from its detail; NaN where there is none."""
    return qa.detail.str.extract(r"similarity ([\d.]+)", expand=False).astype(float)


def _full_name(label: str, names: pd.Series) -> str:
    return f"{names[label]} ({label})"


def _column_names(columns: list[str]) -> str:
    """The columns' names, of a wide table the first few."""
    more = len(columns) - _COLUMNS_NAMED
    return ", ".join(columns) if more <= 0 else f"{', '.join(columns[:2])} … and {len(columns) - 2} more"
