"""Examples: what a fold's network may be shown, what is true of it, and what is not known."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.competition.classes import ClassList
from lib.competition.prepared import Prepared
from lib.competition.qa import excluded_items
from lib.competition.row_ids import SOUNDSCAPE_S, WINDOW_S, WINDOWS_PER_SOUNDSCAPE, parse_soundscape
from lib.core.errors import BadInput


@dataclass(frozen=True)
class TargetSettings:
    """What a clip's table row says of the classes in a crop of it."""

    secondary_target: float = 1.0
    secondary_weight: float = 0.0  # 0: a class named as secondary may be silent in this crop, so it does not count
    absent_weight: float = 1.0  # of a class that is not named: clips are not labelled completely


@dataclass(frozen=True, eq=False)
class CropTable:
    """Rows to draw from: the item of each, its targets and weights (rows, classes), and where its crop lies."""

    items: tuple[str, ...]
    targets: np.ndarray  # soft where a teacher made them
    weights: np.ndarray
    starts_s: np.ndarray | None = None  # (rows,) the second of a soundscape at which the crop starts; None: a clip
    heard: np.ndarray | None = None  # (rows, classes) what passed a teacher's gate; None: the targets are people's

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.items)


@dataclass(frozen=True, eq=False)
class Examples:
    """What one model learns from."""

    clips: CropTable
    primary: np.ndarray  # (clips,) the class of each clip
    soundscapes: CropTable
    backgrounds: tuple[str, ...]  # unlabelled soundscapes
    pseudo: CropTable | None = None  # crops with a teacher's targets

    @property
    def items(self) -> list[str]:
        """All clips and soundscapes that are heard, each once: what the cache holds."""
        taught = self.pseudo.items if self.pseudo else ()
        return list(dict.fromkeys([*self.clips.items, *self.soundscapes.items, *self.backgrounds, *taught]))


def fold_examples(
    prepared: Prepared, stems: Sequence[str], held_out: int | None, targets: TargetSettings, seconds: int
) -> Examples:
    """What may be shown to the model of the fold `held_out`, or, if None, to one that learns from everything.

    `stems` are all soundscapes there are: those without labels become backgrounds, unless a held-out recording shares
    their site and day or is related to them.
    """
    clips = prepared.clips[prepared.clips.filename.map(prepared.folds.of("clip")) != held_out]
    windows = prepared.windows[prepared.windows.stem.map(prepared.folds.of("soundscape")) != held_out]
    barred = ineligible_soundscapes(prepared, stems, held_out)
    return Examples(
        clip_table(clips, prepared.classes, targets),
        clips.primary_label.map(prepared.classes.index).to_numpy(dtype=int),
        soundscape_table(windows, prepared.classes, seconds),
        tuple(stem for stem in stems if stem not in barred),
    )


def clip_table(clips: pd.DataFrame, classes: ClassList, settings: TargetSettings) -> CropTable:
    """One row a clip: its primary class is 1, its secondary classes and all others are as the settings say."""
    primary = classes.multi_hot([(label,) for label in clips.primary_label])
    secondary = classes.multi_hot(clips.secondary.tolist())
    targets = np.where(primary, 1.0, settings.secondary_target * secondary)
    weights = np.where(primary, 1.0, np.where(secondary, settings.secondary_weight, settings.absent_weight))
    return CropTable(tuple(clips.filename), targets.astype(np.float32), weights.astype(np.float32))


def soundscape_table(windows: pd.DataFrame, classes: ClassList, seconds: int) -> CropTable:
    """One row a place in a soundscape where a crop of so many seconds may start, if anything is known of it.

    A class is present if a covered window is labelled with it, and absent only if every covered window is labelled.
    """
    if seconds % WINDOW_S or not 0 < seconds <= SOUNDSCAPE_S:
        raise BadInput(
            "crops of labelled soundscapes",
            expected=f"a multiple of {WINDOW_S} s, up to {SOUNDSCAPE_S} s",
            got=f"{seconds} s",
            do="change the crop's seconds",
        )
    covered = seconds // WINDOW_S
    items, starts_s, targets, weights = [], [], [np.zeros((0, len(classes)), bool)], [np.zeros((0, len(classes)))]
    for stem, rows in windows.groupby("stem", sort=True):
        at = rows.end_s.to_numpy() // WINDOW_S - 1
        present = np.zeros((WINDOWS_PER_SOUNDSCAPE, len(classes)), dtype=bool)
        labelled = np.zeros(WINDOWS_PER_SOUNDSCAPE, dtype=bool)
        present[at], labelled[at] = classes.multi_hot(rows.labels.tolist()), True
        union = np.lib.stride_tricks.sliding_window_view(present, covered, axis=0).any(axis=-1)
        complete = np.lib.stride_tricks.sliding_window_view(labelled, covered).all(axis=-1)
        known = union | complete[:, None]
        useful = np.flatnonzero(known.any(axis=1))
        items += [stem] * len(useful)
        starts_s.append(WINDOW_S * useful)
        targets.append(union[useful])
        weights.append(known[useful])
    starts = np.concatenate(starts_s) if starts_s else np.zeros(0, dtype=int)
    return CropTable(
        tuple(items), np.concatenate(targets).astype(np.float32), np.concatenate(weights).astype(np.float32), starts
    )


def soundscape_stems(competition: Path) -> list[str]:
    """The stems of all soundscapes of the training data, labelled or not."""
    return sorted(path.stem for path in (competition / "train_soundscapes").glob("*.ogg"))


def ineligible_soundscapes(
    prepared: Prepared, stems: Sequence[str], held_out: int | None, external: Collection[str] = ()
) -> dict[str, str]:
    """The soundscapes that may not be heard as unlabelled while this fold is held out, each with why.

    `external` are those that are not the contest's: their names tell neither site nor day, for they have none of its.
    """
    kinds = ("clip", "soundscape")
    held = [item for kind in kinds for item, fold in prepared.folds.of(kind).items() if fold == held_out]
    days = {parse_soundscape(item).group for item in held if "/" not in item}
    cluster = prepared.related
    related = {cluster[item] for item in held if item in cluster}
    labelled, bad = set(prepared.windows.stem), excluded_items(prepared.qa, "soundscape")
    days_of = {stem: parse_soundscape(stem).group for stem in set(stems) - set(external)}
    reasons = {
        "labelled": lambda stem: stem in labelled,
        "excluded": lambda stem: stem in bad,
        "of a day and site that are held out": lambda stem: days_of.get(stem) in days,
        "related to what is held out": lambda stem: cluster.get(stem) in related,
    }
    found = {stem: next((why for why, holds in reasons.items() if holds(stem)), None) for stem in stems}
    return {stem: why for stem, why in found.items() if why}


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops of audio with their targets; all tensors have one row an example."""

    audio: torch.Tensor  # (batch, samples) float32
    targets: torch.Tensor  # (batch, classes) float32 in [0, 1]
    weights: torch.Tensor  # (batch, classes) float32; 0: unknown, does not count
    soundscape: torch.Tensor  # (batch,) bool: cut from a soundscape, and unmixed
    taught: torch.Tensor | None = None  # (batch,) bool: the targets are a teacher's; None: nobody's are
    background: torch.Tensor | None = None  # (batch, samples) float32 unlabelled soundscape to lay under the audio

    def to(self, device: torch.device | str, non_blocking: bool = True) -> "Batch":
        """The batch on a device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pinned(self) -> "Batch":
        """The batch in memory that a GPU copies from while it computes."""
        return self._with(torch.Tensor.pin_memory)

    def _with(self, change) -> "Batch":
        present = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(tensor) for name, tensor in present.items() if tensor is not None})


def batch_generator(seed: int, number: int, device: torch.device | str) -> torch.Generator:
    """The random numbers of batch `number` of a run, the same whenever and in whatever order batches are made."""
    state = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))  # torch takes 63 bits and a sign
