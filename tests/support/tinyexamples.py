"""A tiny prepared competition by hand: two classes, three folds, and recordings whose samples identify them."""

import numpy as np
import pandas as pd
import soundfile

from lib.competition.classes import ClassList
from lib.competition.folds import Folds
from lib.competition.prepared import Prepared, PreparedFacts
from lib.competition.qa import QA_COLUMNS
from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_S, parse_soundscape
from lib.learn.cache.audio import sound_path

CLASSES = ClassList(("ant", "bee", "cow"))
LABELLED = [f"BC2026_Train_000{n}_S0{n}_20250101_050000" for n in (1, 2, 3)]  # held out by fold 0, 1, 2
SAME_DAY = "BC2026_Train_0004_S01_20250101_060000"  # as the first labelled one
RELATED = "BC2026_Train_0005_S07_20250107_060000"  # to the second labelled one
EXCLUDED = "BC2026_Train_0006_S08_20250108_060000"
FREE = "BC2026_Train_0007_S09_20250109_060000"
STEMS = [*LABELLED, SAME_DAY, RELATED, EXCLUDED, FREE]
CLIPS = [(f"{label}/{n}.ogg", label) for label, count in (("ant", 9), ("bee", 3)) for n in range(count)]


def windows_of(labels: dict[str, dict[int, tuple[str, ...]]]) -> pd.DataFrame:
    """The table of labelled windows from labels by stem and end second."""
    rows = [
        (f"{stem}_{end_s}", stem, parse_soundscape(stem).group, end_s, named)
        for stem, of_stem in labels.items()
        for end_s, named in of_stem.items()
    ]
    return pd.DataFrame(rows, columns=["row_id", "stem", "group", "end_s", "labels"])


def tiny_prepared() -> Prepared:
    """Nine ants and three bees in three folds; each labelled soundscape has an ant at first and then silence."""
    clips = pd.DataFrame(CLIPS, columns=["filename", "primary_label"])
    clips["secondary"] = [("bee",) if name == "ant/0.ogg" else () for name in clips.filename]
    whole = {end: ("ant",) if end == 5 else () for end in range(5, 61, 5)}
    partial = {5: ("cow",), 10: ()}
    windows = windows_of({LABELLED[0]: whole, LABELLED[1]: whole, LABELLED[2]: partial})
    folds = pd.DataFrame(
        [(name, "clip", name, number % 3) for number, (name, _) in enumerate(CLIPS)]
        + [(stem, "soundscape", parse_soundscape(stem).group, fold) for fold, stem in enumerate(LABELLED)],
        columns=["item", "kind", "group", "fold"],
    )
    qa = [
        (EXCLUDED, "soundscape", "bad sound", "", "", "", "exclude"),
        (RELATED, "soundscape", "twins", LABELLED[1], "", "", "group"),
    ]
    facts = PreparedFacts(list(CLASSES.labels), CLASSES.hash, "", "", 0)
    return Prepared(CLASSES, clips, windows, Folds(folds), pd.DataFrame(qa, columns=QA_COLUMNS, dtype=str), facts)


def write_sounds(competition) -> dict[str, int]:
    """Write each recording as one constant level of its own, in 16-bit steps times 100; returns the levels."""
    levels = {item: 1 + number for number, item in enumerate([name for name, _ in CLIPS] + STEMS)}
    for number, (item, level) in enumerate(levels.items()):
        seconds = (2, 7, 11)[number % 3] if "/" in item else SOUNDSCAPE_S
        path = sound_path(competition, item)
        path.parent.mkdir(parents=True, exist_ok=True)
        audio = np.full(seconds * SAMPLE_RATE, 100 * level, dtype=np.int16)
        soundfile.write(path, audio, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return levels
