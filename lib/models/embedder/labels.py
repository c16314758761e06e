"""Mapping of a model's labels to classes: by scientific name, by a synonym, or by relatives of the same genus.

Checklists disagree about scientific names: each line of `_SAME_SPECIES` is one species, and no name of it is the right
one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from lib.core.errors import BadInput

_SAME_SPECIES = (
    # Those by which birds of the contest were missing from BirdNET's table.
    ("Antiurus maculicaudus", "Hydropsalis maculicaudus"),
    ("Daptrius chimachima", "Milvago chimachima"),
    ("Rufirallus schomburgkii", "Micropygia schomburgkii"),
    ("Tyto furcata", "Tyto alba"),
    # Older names of frogs and mammals of the region.
    ("Boana raniceps", "Hypsiboas raniceps"),
    ("Canis familiaris", "Canis lupus familiaris"),
    ("Mico melanurus", "Callithrix melanura"),
    ("Pithecopus azureus", "Phyllomedusa azurea"),
    ("Plecturocebus pallescens", "Callicebus pallescens"),
)


def normalise_name(name: str) -> str:
    """The name in the form in which names are compared: lower case, single spaces."""
    return " ".join(name.lower().split())


def synonyms(name: str) -> tuple[str, ...]:
    """The other names of the species, normalised, if any."""
    own = normalise_name(name)
    lines = [[normalise_name(other) for other in line] for line in _SAME_SPECIES]
    return tuple(other for line in lines if own in line for other in line if other != own)


# Surely absent: it adds nothing where probabilities are averaged, yet is neither 0 nor infinite in half precision.
FLAT_LOGIT = -10.0
MATCH_KINDS = ("name", "synonym", "genus", "none")
_BY_GENUS = ("Amphibia", "Insecta")  # models have few labels of them, and a genus sings alike; birds of a genus do not
_PSEUDO_GENUS = "insect"  # "Insect son01" is a sound, not a species, and "Insect" is also a tag of FSD50K


@dataclass(frozen=True)
class LabelMap:
    """For each class, in class order: the columns of the model's labels, none or several, and the kind of match."""

    labels: tuple[str, ...]
    columns: tuple[tuple[int, ...], ...]
    matched_by: tuple[str, ...]
    width: int  # the number of the model's labels

    @cached_property
    def flat(self) -> tuple[str, ...]:
        """The classes without any label of the model."""
        return tuple(label for label, columns in zip(self.labels, self.columns, strict=True) if not columns)

    def logits(self, raw: np.ndarray) -> np.ndarray:
        """(rows, classes) float32 of the model's (rows, labels) logits: the largest; FLAT_LOGIT without any."""
        if raw.ndim != 2 or raw.shape[1] != self.width:
            raise BadInput(
                "the model's logits do not fit its label map",
                expected=f"(rows, {self.width})",
                got=raw.shape,
                do="map the labels that came with this model file (map_labels)",
            )
        out = np.full((len(raw), len(self.labels)), FLAT_LOGIT, dtype=np.float32)
        for place, columns in enumerate(self.columns):
            if columns:
                out[:, place] = raw[:, columns].max(axis=1)
        return out


def map_labels(taxonomy: pd.DataFrame, labels: Sequence[str]) -> LabelMap:
    """The map of a taxonomy in class order onto a model's labels; each class takes the first kind of match there is."""
    by_name: dict[str, list[int]] = {}
    by_genus: dict[str, list[int]] = {}
    for column, label in enumerate(labels):
        name = normalise_name(label)
        by_name.setdefault(name, []).append(column)
        if " " in name:
            by_genus.setdefault(name.split()[0], []).append(column)
    columns, matched_by = [], []
    for name, taxon in zip(taxonomy.scientific_name, taxonomy.class_name, strict=True):
        name = normalise_name(name)
        matches = {
            "name": by_name.get(name, []),
            "synonym": sorted(column for other in synonyms(name) for column in by_name.get(other, [])),
            "genus": _relatives(name, taxon, by_genus),
            "none": [],
        }
        matched_by.append(next(kind for kind in MATCH_KINDS if matches[kind] or kind == "none"))
        columns.append(tuple(matches[matched_by[-1]]))
    return LabelMap(tuple(taxonomy.primary_label), tuple(columns), tuple(matched_by), len(labels))


def label_coverage(label_map: LabelMap, taxonomy: pd.DataFrame) -> pd.DataFrame:
    """One row a taxon and one for all: numbers of classes, of those by each kind of match, and of those left flat."""
    kinds = pd.DataFrame({kind: [found == kind for found in label_map.matched_by] for kind in MATCH_KINDS})
    kinds.insert(0, "classes", True)
    table = kinds.groupby(taxonomy.class_name.to_numpy()).sum().astype(int)
    table.loc["all"] = table.sum()
    return table.rename(columns={"none": "flat"}).rename_axis("taxon").reset_index()


def _relatives(name: str, taxon: str, by_genus: dict[str, list[int]]) -> list[int]:
    """The labels of the genus, for taxa whose genus sings alike."""
    genus = name.split()[0]
    return by_genus.get(genus, []) if taxon in _BY_GENUS and genus != _PSEUDO_GENUS else []
