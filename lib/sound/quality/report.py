"""The complete QA table of a competition folder, from its tables and the inventories of its sounds."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.classes import ClassList
from lib.competition.qa import excluded_items, qa_table
from lib.competition.qa_checks import check_cooccurrence, check_joins, check_label_map, check_ratings
from lib.competition.sound_files import clip_files
from lib.competition.tables import window_labels
from lib.sound.decode import decode
from lib.sound.quality.checks import (
    class_outliers,
    damaged_files,
    exact_copies,
    near_copies,
    poor_recordings,
    silent_windows,
    unusable_files,
)

_KEPT = 128  # decoded sounds in memory: names of one class follow each other, and so do the pairs to compare


def audit(
    competition: Path,
    classes: ClassList,
    taxonomy: pd.DataFrame,
    clips: pd.DataFrame,
    windows: pd.DataFrame,
    clip_sounds: pd.DataFrame,
    soundscape_sounds: pd.DataFrame,
) -> pd.DataFrame:
    """The QA rows of every check, in order: unusable files, copies, contradictions, outliers."""
    stems = by_stem(soundscape_sounds)
    files = [str(path.relative_to(competition / "train_audio")) for path in clip_files(competition)]
    label_of = dict(zip(clips.filename, clips.primary_label, strict=True))
    labels_of = {
        str(stem): str(list(zip(rows.end_s, rows.labels, strict=True))) for stem, rows in windows.groupby("stem")
    }
    certain = qa_table(
        [
            check_joins(clips, windows, files, stems.name.tolist()),
            unusable_files("clip", clip_sounds),
            unusable_files("soundscape", stems),
            exact_copies("clip", clip_sounds, label_of),
            exact_copies("soundscape", stems, labels_of),
        ]
    )
    clip_sounds = clip_sounds[~clip_sounds.name.isin(excluded_items(certain, "clip"))]
    stems = stems[~stems.name.isin(excluded_items(certain, "soundscape"))]
    sounds = pd.concat([clip_sounds, stems], ignore_index=True)
    kind_of = dict.fromkeys(clip_sounds.name, "clip") | dict.fromkeys(stems.name, "soundscape")
    return qa_table(
        [
            certain,
            near_copies(sounds, kind_of, sound_loader(competition)),
            check_label_map(clips, taxonomy),
            check_cooccurrence(window_labels(windows, classes), windows.stem.tolist()),
            class_outliers(clip_sounds, label_of),
            silent_windows(windows, stems),
            damaged_files("clip", clip_sounds),
            damaged_files("soundscape", stems),
            poor_recordings("clip", clip_sounds),
            poor_recordings("soundscape", stems),
            check_ratings(clips),
        ]
    )


def by_stem(soundscape_sounds: pd.DataFrame) -> pd.DataFrame:
    """The soundscapes' inventory with the names that the folds use: without `.ogg`."""
    return soundscape_sounds.assign(name=soundscape_sounds.name.str.removesuffix(".ogg"))


def sound_loader(competition: Path) -> Callable[[str], np.ndarray]:
    """A function that decodes a clip by its file name, or a soundscape by its stem, and keeps the last few."""

    @lru_cache(maxsize=_KEPT)
    def sound(name: str) -> np.ndarray:
        clip = name.endswith(".ogg")
        return decode(competition / (f"train_audio/{name}" if clip else f"train_soundscapes/{name}.ogg"))

    return sound
