"""Descriptors of all soundscapes and clips, computed once, so that many small models can be fitted in seconds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.classes import ClassList
from lib.competition.prepared import Prepared
from lib.competition.row_ids import WINDOW_S, Soundscape, parse_soundscape, row_ids
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.progress import progress
from lib.sound.decode import UnreadableAudio, decode, loudest_windows, soundscape_windows
from lib.sound.descriptors import sound_statistics

WINDOWS_PER_CLIP = 2
CLIPS_A_CLASS = 20  # more would add hours on the contest's 35,000 clips, and change no comparison


@dataclass(frozen=True, eq=False)
class SoundscapeFeatures:
    """Soundscapes and their descriptors: `features` (soundscapes, 12, features)."""

    soundscapes: tuple[Soundscape, ...]
    features: np.ndarray

    def scores(self, values: np.ndarray, classes: ClassList) -> Scores:
        """Scores of all rows from (soundscapes, 12, classes) logits."""
        rows = tuple(row for soundscape in self.soundscapes for row in row_ids(soundscape.stem))
        return Scores(values.reshape(len(rows), len(classes)), rows, classes.labels, "logit")


@dataclass(frozen=True, eq=False)
class BaselineData:
    """Training data of one model: rows of labelled windows, and rows of clips' windows."""

    windows: pd.DataFrame
    features: np.ndarray
    truth: np.ndarray
    clips: pd.DataFrame
    clip_features: np.ndarray
    clip_truth: np.ndarray
    clip_known: np.ndarray  # False for secondary labels: in this window they may be silent

    def subset(self, windows: np.ndarray, clips: np.ndarray) -> "BaselineData":
        """Select rows of both kinds by masks."""
        return BaselineData(
            self.windows[windows],
            self.features[windows],
            self.truth[windows],
            self.clips[clips],
            self.clip_features[clips],
            self.clip_truth[clips],
            self.clip_known[clips],
        )


def describe_soundscapes(folder: Path, stems: list[str]) -> tuple[SoundscapeFeatures, list[str]]:
    """Compute the descriptors of a folder's soundscapes; also returns the stems that cannot be decoded."""
    found, unreadable = {}, []
    for stem in progress(stems, f"describing {folder.name}", len(stems)):
        try:
            found[stem] = sound_statistics(soundscape_windows(decode(folder / f"{stem}.ogg")))
        except UnreadableAudio:
            unreadable.append(stem)
    return SoundscapeFeatures(tuple(map(parse_soundscape, found)), np.stack(list(found.values()))), unreadable


def gather_baseline_data(prepared: Prepared, sounds: SoundscapeFeatures, competition: Path) -> BaselineData:
    """Gather the descriptors of labelled windows, and of the loudest windows of some clips of each class."""
    at = {soundscape.stem: number for number, soundscape in enumerate(sounds.soundscapes)}
    windows = prepared.windows
    features = sounds.features[windows.stem.map(at), windows.end_s // WINDOW_S - 1]
    keyed = prepared.clips.assign(key=[fingerprint.of_text(name) for name in prepared.clips.filename])
    clips = keyed.sort_values("key").groupby("primary_label").head(CLIPS_A_CLASS).sort_values("filename")
    described = [
        sound_statistics(loudest_windows(decode(competition / "train_audio" / name), WINDOWS_PER_CLIP))
        for name in progress(clips.filename, "describing clips", len(clips))
    ]
    rows = clips.loc[np.repeat(clips.index, [len(part) for part in described])]
    primary = prepared.classes.multi_hot([(label,) for label in rows.primary_label])
    known = ~prepared.classes.multi_hot(rows.secondary.tolist())
    return BaselineData(windows, features, prepared.labels.values, rows, np.concatenate(described), primary, known)
