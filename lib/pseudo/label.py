"""Labelling: teachers predict soundscapes, fold by fold, and their blend becomes a folder of soft labels."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lib.competition.prepared import Prepared
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores
from lib.core.errors import BadInput, shorten
from lib.core.records import from_json, identity_of, read_json
from lib.judge.leakage import Training
from lib.learn.soft_labels.store import SoftLabels, SoftLabelsCard, save_soft_labels
from lib.models.member.card import read_card
from lib.pseudo.predictions import Teacher, TeacherPredictions, decode_error, is_external
from lib.pseudo.teachers import TeacherBlend


def label(
    blend: TeacherBlend,
    members: Mapping[str, Path],
    soundscapes: Iterable[Path],
    prepared: Prepared,
    folder: Path,
    cache: Path,
) -> Path:
    """Write soft labels of all these soundscapes that can be decoded into the folder, and return it.

    `members` are the teachers' folders by name. Each teacher's predictions are kept in `cache`: an interrupted run
    continues.
    """
    folds, teachers = prepared.folds, _check_teachers(blend, members, prepared)
    cache.mkdir(parents=True, exist_ok=True)
    predictions = TeacherPredictions(cache, _order_soundscapes(soundscapes), tuple(folds.numbers), prepared.classes)
    _announce(predictions, teachers)
    predictions.complete(teachers)
    first_cells = [predictions.of(teacher, folds.numbers[0])[:, :1, :1] for teacher in teachers]
    decoded = ~np.isnan(np.concatenate(first_cells, axis=1)).any(axis=(1, 2))
    for file in (file for file, known in zip(predictions.soundscapes, decoded, strict=True) if not known):
        print(f"ALARM: left out of the labels: {decode_error(file)}", flush=True)
    stems = [file.stem for file, known in zip(predictions.soundscapes, decoded, strict=True) if known]
    by_fold = {fold: _blend_fold(blend, predictions, teachers, fold, decoded, stems) for fold in folds.numbers}
    card = SoftLabelsCard(
        name=folder.name,
        class_hash=prepared.classes.hash,
        fold_version=folds.version,
        teachers={teacher.name: teacher.manifest for teacher in teachers},
        mixed=blend.as_json(),
        stems=stems,
        folds=folds.numbers,
        external=[stem for stem in stems if is_external(stem)],
    )
    save_soft_labels(folder, card, by_fold)
    return folder


def _check_teachers(blend: TeacherBlend, members: Mapping[str, Path], prepared: Prepared) -> list[Teacher]:
    """The teachers; one that is absent, damaged, of other classes or folds, or not the recipe's own, is an error."""
    if absent := [name for name in blend.members if name not in members]:
        raise BadInput(
            "teachers are not there",
            expected=", ".join(blend.members),
            got=f"no {', '.join(absent)}; there are {shorten(sorted(members)) or 'none'}",
            do="attach the outputs they are in, or set teachers to others",
        )
    if blend.recipe:
        for fold in prepared.folds.numbers:
            blend.recipe.for_fold(fold)  # a recipe that cannot label a fold is refused before anything is predicted
    teachers = []
    for name in blend.members:
        read_card(members[name], prepared.classes)
        training = from_json(Training, read_json(members[name] / "training.json"), f"{name}/training.json")
        manifest = identity_of(members[name])
        if training.fold_version != prepared.folds.version:
            raise BadInput(
                f"{name} was fitted on other folds, so it cannot label fold by fold",
                expected=f"fold version {prepared.folds.version}",
                got=training.fold_version,
                do="fit it again on the frozen folds",
            )
        if blend.recipe_manifest(name) not in (None, manifest):
            raise BadInput(
                f"{name} is not the one of the recipe that labels",
                expected=f"manifest {blend.recipe_manifest(name)}",
                got=manifest,
                do="run 05 again after changing a member",
            )
        teachers.append(Teacher(name, members[name], manifest))
    return teachers


def _order_soundscapes(soundscapes: Iterable[Path]) -> tuple[Path, ...]:
    """The files, the competition's first, so that others beside them do not shift chunks that are predicted already."""
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


def _announce(predictions: TeacherPredictions, teachers: Sequence[Teacher]) -> None:
    """Print what will be predicted and stored, and refuse to start where the disk is too small for it."""
    count = len(predictions.soundscapes)
    all_mb, missing_mb, labels_mb = (
        predictions.megabytes(count, len(teachers)),
        predictions.missing_mb(teachers),
        predictions.megabytes(count),
    )
    print(
        f"{count} soundscapes, by {len(predictions.folds)} models each of {', '.join(each.name for each in teachers)}: "
        f"{all_mb:.1f} MB of their predictions ({all_mb - missing_mb:.1f} MB are there), {labels_mb:.1f} MB of labels",
        flush=True,
    )
    free_mb = shutil.disk_usage(predictions.cache).free / 1e6
    if missing_mb + labels_mb > free_mb:
        raise BadInput(
            "the disk is too small for the labels",
            expected=f"{missing_mb + labels_mb:.0f} MB free",
            got=f"{free_mb:.0f} MB",
            do="free some, or label fewer soundscapes",
        )


def _blend_fold(
    blend: TeacherBlend,
    predictions: TeacherPredictions,
    teachers: Sequence[Teacher],
    fold: int,
    decoded: np.ndarray,
    stems: list[str],
) -> np.ndarray:
    """(stems, 12, classes) float16 probabilities for students of this fold."""
    rows, labels = tuple(row for stem in stems for row in row_ids(stem)), predictions.classes.labels
    parts = {
        teacher.name: Scores(
            predictions.of(teacher, fold)[decoded].reshape(len(rows), len(labels)), rows, labels, "prob"
        )
        for teacher in teachers
    }
    probabilities, alarms = blend.combine(fold, parts)
    for alarm in alarms:
        print(f"fold {fold}: {alarm}", flush=True)
    return probabilities.reshape(len(stems), -1, len(labels)).astype(np.float16)


def mix_labels(first: SoftLabels, last: SoftLabels, share: float, folder: Path) -> Path:
    """Write a mix of labels of the same soundscapes, the second with that share of every probability; the folder."""
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
