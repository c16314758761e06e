"""Training data of heads: an embedder's output for labelled soundscapes and clips, with their labels."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lib.competition.folds import assign_folds
from lib.competition.prepared import Prepared, clip_targets
from lib.competition.row_ids import WINDOW_S, WINDOWS_PER_SOUNDSCAPE, parse_soundscape
from lib.models.member.head import site_number

# (rows, width) float32 arrays by name, as lib.models.embedder.base.Embeddings.by_name has them
NamedEmbeddings = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Labelled soundscapes, whole: twelve windows each."""

    stems: tuple[str, ...]
    embeddings: dict[str, np.ndarray]  # name -> (files, 12, width) float32
    truth: np.ndarray  # (files, 12, classes) bool, False where unknown too
    known: np.ndarray  # (files, 12) bool: labelled windows
    sites: np.ndarray  # (files,) int64: 0 unknown, from 1 in the order of `HeadData.site_names`
    hours: np.ndarray  # (files,) int64: 0 to 23, UTC

    def __len__(self) -> int:
        """The number of files."""
        return len(self.stems)

    @property
    def groups(self) -> tuple[str, ...]:
        """The recording group of each file, which no split may divide."""
        return tuple(parse_soundscape(stem).group for stem in self.stems)

    def subset(self, files: np.ndarray) -> "Sequences":
        """The files of a mask or of indices."""
        stems = tuple(np.array(self.stems, dtype=object)[files])
        embeddings = {name: values[files] for name, values in self.embeddings.items()}
        return Sequences(stems, embeddings, self.truth[files], self.known[files], self.sites[files], self.hours[files])

    def reorder(self, order: np.ndarray) -> "Sequences":
        """The same files with their windows in another (12,) order."""
        embeddings = {name: values[:, order] for name, values in self.embeddings.items()}
        return replace(self, embeddings=embeddings, truth=self.truth[:, order], known=self.known[:, order])

    def windows(self, name: str) -> np.ndarray:
        """(known windows, width) the named embedding of the labelled windows, file by file."""
        return self.embeddings[name][self.known]


@dataclass(frozen=True, eq=False)
class ClipEmbeddings:
    """Clips: one or more windows each."""

    names: tuple[str, ...]  # of the clips
    embeddings: dict[str, np.ndarray]  # name -> (rows, width) float32
    truth: np.ndarray  # (rows, classes) bool: the primary label
    cells: (
        np.ndarray
    )  # (rows, classes) float32 weights: 1, and 0 for secondary labels, which may be silent in this window
    clip_of_row: np.ndarray  # (rows,) int64, into `names`

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.clip_of_row)

    def subset(self, clips: np.ndarray) -> "ClipEmbeddings":
        """The clips of a (clips,) mask."""
        rows = clips[self.clip_of_row]
        names = tuple(np.array(self.names, dtype=object)[clips])
        embeddings = {name: values[rows] for name, values in self.embeddings.items()}
        numbers = np.cumsum(clips) - 1
        return ClipEmbeddings(names, embeddings, self.truth[rows], self.cells[rows], numbers[self.clip_of_row[rows]])


@dataclass(frozen=True, eq=False)
class HeadData:
    """All training data of heads; a fold's head is fitted on a `subset`."""

    sequences: Sequences
    clips: ClipEmbeddings
    site_names: tuple[str, ...]

    def subset(self, soundscapes: np.ndarray, clips: np.ndarray) -> "HeadData":
        """The part of a (files,) mask of soundscapes and a (clips,) mask of clips."""
        return HeadData(self.sequences.subset(soundscapes), self.clips.subset(clips), self.site_names)


def load_head_data(
    prepared: Prepared, embeddings_of: Callable[[str], NamedEmbeddings], names: Iterable[str]
) -> HeadData:
    """Load the named embeddings of all labelled soundscapes and clips; `embeddings_of` returns those of an item."""
    names = tuple(names)
    return HeadData(
        _sequences(prepared, embeddings_of, names), _clips(prepared, embeddings_of, names), site_names(prepared)
    )


def site_names(prepared: Prepared) -> tuple[str, ...]:
    """The sites of the labelled soundscapes, in order: the first has the number 1."""
    return tuple(sorted(set(prepared.windows.site)))


def _sequences(
    prepared: Prepared, embeddings_of: Callable[[str], NamedEmbeddings], names: tuple[str, ...]
) -> Sequences:
    """Stack the embeddings of whole soundscapes; a window without labels is not known."""
    stems = tuple(sorted(set(prepared.windows.stem)))
    row = {stem: n for n, stem in enumerate(stems)}
    files = prepared.windows.stem.map(row).to_numpy()
    ends = prepared.windows.end_s.to_numpy() // WINDOW_S - 1
    labels = prepared.labels.values
    truth = np.zeros((len(stems), WINDOWS_PER_SOUNDSCAPE, labels.shape[1]), dtype=bool)
    known = np.zeros(truth.shape[:2], dtype=bool)
    truth[files, ends], known[files, ends] = labels, True
    soundscapes = [parse_soundscape(stem) for stem in stems]
    sites, found = site_names(prepared), [embeddings_of(stem) for stem in stems]
    return Sequences(
        stems,
        {name: np.stack([one[name] for one in found]) for name in names},
        truth,
        known,
        np.array([site_number(soundscape.site, sites) for soundscape in soundscapes], dtype=np.int64),
        np.array([soundscape.hour for soundscape in soundscapes], dtype=np.int64),
    )


def _clips(
    prepared: Prepared, embeddings_of: Callable[[str], NamedEmbeddings], names: tuple[str, ...]
) -> ClipEmbeddings:
    """All windows of all clips."""
    clips = prepared.clips.reset_index(drop=True)
    primary, cells = clip_targets(prepared, clips, 1.0)
    found = [embeddings_of(name) for name in clips.filename]
    clip_of_row = np.repeat(np.arange(len(clips)), [len(one[names[0]]) for one in found])
    return ClipEmbeddings(
        tuple(clips.filename),
        {name: np.concatenate([one[name] for one in found]) for name in names},
        primary[clip_of_row],
        cells[clip_of_row].astype(np.float32),
        clip_of_row,
    )


VALIDATION_FOLDS = 6  # one of them validates epochs, much as 15 % of the files do in the public chain


def inner_folds(sequences: Sequences, n_folds: int) -> np.ndarray:
    """(files,) fold numbers, from 0; fewer folds where there are fewer recording groups, and one for a single group."""
    groups = list(sequences.groups)
    n_folds = min(n_folds, len(set(groups)))
    labels = (sequences.truth & sequences.known[..., None]).any(axis=1)
    return assign_folds(groups, labels, n_folds=n_folds, seed=0)


def validation_mask(sequences: Sequences, n_folds: int, seed: int) -> np.ndarray:
    """(files,) mask of the validation fold, another one for each next seed; empty where there is one group."""
    folds = inner_folds(sequences, n_folds)
    last = folds.max(initial=0)
    return (folds == seed % (last + 1)) & (last > 0)
