"""Class groups for a recipe's steps, fixed when it is made: taxonomic relatives, and classes that are one sound."""

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from lib.competition.scores import Labels
from lib.core.errors import BadInput


def taxonomy_groups(taxonomy: pd.DataFrame, *, pseudo_genera: bool = False) -> dict[str, list[list[str]]]:
    """Lists of two labels and more that share a `genus`, and lists that share a `class`, in the taxonomy's order.

    Sonotypes ("Insect son01": a number, or no second word) have no known genus and stay out. The public notebooks
    take their first word for a genus and so average all sonotypes: `pseudo_genera` does the same.
    """
    names = taxonomy.scientific_name
    species = names.str.contains(" ", regex=False) & ~names.str.contains(r"\d")
    genera = taxonomy if pseudo_genera else taxonomy[species]
    return {
        "genus": _several(genera.primary_label.groupby(genera.scientific_name.str.split(" ").str[0], sort=False)),
        "class": _several(taxonomy.primary_label.groupby(taxonomy.class_name, sort=False)),
    }


def learn_mirror_groups(labels: Labels, *, agreement: float, soundscapes: int) -> list[list[str]]:
    """Lists of classes that are present in the same labelled windows, in class order.

    Any two of a group agree on at least that share of the windows where either is present, and occur together in at
    least that many soundscapes: windows of one file repeat each other. Only the given labels are used.
    """
    if not 0 < agreement <= 1 or soundscapes < 1:
        raise BadInput(
            "mirror groups have unusable settings",
            expected="0 < agreement ≤ 1 and soundscapes ≥ 1",
            got=f"{agreement}, {soundscapes}",
            do="set agreement=1.0 and soundscapes=2",
        )
    if len(labels.classes) < 2:
        return []
    present = labels.values.astype(int)
    both = present.T @ present
    either = np.diag(both)[:, None] + np.diag(both) - both
    apart = 1.0 - both / np.maximum(either, 1)
    apart[_joint_soundscapes(labels) < soundscapes] = 1.0
    np.fill_diagonal(apart, 0.0)
    # Complete linkage: each pair of a group agrees. A chain of near duplicates would join unrelated classes.
    group = fcluster(linkage(squareform(apart), "complete"), 1.0 - agreement, "distance")
    return _several(pd.Series(labels.classes).groupby(group, sort=False))


def _joint_soundscapes(labels: Labels) -> np.ndarray:
    """(classes, classes) the number of soundscapes with a window where both are present."""
    files = pd.factorize(np.array([row.rpartition("_")[0] for row in labels.row_ids], dtype=object))[0]
    counts = np.zeros((len(labels.classes),) * 2, dtype=int)
    for file in np.unique(files):
        present = labels.values[files == file].astype(int)
        counts += present.T @ present > 0
    return counts


def _several(grouped) -> list[list[str]]:
    """The groups of two labels and more, in order of appearance."""
    return [list(labels) for _, labels in grouped if len(labels) > 1]
