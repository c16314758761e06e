"""What heads learn from: an embedder's tokens of labelled soundscapes and of clips, with what is true of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lib.competition.folds import assign
from lib.competition.prepared import Prepared
from lib.competition.row_ids import WINDOW_S, WINDOWS_PER_SOUNDSCAPE, parse_soundscape
from lib.learn.baseline.crossfit import clip_targets
from lib.models.member.head import site_number

Tokens = Mapping[str, np.ndarray]  # name, as in lib.models.embedder.base.Embeddings.named -> (rows, width) float32


@dataclass(frozen=True, eq=False)
class Sequences:
    """Labelled soundscapes, whole: twelve windows each."""

    stems: tuple[str, ...]
    tokens: dict[str, np.ndarray]  # name -> (files, 12, width) float32
    truth: np.ndarray  # (files, 12, classes) bool, False where unknown too
    known: np.ndarray  # (files, 12) bool: labelled windows
    sites: np.ndarray  # (files,) int64: 0 unknown, from 1 in the order of `Lesson.site_names`
    hours: np.ndarray  # (files,) int64: 0 to 23, UTC

    def __len__(self) -> int:
        """The number of files."""
        return len(self.stems)

    @property
    def groups(self) -> tuple[str, ...]:
        """The recording group of each file, which no split may divide."""
        return tuple(parse_soundscape(stem).group for stem in self.stems)

    def only(self, files: np.ndarray) -> "Sequences":
        """The files of a mask or of indices."""
        stems = tuple(np.array(self.stems, dtype=object)[files])
        tokens = {name: values[files] for name, values in self.tokens.items()}
        return Sequences(stems, tokens, self.truth[files], self.known[files], self.sites[files], self.hours[files])

    def ordered(self, order: np.ndarray) -> "Sequences":
        """The same files with their windows in another (12,) order."""
        tokens = {name: values[:, order] for name, values in self.tokens.items()}
        return replace(self, tokens=tokens, truth=self.truth[:, order], known=self.known[:, order])

    def windows(self, name: str) -> np.ndarray:
        """(known windows, width) one token of the labelled windows, a file after the other."""
        return self.tokens[name][self.known]


@dataclass(frozen=True, eq=False)
class ClipTokens:
    """Clips: one or more windows each."""

    names: tuple[str, ...]  # of the clips
    tokens: dict[str, np.ndarray]  # name -> (rows, width) float32
    truth: np.ndarray  # (rows, classes) bool: the primary label
    cells: np.ndarray  # (rows, classes) float32 weights: 1, and 0 where a secondary label may be silent
    clip_of_row: np.ndarray  # (rows,) int64, into `names`

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.clip_of_row)

    def only(self, clips: np.ndarray) -> "ClipTokens":
        """The clips of a (clips,) mask."""
        rows = clips[self.clip_of_row]
        names = tuple(np.array(self.names, dtype=object)[clips])
        tokens = {name: values[rows] for name, values in self.tokens.items()}
        numbers = np.cumsum(clips) - 1
        return ClipTokens(names, tokens, self.truth[rows], self.cells[rows], numbers[self.clip_of_row[rows]])


@dataclass(frozen=True, eq=False)
class HeadData:
    """Everything that there is to learn from; a fold's model is taught `only` a part of it."""

    sequences: Sequences
    clips: ClipTokens
    site_names: tuple[str, ...]

    def only(self, soundscapes: np.ndarray, clips: np.ndarray) -> "HeadData":
        """The part of a (files,) mask of soundscapes and a (clips,) mask of clips."""
        return HeadData(self.sequences.only(soundscapes), self.clips.only(clips), self.site_names)


def load_head_data(prepared: Prepared, tokens_of: Callable[[str], Tokens], names: Iterable[str]) -> HeadData:
    """The named tokens of all labelled soundscapes and all clips; `tokens_of` gives an item's, such as a cache's."""
    names = tuple(names)
    return HeadData(_sequences(prepared, tokens_of, names), _clips(prepared, tokens_of, names), site_names(prepared))


def site_names(prepared: Prepared) -> tuple[str, ...]:
    """The sites of the labelled soundscapes, in order: the first has the number 1."""
    return tuple(sorted(set(prepared.windows.site)))


def _sequences(prepared: Prepared, tokens_of: Callable[[str], Tokens], names: tuple[str, ...]) -> Sequences:
    """Whole soundscapes; a window that nobody labelled is not known."""
    stems = tuple(sorted(set(prepared.windows.stem)))
    row = {stem: n for n, stem in enumerate(stems)}
    files = prepared.windows.stem.map(row).to_numpy()
    ends = prepared.windows.end_s.to_numpy() // WINDOW_S - 1
    labels = prepared.labels.values
    truth = np.zeros((len(stems), WINDOWS_PER_SOUNDSCAPE, labels.shape[1]), dtype=bool)
    known = np.zeros(truth.shape[:2], dtype=bool)
    truth[files, ends], known[files, ends] = labels, True
    soundscapes = [parse_soundscape(stem) for stem in stems]
    sites, heard = site_names(prepared), [tokens_of(stem) for stem in stems]
    return Sequences(
        stems,
        {name: np.stack([of[name] for of in heard]) for name in names},
        truth,
        known,
        np.array([site_number(soundscape.site, sites) for soundscape in soundscapes], dtype=np.int64),
        np.array([soundscape.hour for soundscape in soundscapes], dtype=np.int64),
    )


def _clips(prepared: Prepared, tokens_of: Callable[[str], Tokens], names: tuple[str, ...]) -> ClipTokens:
    """All windows of all clips."""
    clips = prepared.clips.reset_index(drop=True)
    primary, cells = clip_targets(prepared, clips, 1.0)
    heard = [tokens_of(name) for name in clips.filename]
    clip_of_row = np.repeat(np.arange(len(clips)), [len(of[names[0]]) for of in heard])
    return ClipTokens(
        tuple(clips.filename),
        {name: np.concatenate([of[name] for of in heard]) for name in names},
        primary[clip_of_row],
        cells[clip_of_row].astype(np.float32),
        clip_of_row,
    )


JUDGING_FOLDS = 6  # one of them judges epochs, much as 15 % of the files do in the public chain


def inner_folds(sequences: Sequences, n_folds: int) -> np.ndarray:
    """(files,) fold numbers, from 0; fewer folds where there are fewer recording groups, and one for a single group."""
    groups = list(sequences.groups)
    n_folds = min(n_folds, len(set(groups)))
    labels = (sequences.truth & sequences.known[..., None]).any(axis=1)
    return assign(groups, labels, n_folds=n_folds, seed=0)


def held_out(sequences: Sequences, n_folds: int, seed: int) -> np.ndarray:
    """(files,) the mask of the fold that judges, another for each next seed; of nothing where there is one group."""
    folds = inner_folds(sequences, n_folds)
    last = folds.max(initial=0)
    return (folds == seed % (last + 1)) & (last > 0)
