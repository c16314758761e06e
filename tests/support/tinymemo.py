"""Four classes, five clips, four labelled windows: small enough to count by hand, for the tests of the data memo."""

from dataclasses import replace

import pandas as pd

from lib.competition.classes import ClassList
from lib.competition.folds import Folds
from lib.competition.prepared import Prepared, PreparedFacts
from lib.competition.qa import QA_COLUMNS

CLASSES = ClassList(("a", "b", "c", "d"))
TAXONOMY = pd.DataFrame(
    {
        "primary_label": ["a", "b", "c", "d"],
        "common_name": ["Ani", "Bananaquit", "Chorus frog", "Dog-day cicada"],
        "class_name": ["Aves", "Aves", "Amphibia", "Insecta"],
    }
)
CLIPS = pd.DataFrame(
    {
        "filename": ["a/1.ogg", "a/2.ogg", "a/3.ogg", "b/1.ogg", "c/1.ogg"],
        "primary_label": ["a", "a", "a", "b", "c"],
        "common_name": ["Ani", "Ani", "Ani", "Bananaquit", "Chorus frog"],
        "class_name": ["Aves", "Aves", "Aves", "Aves", "Amphibia"],
        "author": ["x", "x", "y", "x", "z"],
        "collection": ["XC", "XC", "iNat", "iNat", "iNat"],
        "rating": [5.0, 3.0, 0.0, 4.0, 0.0],
        "seconds": [6.0, 12.0, 3.0, 60.0, 30.0],
        "rms": [0.1, 0.2, 0.3, 0.4, 0.5],
    }
)
ONE, TWO, THREE = (
    "BC2026_Train_1_S01_20250101_050000",
    "BC2026_Train_2_S01_20250102_050000",
    "BC2026_Train_3_S02_20250101_200000",
)


def labelled(*rows: tuple[str, int, tuple[str, ...]]) -> pd.DataFrame:
    """The windows table of (stem, end second, labels)."""
    parts = [(f"{stem}_{end_s}", stem, *stem.split("_")[3:5], end_s, labels) for stem, end_s, labels in rows]
    table = pd.DataFrame(parts, columns=["row_id", "stem", "site", "date", "end_s", "labels"])
    return table.assign(group=table.site + "_" + table.date, hour=table.stem.str[-6:-4].astype(int))


WINDOWS = labelled((ONE, 5, ("a", "c")), (ONE, 10, ("a",)), (TWO, 5, ("c",)), (THREE, 60, ("b",)))
FOLDS = Folds(
    pd.DataFrame(
        {
            "item": [ONE, TWO, THREE],
            "kind": "soundscape",
            "group": ["S01_20250101", "S01_20250102", "S02_20250101"],
            "fold": [0, 1, 1],
        }
    )
)
PREPARED = Prepared(
    classes=CLASSES,
    clips=CLIPS,
    windows=WINDOWS,
    folds=FOLDS,
    qa=pd.DataFrame(columns=QA_COLUMNS, dtype=str),
    facts=PreparedFacts(list(CLASSES.labels), CLASSES.hash, "", FOLDS.version, 0),
)


def prepared(**changes) -> Prepared:
    """The tiny tables, some of them changed."""
    return replace(PREPARED, **changes)


def qa_line(item: str, kind: str, check: str, action: str, partner: str = "", detail: str = "") -> dict[str, str]:
    """One line of a QA table."""
    return dict(zip(QA_COLUMNS, (item, kind, check, partner, detail, "tests", action), strict=True))


def sounds(names: list[str], **measures) -> pd.DataFrame:
    """An inventory of usable sounds with these measures."""
    usual = {"problem": "", "peak": 0.5, "clipped": 0.0, "silent": 0.0, "snr_db": 10.0}
    return pd.DataFrame({"name": names, **usual, **measures})
