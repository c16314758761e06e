"""Which of a model's labels speak for each class: by scientific name, by a synonym, or by relatives of its genus."""

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
    """The name as names are compared: lower case, single spaces."""
    return " ".join(name.lower().split())


def synonyms(name: str) -> tuple[str, ...]:
    """The other comparable names of the species, if any."""
    alike = normalise_name(name)
    lines = [[normalise_name(other) for other in line] for line in _SAME_SPECIES]
    return tuple(other for line in lines if alike in line for other in line if other != alike)


# Surely silent: it adds nothing where chances are averaged, yet is neither 0 nor infinite in half precision.
FLAT_LOGIT = -10.0
MATCH_KINDS = ("name", "synonym", "genus", "none")
_BY_GENUS = ("Amphibia", "Insecta")  # models know few of them, and a genus sings alike; birds of a genus do not
_PSEUDO_GENUS = "insect"  # "Insect son01" is a sound, not a species, and "Insect" is also a tag of FSD50K


@dataclass(frozen=True)
class LabelMap:
    """For each class, in class order: the columns of the model's labels, none or several, and how they were found."""

    labels: tuple[str, ...]
    columns: tuple[tuple[int, ...], ...]
    how: tuple[str, ...]
    width: int  # how many labels the model has

    @cached_property
    def flat(self) -> tuple[str, ...]:
        """The classes that the model says nothing of."""
        return tuple(label for label, columns in zip(self.labels, self.columns, strict=True) if not columns)

    def logits(self, raw: np.ndarray) -> np.ndarray:
        """(rows, classes) float32 of the model's (rows, labels) logits: the largest, FLAT_LOGIT where there is none."""
        if raw.ndim != 2 or raw.shape[1] != self.width:
            raise BadInput(
                "the model's logits do not fit its label map",
                expected=f"(rows, {self.width})",
                got=raw.shape,
                do="map the labels that came with this model file",
            )
        out = np.full((len(raw), len(self.labels)), FLAT_LOGIT, dtype=np.float32)
        for place, columns in enumerate(self.columns):
            if columns:
                out[:, place] = raw[:, columns].max(axis=1)
        return out


def map_labels(taxonomy: pd.DataFrame, labels: Sequence[str]) -> LabelMap:
    """The map of a taxonomy in class order onto a model's labels; each class takes the first way that finds any."""
    by_name: dict[str, list[int]] = {}
    by_genus: dict[str, list[int]] = {}
    for column, label in enumerate(labels):
        name = normalise_name(label)
        by_name.setdefault(name, []).append(column)
        if " " in name:
            by_genus.setdefault(name.split()[0], []).append(column)
    columns, how = [], []
    for name, kind in zip(taxonomy.scientific_name, taxonomy.class_name, strict=True):
        name = normalise_name(name)
        ways = {
            "name": by_name.get(name, []),
            "synonym": sorted(column for other in synonyms(name) for column in by_name.get(other, [])),
            "genus": _relatives(name, kind, by_genus),
            "none": [],
        }
        how.append(next(way for way in MATCH_KINDS if ways[way] or way == "none"))
        columns.append(tuple(ways[how[-1]]))
    return LabelMap(tuple(taxonomy.primary_label), tuple(columns), tuple(how), len(labels))


def label_coverage(label_map: LabelMap, taxonomy: pd.DataFrame) -> pd.DataFrame:
    """One row a taxon and one for all: how many classes there are, how many are mapped each way, how many stay flat."""
    ways = pd.DataFrame({way: [found == way for found in label_map.how] for way in MATCH_KINDS})
    ways.insert(0, "classes", True)
    table = ways.groupby(taxonomy.class_name.to_numpy()).sum().astype(int)
    table.loc["all"] = table.sum()
    return table.rename(columns={"none": "flat"}).rename_axis("taxon").reset_index()


def _relatives(name: str, kind: str, by_genus: dict[str, list[int]]) -> list[int]:
    genus = name.split()[0]
    return by_genus.get(genus, []) if kind in _BY_GENUS and genus != _PSEUDO_GENUS else []
