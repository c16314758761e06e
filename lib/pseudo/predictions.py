"""Cache of teachers' predictions, fold by fold: made by the engine, kept on disk by member and chunk.

A file is named by the member's manifest and by the chunk's soundscapes, and appears when it is whole: a run that was
killed continues where it stopped, and no member predicts a chunk twice, whichever teachers it is blended with.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lib.blend.recipe import RecipeMember
from lib.competition.classes import ClassList
from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE, row_ids, soundscape_named
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.folder_lock import exclusive_folder
from lib.core.progress import progress
from lib.models.member.open import Member, open_member
from lib.sound.decode import decode
from lib.submit.budget import GUARD_MINUTES, Clock
from lib.submit.stream import score_soundscapes

CHUNK = 200  # soundscapes a file
_BYTES = np.dtype(np.float16).itemsize


@dataclass(frozen=True)
class Teacher:
    """A member whose fold models predict soundscapes."""

    name: str
    folder: Path
    manifest: str


@dataclass(frozen=True)
class TeacherPredictions:
    """Cache of teacher predictions, one .npy per teacher and chunk; undecodable soundscapes are NaN."""

    cache: Path
    soundscapes: tuple[Path, ...]
    folds: tuple[int, ...]
    classes: ClassList

    @cached_property
    def chunks(self) -> dict[str, tuple[Path, ...]]:
        """The soundscapes, so many at a time, by the fingerprint of their names and sizes."""
        each = [self.soundscapes[first : first + CHUNK] for first in range(0, len(self.soundscapes), CHUNK)]
        return {fingerprint.of_json([[file.name, file.stat().st_size] for file in chunk]): chunk for chunk in each}

    def path(self, teacher: Teacher, chunk: str) -> Path:
        """The file of a teacher's predictions of a chunk: (folds, soundscapes, 12, classes), in half precision."""
        return self.cache / f"{teacher.manifest}-{chunk}.npy"

    def of(self, teacher: Teacher, fold: int) -> np.ndarray:
        """(soundscapes, 12, classes) float16 probabilities by the teacher's model of that fold."""
        files = [self.path(teacher, chunk) for chunk in self.chunks]
        return np.concatenate([np.load(file, mmap_mode="r")[self.folds.index(fold)] for file in files])

    def megabytes(self, soundscapes: int, teachers: int = 1) -> float:
        """The size of the predictions of so many teachers for so many soundscapes, for all folds."""
        cells = soundscapes * WINDOWS_PER_SOUNDSCAPE * len(self.classes) * len(self.folds)
        return teachers * cells * _BYTES / 1e6

    def complete(self, teachers: Sequence[Teacher]) -> None:
        """Predict what is missing, and keep it."""
        with exclusive_folder(self.cache):
            missing = {chunk: lacking for chunk in self.chunks if (lacking := self._missing_teachers(teachers, chunk))}
            wanted = dict.fromkeys(teacher for lacking in missing.values() for teacher in lacking)
            members = {teacher: open_member(teacher.folder, self.classes) for teacher in wanted}
            self._refuse_nameless(members)
            models = {teacher: _by_fold(member, self.folds) for teacher, member in members.items()}
            work = self._predict_missing(missing, models)
            for _ in progress(work, f"labelling, {CHUNK} soundscapes at a time", len(missing)):
                pass

    def missing_mb(self, teachers: Sequence[Teacher]) -> float:
        """The size of the predictions that are still missing."""
        return sum(
            self.megabytes(len(files), len(self._missing_teachers(teachers, chunk)))
            for chunk, files in self.chunks.items()
        )

    def _refuse_nameless(self, members: Mapping[Teacher, Member]) -> None:
        """Refuse members that need a soundscape's name where some have none: those come last, hours later."""
        nameless = [file.name for file in self.soundscapes if is_external(file.stem)]
        if nameless and (unable := [teacher.name for teacher, member in members.items() if member.needs_name]):
            raise BadInput(
                f"{shorten(unable)} cannot predict external recordings",
                expected="file names with site and hour",
                got=shorten(nameless, 3),
                do="set other teachers, or leave the recordings out",
            )

    def _missing_teachers(self, teachers: Sequence[Teacher], chunk: str) -> list[Teacher]:
        return [teacher for teacher in teachers if not self.path(teacher, chunk).is_file()]

    def _predict_missing(
        self, missing: Mapping[str, list[Teacher]], models: Mapping[Teacher, dict[int, Member]]
    ) -> Iterator[None]:
        """Predict chunk after chunk; yields when one is kept."""
        for chunk, teachers in missing.items():
            by_name = {
                _member_name(teacher, fold): one for teacher in teachers for fold, one in models[teacher].items()
            }
            tables = _predict_chunk(self.chunks[chunk], by_name, self.classes)
            for teacher in teachers:
                predictions = np.stack([tables[_member_name(teacher, fold)] for fold in self.folds])
                part = self.cache / "chunk.part"
                with part.open("wb") as file:
                    np.save(file, predictions)
                os.replace(part, self.path(teacher, chunk))
            yield


class _NoDeadline(Clock):
    """A clock without a deadline: labels need none."""

    @property
    def minutes_left(self) -> float:
        """The minutes that one soundscape may take."""
        return GUARD_MINUTES


def is_external(stem: str) -> bool:
    """True for a soundscape that is not the competition's: its name has neither site nor hour."""
    return soundscape_named(stem) is None


def decode_error(soundscape: Path) -> str:
    """The error when a soundscape is decoded; empty where there is none."""
    try:
        decode(soundscape)
    except Exception as error:  # any error that a file causes costs its own labels at most
        return f"{error}"
    return ""


def _by_fold(member: Member, folds: Sequence[int]) -> dict[int, Member]:
    """The models of a member, as members of their own."""
    if member.for_fold is None:
        raise BadInput(
            f"{member.card.name} has no models by fold",
            expected="one model a fold",
            got=f"a member of family {member.card.family}",
            do="set other teachers",
        )
    return {fold: Member(member.card, member.needs_audio, member.for_fold(fold)) for fold in folds}


def _member_name(teacher: Teacher, fold: int) -> str:
    return f"{teacher.name}@{fold}"


def _predict_chunk(chunk: Sequence[Path], members: Mapping[str, Member], classes: ClassList) -> dict[str, np.ndarray]:
    """(soundscapes, 12, classes) float16 of every member, NaN where a soundscape cannot be decoded."""
    rows = tuple(row for file in chunk for row in row_ids(file.stem))
    fallback = Scores(np.zeros((len(rows), len(classes))), rows, classes.labels, "prob")
    ingredients = [RecipeMember(name, "", 0.0) for name in members]
    scored = score_soundscapes(chunk, members, ingredients, fallback, _NoDeadline())
    stems = {row.rpartition("_")[0] for row in next(iter(scored.member_scores.values())).row_ids}
    inside = np.array([file.stem in stems for file in chunk])
    outside = [file for file, known in zip(chunk, inside, strict=True) if not known]
    if faulty := [file for file in outside if not decode_error(file)]:
        raise BadInput(
            "a teacher fails on a soundscape that can be decoded",
            expected="probabilities for every soundscape that can be decoded",
            got=f"none for {shorten(file.stem for file in faulty)}; {'; '.join(scored.alarms)}",
            do="fix that member, or set other teachers",
        )
    tables = {name: np.full((len(chunk), WINDOWS_PER_SOUNDSCAPE, len(classes)), np.nan, np.float16) for name in members}
    for name, table in tables.items():
        table[inside] = scored.member_scores[name].values.reshape(-1, *table.shape[1:])
    return tables
