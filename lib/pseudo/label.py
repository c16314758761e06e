"""Labelling: teachers hear soundscapes, fold by fold, and what they say becomes a folder of soft labels."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lib.competition.prepared import Prepared
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.records import from_json, read_json
from lib.judge.leakage import Training
from lib.learn.soft_labels.store import SoftLabels, SoftLabelsCard, save_soft_labels
from lib.models.member.card import read_card
from lib.pseudo.predictions import Teacher, TeacherPredictions, is_external, why_unreadable
from lib.pseudo.teachers import TeacherBlend


def label(
    teaching: TeacherBlend,
    members: Mapping[str, Path],
    soundscapes: Iterable[Path],
    prepared: Prepared,
    folder: Path,
    cache: Path,
) -> Path:
    """The folder, in which there are then labels of all these soundscapes that can be decoded.

    `members` says where the teachers lie. What each says is kept in `cache`: an interrupted run goes on.
    """
    folds, teachers = prepared.folds, _teachers(teaching, members, prepared)
    cache.mkdir(parents=True, exist_ok=True)
    said = TeacherPredictions(cache, _in_order(soundscapes), tuple(folds.numbers), prepared.classes)
    _announce(said, teachers)
    said.complete(teachers)
    heard = ~np.isnan(np.concatenate([said.of(teacher, folds.numbers[0])[:, :1, :1] for teacher in teachers], axis=1))
    heard = heard.all(axis=(1, 2))
    for file in (file for file, known in zip(said.soundscapes, heard, strict=True) if not known):
        print(f"ALARM: left out of the labels: {why_unreadable(file)}", flush=True)
    stems = [file.stem for file, known in zip(said.soundscapes, heard, strict=True) if known]
    by_fold = {fold: _mixed(teaching, said, teachers, fold, heard, stems) for fold in folds.numbers}
    card = SoftLabelsCard(
        name=folder.name,
        class_hash=prepared.classes.hash,
        fold_version=folds.version,
        teachers={teacher.name: teacher.manifest for teacher in teachers},
        mixed=teaching.described(),
        stems=stems,
        folds=folds.numbers,
        external=[stem for stem in stems if is_external(stem)],
    )
    save_soft_labels(folder, card, by_fold)
    return folder


def _teachers(teaching: TeacherBlend, members: Mapping[str, Path], prepared: Prepared) -> list[Teacher]:
    """The teachers, if they are there, undamaged, of these classes and folds, and those that a recipe was made with."""
    if absent := [name for name in teaching.members if name not in members]:
        raise BadInput(
            "teachers are not there",
            expected=", ".join(teaching.members),
            got=f"no {', '.join(absent)}; there are {shorten(sorted(members)) or 'none'}",
            do="attach the outputs they are in, or name others",
        )
    for fold in prepared.folds.numbers if teaching.recipe else ():
        teaching.recipe.for_fold(fold)  # a recipe that may not teach should say so before anybody listens
    teachers = []
    for name in teaching.members:
        read_card(members[name], prepared.classes)
        training = from_json(Training, read_json(members[name] / "training.json"), f"{name}/training.json")
        manifest = fingerprint.of_file(members[name] / "manifest.json")
        if training.fold_version != prepared.folds.version:
            raise BadInput(
                f"{name} was fitted on other folds, so it cannot teach fold by fold",
                expected=f"fold version {prepared.folds.version}",
                got=training.fold_version,
                do="fit it again on the frozen folds",
            )
        if teaching.made_with(name) not in (None, manifest):
            raise BadInput(
                f"{name} is not the one of the recipe that teaches",
                expected=f"manifest {teaching.made_with(name)}",
                got=manifest,
                do="run 05 again after changing a member",
            )
        teachers.append(Teacher(name, members[name], manifest))
    return teachers


def _in_order(soundscapes: Iterable[Path]) -> tuple[Path, ...]:
    """The files, the contest's first, so that others beside them do not shift the chunks of what was heard before."""
    files = sorted(soundscapes, key=lambda file: (is_external(file.stem), file.stem))
    stems = [file.stem for file in files]
    if not files or len(set(stems)) < len(stems):
        raise BadInput(
            "soundscapes to be labelled",
            expected="some, each once",
            got=shorten(stem for stem in set(stems) if stems.count(stem) > 1) or "none",
            do="name each file once",
        )
    return tuple(files)


def _announce(said: TeacherPredictions, teachers: Sequence[Teacher]) -> None:
    """Say what will be heard and stored, and refuse to begin where the disk is too small for it."""
    count = len(said.soundscapes)
    all_mb, lacking_mb, labels_mb = (
        said.megabytes(count, len(teachers)),
        said.lacking_mb(teachers),
        said.megabytes(count),
    )
    print(
        f"{count} soundscapes, by {len(said.folds)} models each of {', '.join(each.name for each in teachers)}: "
        f"{all_mb:.1f} MB of their words ({all_mb - lacking_mb:.1f} MB are there), {labels_mb:.1f} MB of labels",
        flush=True,
    )
    free_mb = shutil.disk_usage(said.cache).free / 1e6
    if lacking_mb + labels_mb > free_mb:
        raise BadInput(
            "the disk is too small for the labels",
            expected=f"{lacking_mb + labels_mb:.0f} MB free",
            got=f"{free_mb:.0f} MB",
            do="free some, or label fewer soundscapes",
        )


def _mixed(
    teaching: TeacherBlend,
    said: TeacherPredictions,
    teachers: Sequence[Teacher],
    fold: int,
    heard: np.ndarray,
    stems: list[str],
) -> np.ndarray:
    """(stems, 12, classes) float16 chances for students of this fold."""
    rows, labels = [row for stem in stems for row in row_ids(stem)], said.classes.labels
    parts = {
        teacher.name: Scores(said.of(teacher, fold)[heard].reshape(len(rows), len(labels)), rows, labels, "prob")
        for teacher in teachers
    }
    chances, alarms = teaching.mixed(fold, parts)
    for alarm in alarms:
        print(f"fold {fold}: {alarm}", flush=True)
    return chances.reshape(len(stems), -1, len(labels)).astype(np.float16)


def mixed_labels(first: SoftLabels, last: SoftLabels, share: float, folder: Path) -> Path:
    """The folder, in which the second labels have that share of every chance; both must be of the same soundscapes."""
    ours, theirs = first.card, last.card
    for what in ("class_hash", "fold_version", "stems", "folds"):
        if getattr(ours, what) != getattr(theirs, what):
            raise BadInput(
                f"labels of other {what} cannot be mixed",
                expected=f"as in {ours.name}",
                got=theirs.name,
                do="label the same soundscapes again with both",
            )
    by_fold = {
        fold: (1 - share) * first.of_fold(fold).astype(np.float32) + share * last.of_fold(fold).astype(np.float32)
        for fold in ours.folds
    }
    card = SoftLabelsCard(
        name=folder.name,
        class_hash=ours.class_hash,
        fold_version=ours.fold_version,
        teachers=ours.teachers | theirs.teachers,
        mixed={"labels": {ours.name: 1 - share, theirs.name: share}, "made by": [first.manifest, last.manifest]},
        stems=ours.stems,
        folds=ours.folds,
        external=ours.external,
    )
    save_soft_labels(folder, card, by_fold)
    return folder
