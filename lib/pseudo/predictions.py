"""What teachers say of soundscapes, fold by fold: heard by the engine, kept on disk by member and chunk.

A file is named by the member's manifest and by the chunk's soundscapes, and appears when it is whole: a run that was
killed goes on where it stopped, and what a member said once it is never asked again, whoever it teaches with.
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

CHUNK = 200  # soundscapes between two times that something is kept
_BYTES = np.dtype(np.float16).itemsize


@dataclass(frozen=True)
class Teacher:
    """A member that is asked fold by fold."""

    name: str
    folder: Path
    manifest: str


@dataclass(frozen=True)
class TeacherPredictions:
    """Where the teachers' words lie, chunk by chunk; a soundscape that cannot be decoded has NaN for words."""

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
        """The file (folds, soundscapes, 12, classes) of what a teacher says of a chunk, in half precision."""
        return self.cache / f"{teacher.manifest}-{chunk}.npy"

    def of(self, teacher: Teacher, fold: int) -> np.ndarray:
        """(soundscapes, 12, classes) float16 what the teacher's model of that fold says."""
        files = [self.path(teacher, chunk) for chunk in self.chunks]
        return np.concatenate([np.load(file, mmap_mode="r")[self.folds.index(fold)] for file in files])

    def megabytes(self, soundscapes: int, teachers: int = 1) -> float:
        """What the words of so many teachers about so many soundscapes take, for all folds."""
        cells = soundscapes * WINDOWS_PER_SOUNDSCAPE * len(self.classes) * len(self.folds)
        return teachers * cells * _BYTES / 1e6

    def complete(self, teachers: Sequence[Teacher]) -> None:
        """Hear what nobody was asked about yet."""
        with exclusive_folder(self.cache):
            missing = {chunk: who for chunk in self.chunks if (who := self._silent(teachers, chunk))}
            wanted = dict.fromkeys(teacher for who in missing.values() for teacher in who)
            members = {teacher: open_member(teacher.folder, self.classes) for teacher in wanted}
            self._refuse_deaf(members)
            opened = {teacher: _by_fold(member, self.folds) for teacher, member in members.items()}
            work = self._kept(missing, opened)
            for _ in progress(work, f"labelling, {CHUNK} soundscapes at a time", len(missing)):
                pass

    def lacking_mb(self, teachers: Sequence[Teacher]) -> float:
        """What is still to be heard will take."""
        return sum(
            self.megabytes(len(files), len(self._silent(teachers, chunk))) for chunk, files in self.chunks.items()
        )

    def _refuse_deaf(self, members: Mapping[Teacher, Member]) -> None:
        """Refuse members that need a name where there are soundscapes without one: they come last, hours later."""
        nameless = [file.name for file in self.soundscapes if is_external(file.stem)]
        if nameless and (deaf := [teacher.name for teacher, member in members.items() if member.needs_name]):
            raise BadInput(
                f"{shorten(deaf)} cannot hear external recordings",
                expected="names that tell where and when",
                got=shorten(nameless, 3),
                do="let others teach, or leave the recordings out",
            )

    def _silent(self, teachers: Sequence[Teacher], chunk: str) -> list[Teacher]:
        return [teacher for teacher in teachers if not self.path(teacher, chunk).is_file()]

    def _kept(
        self, missing: Mapping[str, list[Teacher]], opened: Mapping[Teacher, dict[int, Member]]
    ) -> Iterator[None]:
        """Once for each chunk, when it was heard and what was said of it is kept."""
        for chunk, who in missing.items():
            asked = {_name(teacher, fold): one for teacher in who for fold, one in opened[teacher].items()}
            tables = _tables(self.chunks[chunk], asked, self.classes)
            for teacher in who:
                words = np.stack([tables[_name(teacher, fold)] for fold in self.folds])
                part = self.cache / "chunk.part"
                with part.open("wb") as file:
                    np.save(file, words)
                os.replace(part, self.path(teacher, chunk))
            yield


class _Unhurried(Clock):
    """A clock by which it is never too late: labels have no deadline."""

    @property
    def minutes_left(self) -> float:
        """How long one soundscape may take."""
        return GUARD_MINUTES


def is_external(stem: str) -> bool:
    """Whether a soundscape is not the contest's: its name tells neither site nor hour."""
    return soundscape_named(stem) is None


def why_unreadable(soundscape: Path) -> str:
    """Why a soundscape cannot be decoded; nothing where it can."""
    try:
        decode(soundscape)
    except Exception as error:  # whatever a file makes a reader do, it costs its own labels at most
        return f"{error}"
    return ""


def _by_fold(member: Member, folds: Sequence[int]) -> dict[int, Member]:
    """The models of a member, as members of their own."""
    return {fold: Member(member.card, member.needs_audio, member.for_fold(fold)) for fold in folds}


def _name(teacher: Teacher, fold: int) -> str:
    return f"{teacher.name}@{fold}"


def _tables(chunk: Sequence[Path], members: Mapping[str, Member], classes: ClassList) -> dict[str, np.ndarray]:
    """(soundscapes, 12, classes) float16 by member, NaN where a soundscape cannot be decoded. Nobody is left out."""
    rows = [row for file in chunk for row in row_ids(file.stem)]
    nothing = Scores(np.zeros((len(rows), len(classes))), rows, classes.labels, "prob")
    ingredients = [RecipeMember(name, "", 0.0) for name in members]
    heard = score_soundscapes(chunk, members, ingredients, nothing, _Unhurried())
    stems = {row.rpartition("_")[0] for row in next(iter(heard.member_scores.values())).row_ids}
    inside = np.array([file.stem in stems for file in chunk])
    unheard = [file for file, known in zip(chunk, inside, strict=True) if not known]
    if faulty := [file for file in unheard if not why_unreadable(file)]:
        raise BadInput(
            "a teacher cannot say what it hears",
            expected="chances for all that can be decoded",
            got=f"none for {shorten(file.stem for file in faulty)}; {'; '.join(heard.alarms)}",
            do="mend that member, or let others teach",
        )
    tables = {name: np.full((len(chunk), WINDOWS_PER_SOUNDSCAPE, len(classes)), np.nan, np.float16) for name in members}
    for name, table in tables.items():
        table[inside] = heard.member_scores[name].values.reshape(-1, *table.shape[1:])
    return tables
