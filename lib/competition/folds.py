"""Cross-validation folds: made once, frozen, fingerprinted. Soundscapes are grouped by site and date, clips by author.

Items that belong together are given as pairs: pairs become clusters, and clusters change the groups that folds keep
whole.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.text_table import read_text_table
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten

_COLUMNS = ["item", "kind", "group", "fold"]


def clusters(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each item of the pairs with the first name of its cluster (union-find)."""
    parent: dict[str, str] = {}

    def root(item: str) -> str:
        while parent.setdefault(item, item) != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in pairs:
        first, last = sorted((root(one), root(other)))
        parent[last] = first
    return {item: root(item) for item in parent}


def move_related_items(items: list[str], groups: list[str], related: Iterable[tuple[str, str]]) -> list[str]:
    """The items' groups, with all items of a cluster moved to the group of its first; the rest of a group stays."""
    cluster = clusters(related)
    group_of: dict[str, str] = {}
    for item, group in sorted(zip(items, groups, strict=True)):
        group_of.setdefault(cluster.get(item, item), group)
    return [group_of[cluster.get(item, item)] for item in items]


def merge_related_groups(items: list[str], groups: list[str], related: Iterable[tuple[str, str]]) -> list[str]:
    """The items' groups, with groups that hold items of one cluster merged into one, under the first of their names.

    A cluster holds together through items that are not listed: two labelled soundscapes through an unlabelled one.
    """
    cluster = clusters(related)
    group_of: dict[str, str] = {}
    pairs = [
        (group_of.setdefault(cluster[item], group), group)
        for item, group in zip(items, groups, strict=True)
        if item in cluster
    ]
    together = clusters(pairs)
    return [together.get(group, group) for group in groups]


@dataclass(frozen=True, eq=False)
class Folds:
    """The table of folds and the items that each holds out: columns item, kind (clip or soundscape), group, fold."""

    table: pd.DataFrame

    def __post_init__(self):
        split = self.table.groupby(["kind", "group"]).fold.nunique()
        if (split > 1).any():
            raise BadInput(
                "a group is split over folds",
                expected="each group in one fold",
                got=shorten(split[split > 1].index),
                do="make the folds with make_folds",
            )

    @property
    def numbers(self) -> list[int]:
        """The folds' numbers, in order."""
        return sorted(self.table.fold.unique().tolist())

    @cached_property
    def version(self) -> str:
        """The fingerprint of the whole table."""
        return fingerprint.of_text(self.table.to_csv(index=False, lineterminator="\n"))

    def of(self, kind: str) -> dict[str, int]:
        """The fold that holds out each item of that kind."""
        rows = self.table[self.table.kind == kind]
        return dict(zip(rows["item"], rows.fold.tolist(), strict=True))

    def check_items(self, kind: str, items: Iterable[str]) -> None:
        """Refuse folds that do not hold each of the items once, or that hold others."""
        have, need = Counter(self.table["item"][self.table.kind == kind]), Counter(items)
        if have != need:
            odd = sorted(str(item) for item in {*have, *need} if have[item] != need[item])
            raise BadInput(
                f"the folds do not fit the {kind}s",
                expected=f"each of {len(need)} {kind}s in one row",
                got=f"{len(odd)} that are absent, repeated or unknown: {shorten(odd, 3)}",
                do="run 01_data_prep again, and everything after it",
            )

    def save(self, path: Path) -> None:
        """Write the table as csv, the same bytes each time."""
        self.table.to_csv(path, index=False, lineterminator="\n")


def read_folds(path: Path, version: str) -> Folds:
    """The frozen folds; a version other than the one recorded is an error."""
    table = read_text_table(path)
    if list(table.columns) != _COLUMNS or not table.fold.str.fullmatch(r"\d{1,3}").all():
        raise BadInput(
            f"{path} is no table of folds",
            expected=f"the columns {', '.join(_COLUMNS)}, the last a number",
            got=shorten(table.columns),
            do="run 01_data_prep again, and everything after it",
        )
    folds = Folds(table.astype({"fold": int}))
    if folds.version != version:
        raise BadInput(
            "the folds were changed after they were frozen",
            expected=version,
            got=folds.version,
            do="run 01_data_prep again, and everything after it",
        )
    return folds


def make_folds(clips: pd.DataFrame, windows: pd.DataFrame, classes, *, n_folds: int, seed: int, related=()) -> Folds:
    """Folds for all clips (grouped by author) and labelled soundscapes (grouped by site and date).

    `related` are pairs of the same recording. A copied clip goes with its original's author, who made it; days that
    share a recording become one group, because their other soundscapes share their sound too.
    """
    by_clip = classes.multi_hot([(label,) for label in clips.primary_label])
    authors = clips.author.where(clips.author != "", clips.filename)  # clips without an author are not one group
    by_author = move_related_items(clips.filename.tolist(), authors.tolist(), related)
    clip_folds = assign_folds(by_author, by_clip, n_folds=n_folds, seed=seed)
    stems = windows.groupby("stem", sort=True)
    union = classes.multi_hot([sorted({label for labels in group.labels for label in labels}) for _, group in stems])
    group_of_stem = stems.group.first()
    groups = merge_related_groups(group_of_stem.index.tolist(), group_of_stem.tolist(), related)
    soundscape_folds = assign_folds(groups, union, n_folds=n_folds, seed=seed)
    parts = [
        pd.DataFrame({"item": clips.filename, "kind": "clip", "group": by_author, "fold": clip_folds}),
        pd.DataFrame({"item": group_of_stem.index, "kind": "soundscape", "group": groups, "fold": soundscape_folds}),
    ]
    return Folds(pd.concat(parts, ignore_index=True))


def assign_folds(groups: list[str], labels: np.ndarray, *, n_folds: int, seed: int) -> np.ndarray:
    """(items,) fold numbers: groups stay whole, classes are spread evenly, rare ones first."""
    names, group_of = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if len(names) < n_folds:
        raise BadInput(
            "too few groups for the folds",
            expected=f"at least {n_folds} groups",
            got=shorten(names),
            do="lower n_folds",
        )
    counts = np.zeros((len(names), labels.shape[1] + 1))
    np.add.at(counts[:, :-1], group_of, labels)
    np.add.at(counts[:, -1], group_of, 1.0)  # the last column balances the folds' sizes
    shares = counts / np.maximum(counts.sum(axis=0), 1.0)
    noise = np.random.default_rng(seed).random(len(names)) * 1e-9  # breaks ties, the same for the same seed
    load = np.zeros((n_folds, counts.shape[1]))
    fold_of = np.empty(len(names), dtype=int)
    for group in np.argsort(-(shares.max(axis=1) + noise)):
        # the rise of the sum of squares if the group were put into each fold
        rise = (2 * load * shares[group] + shares[group] ** 2).sum(axis=1)
        fold_of[group] = np.lexsort((load[:, -1], rise))[0]
        load[fold_of[group]] += shares[group]
    return fold_of[group_of]
