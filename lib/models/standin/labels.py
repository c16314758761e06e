"""The stand-in's table of labels: as long as Perch's, with the given species, relatives of these, and tags."""

import csv
from itertools import product
from pathlib import Path

import numpy as np

STANDIN_LABELS = 14_795
COLUMN = "inat2024_fsd50k"
_TAGS = (
    "Applause",
    "Bark",
    "Bird",
    "Chirp, tweet",
    "Cricket",
    "Crow",
    "Engine",
    "Frog",
    "Growling",
    "Insect",
    "Meow",
    "Music",
    "Rain",
    "Speech",
    "Thunder",
    "Walk, footsteps",
    "Water",
    "Wind",
    "Wild animals",
)
_RELATIVES = ("decoyensis", "simulans", "vicaria")
_SYLLABLES = ("ba", "co", "di", "fu", "ga", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "xy", "za")


def label_table(scientific_names: list[str], rng: np.random.Generator) -> list[str]:
    """The 14,795 different names in no order: the species, relatives of each genus, tags, and invented species."""
    genera = list(dict.fromkeys(name.split()[0] for name in scientific_names))
    known = [*scientific_names, *(f"{genus} {relative}" for genus in genera for relative in _RELATIVES), *_TAGS]
    coined = (f"{''.join(parts[:2]).title()}nis {''.join(parts[2:])}ta" for parts in product(_SYLLABLES, repeat=4))
    names = list(dict.fromkeys(known))
    names += [next(coined) for _ in range(STANDIN_LABELS - len(names))]
    return [names[place] for place in rng.permutation(STANDIN_LABELS)]


def write_labels(path: Path, names: list[str]) -> None:
    """Write the table as Perch's: one column."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([[COLUMN], *([name] for name in names)])
