"""Scores by subgroup: fold, site, hour, rarity and overlap, each with the class set that it is the mean of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.competition.prepared import Prepared
from lib.competition.row_ids import split_row_id
from lib.competition.scores import Labels, Scores
from lib.judge.metric import class_auc

UTC_OFFSET_H = -4  # the Pantanal's clocks
DAY_HOURS = range(6, 18)  # local; the sun rises and sets near six there all year
OVERLAP_LABELS = 3  # from so many vocalising classes in a window on, they mask each other
RARE_WINDOWS = 20  # a class present in fewer labelled windows is rare
RARE_CLIPS = 10  # and one with fewer focal clips is hard to learn
# groupings that a promotion must not harm; taxa, sites and folds are too small to decide anything
DECISIVE = ("time of day", "site group", "windows of the class", "classes in the window")


@dataclass(frozen=True, eq=False)
class Subgroup:
    """One subgroup of a grouping, such as a site: the rows and classes of the truth that belong to it, as masks."""

    grouping: str
    name: str
    rows: np.ndarray
    classes: np.ndarray


def subgroup_labels(labels: Labels, subgroup: Subgroup) -> Labels:
    """The labels of a subgroup."""
    rows = tuple(row for row, keep in zip(labels.row_ids, subgroup.rows, strict=True) if keep)
    classes = tuple(name for name, keep in zip(labels.classes, subgroup.classes, strict=True) if keep)
    return Labels(labels.values[subgroup.rows][:, subgroup.classes], rows, classes, labels.strata[subgroup.rows])


def subgroup_scores(labels: Labels, scores: Scores, subgroup: Subgroup) -> Scores:
    """The scores of a subgroup, rows as in the labels."""
    sliced = subgroup_labels(labels, subgroup)
    return Scores(scores.take(sliced.row_ids).values[:, subgroup.classes], sliced.row_ids, sliced.classes, scores.kind)


def list_subgroups(
    prepared: Prepared, taxon_of: Mapping[str, str] | None = None, labels: Labels | None = None
) -> list[Subgroup]:
    """All subgroups of all groupings of the labels, by default of the labelled windows; taxa only where given."""
    labels = labels or prepared.labels
    every_row, every_class = np.ones(len(labels.row_ids), bool), np.ones(len(labels.classes), bool)
    scenes = [split_row_id(row)[0] for row in labels.row_ids]
    site = np.array([scene.site for scene in scenes])
    names, windows = np.unique(site, return_counts=True)
    most = names[windows.argmax()]
    day = np.isin([(scene.hour + UTC_OFFSET_H) % 24 for scene in scenes], DAY_HOURS)
    crowded = labels.values.sum(axis=1) >= OVERLAP_LABELS
    by_row = [
        *(("fold", f"fold {fold}", labels.strata == fold) for fold in np.unique(labels.strata)),
        *(("site", name, site == name) for name in names),
        ("site group", f"{most}, the dominant site", site == most),
        ("site group", f"all but {most}", site != most),
        ("time of day", "day, 6 to 18 h local", day),
        ("time of day", "night", ~day),
        ("classes in the window", f"{OVERLAP_LABELS} or more", crowded),
        ("classes in the window", f"fewer than {OVERLAP_LABELS}", ~crowded),
    ]
    present = labels.values.sum(axis=0)
    clips = prepared.clips.primary_label.value_counts().reindex(labels.classes, fill_value=0).to_numpy()
    by_class = [
        ("windows of the class", f"rare, under {RARE_WINDOWS}", present < RARE_WINDOWS),
        ("windows of the class", f"frequent, {RARE_WINDOWS} or more", present >= RARE_WINDOWS),
        ("clips of the class", "none", clips == 0),
        ("clips of the class", f"1 to {RARE_CLIPS - 1}", (clips > 0) & (clips < RARE_CLIPS)),
        ("clips of the class", f"{RARE_CLIPS} or more", clips >= RARE_CLIPS),
    ]
    if taxon_of is not None:
        taxon = np.array([taxon_of[name] for name in labels.classes])
        by_class += [("taxon", name, taxon == name) for name in dict.fromkeys(taxon)]
    return [
        Subgroup("overall", "all", every_row, every_class),
        *(Subgroup(view, part, rows, every_class) for view, part, rows in by_row),
        *(Subgroup(view, part, every_row, columns) for view, part, columns in by_class),
    ]


def subgroup_table(labels: Labels, named: Mapping[str, Scores], parts: list[Subgroup]) -> pd.DataFrame:
    """One row a subgroup: grouping, subgroup, windows, classes (scored), unscored (only here), and each one's macro."""
    tables = {name: scores.take(labels.row_ids).values for name, scores in named.items()}
    overall = class_auc(labels.values, labels.values.astype(np.float32), labels.strata)  # NaN: not scorable at all
    rows = []
    for part in parts:
        truth, strata = labels.values[part.rows][:, part.classes], labels.strata[part.rows]
        auc = {name: class_auc(truth, values[part.rows][:, part.classes], strata) for name, values in tables.items()}
        scored = np.isfinite(next(iter(auc.values())))
        unscored = np.array(labels.classes)[part.classes][~scored & np.isfinite(overall[part.classes])]
        row = {"grouping": part.grouping, "subgroup": part.name, "windows": len(truth), "classes": int(scored.sum())}
        means = {name: float(values[scored].mean()) if scored.any() else np.nan for name, values in auc.items()}
        rows.append(row | {"unscored": ", ".join(unscored)} | means)
    return pd.DataFrame(rows)


def class_table(prepared: Prepared, named: Mapping[str, Scores]) -> pd.DataFrame:
    """One row a class with a positive: label, clips, windows (positive), and each one's AUC and average precision."""
    labels = prepared.labels
    clips = prepared.clips.primary_label.value_counts().reindex(labels.classes, fill_value=0).to_numpy()
    table = pd.DataFrame({"class": labels.classes, "clips": clips, "windows": labels.values.sum(axis=0)})
    for name, scores in named.items():
        values = scores.take(labels.row_ids).values
        table[f"{name} AUC"] = class_auc(labels.values, values, labels.strata)
        table[f"{name} AP"] = class_precision(labels.values, values, labels.strata)
    return table[table.windows > 0].sort_values("windows", kind="stable", ignore_index=True)


def average_precision(truth: np.ndarray, values: np.ndarray) -> float:
    """The area under the precision-recall steps of one column, tied values taken together; NaN without positives."""
    if not truth.any():
        return np.nan
    order = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)  # of each run of equal values
    found = np.cumsum(truth[order])[last]
    precision, gained = found / (last + 1), np.diff(found, prepend=0)
    return float((precision * gained).sum() / truth.sum())


def class_precision(truth: np.ndarray, values: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """(classes,) average precision, the mean over strata weighed by their positives; NaN where no stratum can rank."""
    total, weight = np.zeros(truth.shape[1]), np.zeros(truth.shape[1])
    for stratum in np.unique(strata):
        here = strata == stratum
        for column in np.flatnonzero(truth[here].any(axis=0) & ~truth[here].all(axis=0)):
            mark = truth[here, column]
            total[column] += mark.sum() * average_precision(mark, values[here, column])
            weight[column] += mark.sum()
    return np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0)


def rare_precision(labels: Labels, scores: Scores) -> tuple[float, float, tuple[str, ...]]:
    """Mean average precision of the rare classes, that of constant scores, and the names of these classes."""
    rare = (labels.values.sum(axis=0) < RARE_WINDOWS) & labels.values.any(axis=0)
    found = class_precision(labels.values, scores.take(labels.row_ids).values, labels.strata)
    use = rare & np.isfinite(found)
    names = tuple(np.array(labels.classes)[use].tolist())
    if not names:
        return np.nan, np.nan, ()
    chance = class_precision(labels.values, np.zeros(labels.values.shape, np.float32), labels.strata)
    return float(found[use].mean()), float(chance[use].mean()), names


@dataclass(frozen=True)
class FoldSpread:
    """The score in each fold, over the classes that every fold can score."""

    scores: dict[int, float]
    classes: tuple[str, ...]

    @property
    def std(self) -> float:
        """The folds' standard deviation; NaN where no class is scored in every fold."""
        return float(np.std(list(self.scores.values()), ddof=1)) if self.classes and len(self.scores) > 1 else np.nan


def fold_spread(labels: Labels, scores: Scores) -> FoldSpread:
    """The macro score in each fold over one fixed class set: other sets would differ by their classes' difficulty."""
    values, folds = scores.take(labels.row_ids).values, np.unique(labels.strata)
    auc = np.stack([class_auc(labels.values[labels.strata == fold], values[labels.strata == fold]) for fold in folds])
    fixed = np.isfinite(auc).all(axis=0)
    means = auc[:, fixed].mean(axis=1) if fixed.any() else np.full(len(folds), np.nan)
    names = tuple(np.array(labels.classes)[fixed].tolist())
    return FoldSpread(dict(zip(folds.tolist(), means.tolist(), strict=True)), names)
