"""The data memo's tables: what there is, where each class is met, what the folds cover, who is heard with whom."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.prepared import Prepared
from lib.competition.row_ids import parse_soundscape, split_row_id
from lib.competition.scores import Labels
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
    """One row a folder and table: what it holds, megabytes, hours where its sounds were decoded, columns."""
    rows = []
    for name in FOLDERS:
        sizes = [path.stat().st_size for path in (competition / name).rglob("*.ogg")]
        length = f"{hours[name]:.2f}" if name in hours else ""
        rows.append((f"{name}/", f"{len(sizes)} sounds", f"{sum(sizes) / 1e6:.2f}", length, ""))
    for name, needed in TABLES.items():
        table = read_table(competition, name, needed)
        size = (competition / name).stat().st_size / 1e6
        held = f"{len(table)} rows × {table.shape[1]} columns"
        rows.append((name, held, f"{size:.2f}", "", _named(list(table.columns))))
    return pd.DataFrame(rows, columns=["what", "holds", "megabytes", "hours", "columns"])


def class_overview(prepared: Prepared, taxonomy: pd.DataFrame) -> pd.DataFrame:
    """One row a class, most labelled windows first: clips, their minutes and authors, windows, soundscapes, sites."""
    labels, clips, windows = prepared.labels, prepared.clips, prepared.windows
    row, column = np.nonzero(labels.values)
    heard = pd.DataFrame(
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
    table["authors"], table["labelled windows"] = of_clips.author.nunique(), heard.size()
    table["soundscapes"], table["sites"] = heard.soundscape.nunique(), heard.site.nunique()
    whole = ["clips", "authors", "labelled windows", "soundscapes", "sites"]
    table = table.fillna({name: 0 for name in [*whole, "minutes"]}).astype(dict.fromkeys(whole, int))
    order = table.sort_values(["labelled windows", "clips"], ascending=False, kind="stable")
    return order.rename_axis("label").reset_index()


def label_sources(prepared: Prepared, taxonomy: pd.DataFrame) -> pd.DataFrame:
    """One row an animal class: its classes, how many have clips, are heard at all, in each fold, in one fold only."""
    labels, clips = prepared.labels, set(prepared.clips.primary_label)
    taxon = taxonomy.set_index("primary_label").class_name.loc[list(labels.classes)]
    folds = prepared.folds.numbers
    heard = np.stack([labels.values[labels.strata == fold].any(axis=0) for fold in folds])
    table = pd.DataFrame({"classes": 1, "with clips": [label in clips for label in labels.classes]})
    table["heard"] = heard.any(axis=0)
    table = pd.concat([table, pd.DataFrame({f"fold {fold}": heard[n] for n, fold in enumerate(folds)})], axis=1)
    table["in one fold only"] = heard.sum(axis=0) == 1
    table = table.astype(int).groupby(taxon.to_numpy()).sum()
    return pd.concat([table, table.sum().to_frame("all").T]).rename_axis("animal class").reset_index()


def site_table(windows: pd.DataFrame, soundscapes: Sequence[str]) -> pd.DataFrame:
    """One row a site: its soundscapes, days and hours of the day with labels and without, and what the labels say."""
    scenes = pd.DataFrame(
        [(s.stem, s.site, s.date, s.hour) for s in map(parse_soundscape, soundscapes)],
        columns=["stem", "site", "date", "hour"],
    )
    labelled = scenes.stem.isin(windows.stem)
    rows = []
    for site, here in scenes.groupby("site"):
        seen, unseen, mine = here[labelled[here.index]], here[~labelled[here.index]], windows[windows.site == site]
        rows.append(
            {
                "site": site,
                "labelled soundscapes": len(seen),
                "on days": seen.date.nunique(),
                "in hours": seen.hour.nunique(),
                "labelled windows": len(mine),
                "classes heard": mine.labels.explode().nunique(),
                "voices a window": round(mine.labels.str.len().mean(), 1),
                "unlabelled soundscapes": len(unseen),
                "in other hours": len(set(unseen.hour) - set(seen.hour)),
            }
        )
    return pd.DataFrame(rows)


def cooccurring_pairs(labels: Labels, names: pd.Series, most: int) -> pd.DataFrame:
    """The pairs of classes heard together most beyond chance: windows, expected windows, lift, share, soundscapes."""
    heard = labels.values.astype(float)
    stems = np.array([split_row_id(row)[0].stem for row in labels.row_ids])
    met, alone = heard.T @ heard, heard.sum(axis=0)
    expected = np.outer(alone, alone) / len(heard)
    one, other = np.nonzero(np.triu(met > 0, k=1))
    beyond = (met - expected)[one, other] / np.sqrt(expected[one, other])  # in spreads of a Poisson count
    chosen = np.argsort(-beyond, kind="stable")[:most]
    rows = []
    for a, b in zip(one[chosen], other[chosen], strict=True):
        together = labels.values[:, a] & labels.values[:, b]
        rows.append(
            {
                "class": _called(labels.classes[a], names),
                "with": _called(labels.classes[b], names),
                "windows": int(met[a, b]),
                "expected": round(expected[a, b], 1),
                "lift": round(met[a, b] / expected[a, b], 1),
                "of the rarer": f"{met[a, b] / min(alone[a], alone[b]):.0%}",
                "soundscapes": len(set(stems[together])),
            }
        )
    return pd.DataFrame(rows)


def similarity(qa: pd.DataFrame) -> pd.Series:
    """How alike each row's item and partner are, 0 to 1, for rows whose detail says it; NaN for the others."""
    return qa.detail.str.extract(r"similarity ([\d.]+)", expand=False).astype(float)


def _called(label: str, names: pd.Series) -> str:
    return f"{names[label]} ({label})"


def _named(columns: list[str]) -> str:
    """The columns' names, of a wide table the first few."""
    more = len(columns) - _COLUMNS_NAMED
    return ", ".join(columns) if more <= 0 else f"{', '.join(columns[:2])} … and {len(columns) - 2} more"
