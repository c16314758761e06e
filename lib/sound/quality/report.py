"""The whole QA table of a competition folder, from its tables and the inventories of its sounds."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.classes import ClassList
from lib.competition.qa import excluded, joins, known_company, label_map, qa_table, ratings
from lib.competition.tables import window_labels
from lib.sound.decode import decode
from lib.sound.quality.checks import bad_sound, exact_copies, near_copies, odd_ones, poor_sound, silent_windows

_KEPT = 128  # decoded sounds at hand: names of one class follow each other, and so do the pairs to compare


def audit(
    competition: Path,
    classes: ClassList,
    taxonomy: pd.DataFrame,
    clips: pd.DataFrame,
    windows: pd.DataFrame,
    clip_sounds: pd.DataFrame,
    soundscape_sounds: pd.DataFrame,
) -> pd.DataFrame:
    """Every check, in order: what cannot be used, what is there twice, what contradicts itself, what looks odd."""
    stems = by_stem(soundscape_sounds)
    files = sorted(str(path.relative_to(competition / "train_audio")) for path in competition.glob("train_audio/*/*"))
    label_of = dict(zip(clips.filename, clips.primary_label, strict=True))
    labels_of = {stem: str(list(zip(rows.end_s, rows.labels, strict=True))) for stem, rows in windows.groupby("stem")}
    certain = qa_table(
        [
            joins(clips, windows, files, stems.name.tolist()),
            bad_sound("clip", clip_sounds),
            bad_sound("soundscape", stems),
            exact_copies("clip", clip_sounds, label_of),
            exact_copies("soundscape", stems, labels_of),
        ]
    )
    clip_sounds = clip_sounds[~clip_sounds.name.isin(excluded(certain, "clip"))]
    stems = stems[~stems.name.isin(excluded(certain, "soundscape"))]
    sounds = pd.concat([clip_sounds, stems], ignore_index=True)
    kind_of = dict.fromkeys(clip_sounds.name, "clip") | dict.fromkeys(stems.name, "soundscape")
    return qa_table(
        [
            certain,
            near_copies(sounds, kind_of, sound_of(competition)),
            label_map(clips, taxonomy),
            known_company(window_labels(windows, classes), windows.stem.tolist()),
            odd_ones(clip_sounds, label_of),
            silent_windows(windows, stems),
            poor_sound("clip", clip_sounds),
            poor_sound("soundscape", stems),
            ratings(clips),
        ]
    )


def by_stem(soundscape_sounds: pd.DataFrame) -> pd.DataFrame:
    """The soundscapes' inventory under the names that the folds use: without `.ogg`."""
    return soundscape_sounds.assign(name=soundscape_sounds.name.str.removesuffix(".ogg"))


def sound_of(competition: Path) -> Callable[[str], np.ndarray]:
    """A function that decodes a clip by its file name, or a soundscape by its stem, and keeps the last few."""

    @lru_cache(maxsize=_KEPT)
    def sound(name: str) -> np.ndarray:
        clip = name.endswith(".ogg")
        return decode(competition / (f"train_audio/{name}" if clip else f"train_soundscapes/{name}.ogg"))

    return sound
