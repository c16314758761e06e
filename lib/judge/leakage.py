"""Refusal of leakage: a score counts only on rows whose recording group its model was not trained on.

Exposure is transitive. What a teacher or a prior was trained on, its student counts as trained on; and a recording
stands for its near-duplicates, where a table of related recordings is given.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lib.competition.folds import Folds
from lib.competition.row_ids import parse_soundscape, split_row_id
from lib.competition.scores import Labels, Scores, load_scores
from lib.core.errors import BadInput, shorten
from lib.core.records import from_json, read_json
from lib.judge.metric import AucReport, judge


@dataclass(frozen=True)
class Training:
    """`training.json`: for each soundscape and clip, the folds whose models trained on it; and the folds' version.

    `teachers` are members, priors too, that this one was trained on fold by fold: model n on the teacher's model n. Of
    `pooled_teachers`, every model was trained on the outputs of all fold models, such as their average.
    """

    fold_version: str
    soundscapes: dict[str, list[int]]
    clips: dict[str, list[int]]
    teachers: list[str] = field(default_factory=list)
    pooled_teachers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FitRecord:
    """The soundscapes that something other than a member, such as a gate or blend weights, was fitted on."""

    name: str
    soundscapes: tuple[str, ...]


def crossfit_training(folds: Folds) -> Training:
    """The training record of plain cross-fitting: each fold's model was trained on all items outside the fold."""

    def others(kind: str) -> dict[str, list[int]]:
        return {item: [n for n in folds.numbers if n != fold] for item, fold in folds.of(kind).items()}

    return Training(folds.version, others("soundscape"), others("clip"))


def fit_record(name: str, row_ids: Iterable[str]) -> FitRecord:
    """The record of something fitted on these windows."""
    return FitRecord(name, tuple(dict.fromkeys(split_row_id(row)[0].stem for row in row_ids)))


def refuse_self_judged(fitted: FitRecord, row_ids: Iterable[str], related: Mapping[str, str] | None = None) -> None:
    """Refuse to judge something on windows of recordings that it was fitted on, or of related ones."""
    met = {key for stem in fitted.soundscapes for key in _keys(stem, related)}
    own = [row for row in row_ids if met.intersection(_keys(split_row_id(row)[0].stem, related))]
    if own:
        raise BadInput(
            f"{fitted.name} would be judged on rows it was fitted on",
            expected="rows of recordings that it was not fitted on",
            got=f"{len(own)} contaminated rows: {shorten(own, 3)}",
            do="fit it on the other folds, or judge it nested",
        )


def load_oof_scores(
    member: Path,
    folds: Folds,
    *,
    related: Mapping[str, str] | None = None,
    others: Mapping[str, Path] | None = None,
) -> Scores:
    """Load a member's out-of-fold scores; refuse them where a row was scored by a model trained on its recording.

    `related` names the group of each near-duplicate soundscape or clip. `others` maps teachers to their folders;
    without it, they are searched beside the member.
    """
    exposed = _exposure(member, folds, related, others, ())
    scores = load_scores(member / "oof.parquet")
    fold_of = folds.of("soundscape")
    contaminated, by = [], {}
    for row in scores.row_ids:
        stem = split_row_id(row)[0].stem
        through = [
            exposed[key][fold_of[stem]] for key in _keys(stem, related) if fold_of.get(stem) in exposed.get(key, {})
        ]
        if stem not in fold_of or through:
            contaminated.append(row)
            by.update(dict.fromkeys(through))
    if contaminated:
        chain = f", through {shorten(by)}" if set(by) - {member.name} else ""
        raise BadInput(
            f"{member.name} has out-of-fold scores of rows it was trained on",
            expected="rows of recordings that the fold's model was not trained on",
            got=f"{len(contaminated)} contaminated rows: {shorten(contaminated, 3)}{chain}",
            do="cross-fit it on the frozen folds",
        )
    return scores


def judge_member(
    member: Path,
    labels: Labels,
    folds: Folds,
    *,
    related: Mapping[str, str] | None = None,
    others: Mapping[str, Path] | None = None,
) -> AucReport:
    """The member's honest score on the labelled windows."""
    return judge(labels, load_oof_scores(member, folds, related=related, others=others))


def _keys(item: str, related: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """The keys that two leaking items share: the item itself, a soundscape's site and day, a near-duplicate's group."""
    keys = [("item", item)] if "/" in item else [("site and day", parse_soundscape(item).group)]
    return [*keys, ("related", related[item])] if related and item in related else keys


def _exposure(member: Path, folds: Folds, related, others, students: tuple[str, ...]) -> dict[tuple, dict[int, str]]:
    """For each key of an item: the folds whose models were trained on it, each with the member through which."""
    if member.name in students:
        raise BadInput(
            "teachers form a cycle",
            expected="a chain of teachers that ends",
            got=" <- ".join([*students, member.name]),
            do="fix `teachers` in training.json of one of them",
        )
    training = from_json(Training, read_json(member / "training.json"), f"{member.name}/training.json")
    if training.fold_version != folds.version:
        raise BadInput(
            f"{member.name} was fitted on other folds",
            expected=f"fold version {folds.version}",
            got=training.fold_version,
            do="fit it again on the frozen folds",
        )
    met: dict[tuple, dict[int, str]] = {}
    for item, seen_by in [*training.soundscapes.items(), *training.clips.items()]:
        for key in _keys(item, related):
            met.setdefault(key, {}).update(dict.fromkeys(seen_by, member.name))
    for name in [*training.teachers, *training.pooled_teachers]:
        teacher = _teacher(name, member, others)
        for key, seen_by in _exposure(teacher, folds, related, others, (*students, member.name)).items():
            if seen_by and name in training.pooled_teachers:
                seen_by = dict.fromkeys(folds.numbers, name)
            met[key] = seen_by | met.get(key, {})
    return met


def _teacher(name: str, student: Path, others: Mapping[str, Path] | None) -> Path:
    """A teacher's folder; its training record is needed before its student can be judged."""
    folder = student.parent / name if others is None else others.get(name)
    if folder is None or not (folder / "training.json").is_file():
        where = f"beside {student}" if others is None else f"among {shorten(sorted(others)) or 'none'}"
        raise BadInput(
            f"the teacher {name} of {student.name} is missing",
            expected=f"the member {name} with its training.json",
            got=f"none {where}",
            do="attach the output that holds the teacher",
        )
    return folder
