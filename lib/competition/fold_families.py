"""Families of folds: cross-validation splits from the most optimistic to the strictest, to be compared.

All put each author's clips in one fold, as the frozen folds do. `hybrid` is the family that notebook 01 freezes.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from lib.competition.classes import ClassList
from lib.competition.folds import Folds, assign_folds, make_folds
from lib.core.errors import BadInput

SHADOW_SITES = 2  # at most this many sites are held out
SHADOW_SHARE = 0.3  # and at most this share of the labelled soundscapes


def random_windows(clips, windows: pd.DataFrame, classes: ClassList, *, n_folds: int, seed: int) -> Folds:
    """Windows at random, classes spread evenly: neighbours in time lie in different folds, so scores are inflated."""
    table = _items(windows, "row_id", "row_id")
    return _stratify("window", table, clips, windows, classes, n_folds=n_folds, seed=seed)


def random_soundscapes(clips, windows: pd.DataFrame, classes: ClassList, *, n_folds: int, seed: int) -> Folds:
    """Whole soundscapes at random, classes spread evenly; two of one site and day may lie in different folds."""
    table = _items(windows, "stem", "stem")
    return _stratify("soundscape", table, clips, windows, classes, n_folds=n_folds, seed=seed)


def site_and_day(clips, windows: pd.DataFrame, classes: ClassList, *, n_folds: int, seed: int) -> Folds:
    """Soundscapes of one site and day together, the folds balanced in size but not in classes."""
    no_labels: list[Any] = [()] * windows.stem.nunique()
    table = _items(windows, "stem", "group").assign(labels=no_labels)
    return _stratify("soundscape", table, clips, windows, classes, n_folds=n_folds, seed=seed)


def site(clips, windows: pd.DataFrame, classes: ClassList, *, n_folds: int, seed: int) -> Folds:
    """Whole sites together, in as many folds as there are sites, or fewer: every row is scored at an unseen site."""
    table = _items(windows, "stem", "site")
    n_folds = min(n_folds, table.group.nunique())
    return _stratify("soundscape", table, clips, windows, classes, n_folds=n_folds, seed=seed)


def date_blocks(clips, windows: pd.DataFrame, classes: ClassList, *, n_folds: int, seed: int) -> Folds:
    """Stretches of the calendar, of about as many soundscapes each; all sites of one date together."""
    table = _items(windows, "stem", "date").sort_values(["group", "item"], ignore_index=True)
    first = table.groupby("group").item.transform(lambda items: items.index[0])
    block = np.unique(first * n_folds // len(table), return_inverse=True)[1]
    return _with_clip_folds("soundscape", table.assign(fold=block), clips, windows, classes, seed=seed)


FAMILIES: dict[str, Callable[..., Folds]] = {
    "random windows": random_windows,
    "random": random_soundscapes,
    "site and day": site_and_day,
    "hybrid": make_folds,  # site and day, classes spread evenly, rare ones first
    "date blocks": date_blocks,
    "site": site,
}


def fold_of_rows(folds: Folds, windows: pd.DataFrame) -> np.ndarray:
    """(windows,) the fold that holds out each labelled window, whether the family folds windows or soundscapes."""
    of_window = folds.of("window")
    return (windows.row_id.map(of_window) if of_window else windows.stem.map(folds.of("soundscape"))).to_numpy()


def shadow_split(clips: pd.DataFrame, windows: pd.DataFrame) -> Folds:
    """The stress test: fold 0 holds out whole sites, never used for tuning; fold 1 is the rest, with all clips.

    Of the sites and pairs of sites that are not too large, it takes those with most classes that also occur elsewhere.
    """
    table = _items(windows, "stem", "site")
    sites = sorted(table.group.unique())
    sets = [held for size in range(1, SHADOW_SITES + 1) for held in itertools.combinations(sites, size)]
    sets = [held for held in sets if table.group.isin(held).mean() <= SHADOW_SHARE]
    if not sets:
        raise BadInput(
            "no site can be held out as a shadow",
            expected=f"a site with at most {SHADOW_SHARE:.0%} of the labelled soundscapes",
            got=table.group.value_counts(normalize=True).round(2).to_dict(),
            do="evaluate without a shadow split",
        )

    def shared(held: tuple[str, ...]) -> int:
        inside = table.group.isin(held)
        present = [{label for labels in part.labels for label in labels} for part in (table[inside], table[~inside])]
        return len(present[0] & present[1])

    held = max(sets, key=shared)  # the first of equals: single sites, in order of their names
    soundscapes = table.assign(kind="soundscape", fold=np.where(table.group.isin(held), 0, 1))
    authors = pd.DataFrame({"item": clips.filename, "kind": "clip", "group": clips.filename, "fold": 1})
    return Folds(pd.concat([authors, soundscapes[["item", "kind", "group", "fold"]]], ignore_index=True))


def _items(windows: pd.DataFrame, item: str, group: str) -> pd.DataFrame:
    """One row an item: item, group, and the labels of any of its windows."""
    rows = windows.assign(kept_together=windows[group]).groupby(item, sort=True)
    union = rows.labels.agg(_union)
    return pd.DataFrame({"item": union.index, "group": rows.kept_together.first().to_numpy(), "labels": union.values})


def _union(label_sets: Iterable[tuple[str, ...]]) -> Any:
    """The labels of any of the sets, sorted, as a tuple."""
    return tuple(sorted({label for labels in label_sets for label in labels}))


def _stratify(kind: str, table: pd.DataFrame, clips, windows, classes: ClassList, *, n_folds: int, seed: int):
    fold = assign_folds(table.group.tolist(), classes.multi_hot(table.labels.tolist()), n_folds=n_folds, seed=seed)
    return _with_clip_folds(kind, table.assign(fold=fold), clips, windows, classes, seed=seed)


def _with_clip_folds(kind: str, table: pd.DataFrame, clips, windows, classes: ClassList, *, seed: int) -> Folds:
    """The family's folds, with the clips folded by author as the frozen folds do."""
    frozen = make_folds(clips, windows, classes, n_folds=table.fold.nunique(), seed=seed).table
    items = table.assign(kind=kind)[["item", "kind", "group", "fold"]]
    return Folds(pd.concat([frozen[frozen.kind == "clip"], items], ignore_index=True))
