"""Training examples of a fold: the crops its network may train on, their targets, and the weights of these."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.competition.classes import ClassList
from lib.competition.prepared import Prepared
from lib.competition.qa import excluded_items
from lib.competition.row_ids import SOUNDSCAPE_S, WINDOW_S, WINDOWS_PER_SOUNDSCAPE, parse_soundscape
from lib.competition.sound_files import soundscape_files
from lib.core.errors import BadInput
from lib.learn.network.settings import TargetSettings


@dataclass(frozen=True, eq=False)
class CropTable:
    """Crops to draw from: the item of each, its targets and weights (rows, classes), and where it starts."""

    items: tuple[str, ...]
    targets: np.ndarray  # soft where a teacher made them
    weights: np.ndarray
    starts_s: np.ndarray | None = None  # (rows,) the second of a soundscape at which the crop starts; None: a clip
    passed_gate: np.ndarray | None = None  # (rows, classes) classes above the gate; None: the targets are people's

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.items)


@dataclass(frozen=True, eq=False)
class Examples:
    """All that one network trains on."""

    clips: CropTable
    primary: np.ndarray  # (clips,) the class of each clip
    soundscapes: CropTable
    backgrounds: tuple[str, ...]  # unlabelled soundscapes
    pseudo: CropTable | None = None  # crops with a teacher's targets

    @property
    def items(self) -> list[str]:
        """All clips and soundscapes, each once: what the cache must hold."""
        pseudo = self.pseudo.items if self.pseudo else ()
        return list(dict.fromkeys([*self.clips.items, *self.soundscapes.items, *self.backgrounds, *pseudo]))


def fold_examples(
    prepared: Prepared, stems: Sequence[str], held_out: int | None, targets: TargetSettings, seconds: int
) -> Examples:
    """The examples for the network of the fold `held_out`, or, if None, for the network of the full data.

    `stems` are all soundscapes there are: those without labels become backgrounds, unless a held-out recording shares
    their site and day or is related to them.
    """
    clips = prepared.clips[prepared.clips.filename.map(prepared.folds.of("clip")) != held_out]
    windows = prepared.windows[prepared.windows.stem.map(prepared.folds.of("soundscape")) != held_out]
    ineligible = ineligible_soundscapes(prepared, stems, held_out)
    return Examples(
        clip_table(clips, prepared.classes, targets),
        clips.primary_label.map(prepared.classes.index).to_numpy(dtype=int),
        soundscape_table(windows, prepared.classes, seconds),
        tuple(stem for stem in stems if stem not in ineligible),
    )


def clip_table(clips: pd.DataFrame, classes: ClassList, settings: TargetSettings) -> CropTable:
    """A table of one row a clip: its primary class is 1, secondary and absent classes are as set."""
    primary = classes.multi_hot([(label,) for label in clips.primary_label])
    secondary = classes.multi_hot(clips.secondary.tolist())
    targets = np.where(primary, 1.0, settings.secondary_target * secondary)
    weights = np.where(primary, 1.0, np.where(secondary, settings.secondary_weight, settings.absent_weight))
    return CropTable(tuple(clips.filename), targets.astype(np.float32), weights.astype(np.float32))


def soundscape_table(windows: pd.DataFrame, classes: ClassList, seconds: int) -> CropTable:
    """A table of one row a window in a soundscape at which a crop of so many seconds may start, if anything is known.

    A class is present if a covered window is labelled with it, and absent only if every covered window is labelled.
    """
    if seconds % WINDOW_S or not 0 < seconds <= SOUNDSCAPE_S:
        raise BadInput(
            "crops of labelled soundscapes",
            expected=f"a multiple of {WINDOW_S} s, up to {SOUNDSCAPE_S} s",
            got=f"{seconds} s",
            do="set seconds to 5, 10 or 20",
        )
    items: list[str] = []
    starts_s, targets, weights = [np.zeros(0, int)], [np.zeros((0, len(classes)))], [np.zeros((0, len(classes)))]
    for stem, rows in windows.groupby("stem", sort=True):
        union, known = _union_of_windows(rows, classes, seconds // WINDOW_S)
        useful = np.flatnonzero(known.any(axis=1))
        items += [str(stem)] * len(useful)
        starts_s.append(WINDOW_S * useful)
        targets.append(union[useful])
        weights.append(known[useful])
    return CropTable(
        tuple(items),
        np.concatenate(targets).astype(np.float32),
        np.concatenate(weights).astype(np.float32),
        np.concatenate(starts_s),
    )


def _union_of_windows(rows: pd.DataFrame, classes: ClassList, covered: int) -> tuple[np.ndarray, np.ndarray]:
    """(starts, classes) which classes are present in as many windows of a soundscape from each start, and are known."""
    at = rows.end_s.to_numpy() // WINDOW_S - 1
    present = np.zeros((WINDOWS_PER_SOUNDSCAPE, len(classes)), dtype=bool)
    labelled = np.zeros(WINDOWS_PER_SOUNDSCAPE, dtype=bool)
    present[at], labelled[at] = classes.multi_hot(rows.labels.tolist()), True
    views = np.lib.stride_tricks.sliding_window_view
    union = np.logical_or.reduce(views(present, covered, axis=0), axis=-1)
    complete = np.logical_and.reduce(views(labelled, covered), axis=-1)
    return union, union | complete[:, None]


def soundscape_stems(competition: Path) -> list[str]:
    """The stems of all soundscapes of the training data, labelled or not."""
    return [path.stem for path in soundscape_files(competition, "train")]


def ineligible_soundscapes(
    prepared: Prepared, stems: Sequence[str], held_out: int | None, external: Collection[str] = ()
) -> dict[str, str]:
    """Soundscapes barred as background or pseudo-label source for this fold, with reasons.

    `external` are those that are not the contest's: their names give neither site nor day.
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
    pseudo: torch.Tensor | None = None  # (batch,) bool: the targets are a teacher's; None: no row's are
    background: torch.Tensor | None = None  # (batch, samples) float32 unlabelled soundscape to lay under the audio

    def to(self, device: torch.device | str, non_blocking: bool = True) -> "Batch":
        """The batch on a device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pinned(self) -> "Batch":
        """The batch in memory that a GPU copies from while it computes."""
        return self._with(torch.Tensor.pin_memory)

    def _with(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Batch":
        present = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(tensor) for name, tensor in present.items() if tensor is not None})


def batch_generator(seed: int, number: int, device: torch.device | str) -> torch.Generator:
    """The random numbers of batch `number` of a run, the same whenever and in whatever order batches are made."""
    state = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))  # torch takes 63 bits and a sign
