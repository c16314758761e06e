"""Who has seen what: a score counts only on rows that the model behind it never met, not even by recording group.

Meeting is transitive. What a teacher or a prior has met, its student has met; and whoever has met a recording has met
its near-duplicates, where a table of related recordings is given.
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

    `teachers` are members, priors too, that this one learned from fold by fold: model n from the teacher's model n.
    `pooled_teachers` gave every model what all their models know, as an average of fold models does.
    """

    fold_version: str
    soundscapes: dict[str, list[int]]
    clips: dict[str, list[int]]
    teachers: list[str] = field(default_factory=list)
    pooled_teachers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FittedOn:
    """Something fitted on labels that is no member, such as a gate or blend weights, and the soundscapes it saw."""

    name: str
    soundscapes: tuple[str, ...]


def training_on(folds: Folds) -> Training:
    """What plain cross-fitting has seen: each fold's model met every item that the fold does not hold out."""

    def others(kind: str) -> dict[str, list[int]]:
        return {item: [n for n in folds.numbers if n != fold] for item, fold in folds.of(kind).items()}

    return Training(folds.version, others("soundscape"), others("clip"))


def fitted_on(name: str, row_ids: Iterable[str]) -> FittedOn:
    """The record of something fitted on these windows."""
    return FittedOn(name, tuple(dict.fromkeys(split_row_id(row)[0].stem for row in row_ids)))


def refuse_self_judged(fitted: FittedOn, row_ids: Iterable[str], related: Mapping[str, str] | None = None) -> None:
    """Refuse to judge a thing on windows of recordings it was fitted on, or of related ones."""
    met = {key for stem in fitted.soundscapes for key in _keys(stem, related)}
    own = [row for row in row_ids if met.intersection(_keys(split_row_id(row)[0].stem, related))]
    if own:
        raise BadInput(
            f"{fitted.name} would be judged on rows it was fitted on",
            expected="rows of recordings that it never met",
            got=f"{len(own)} contaminated rows: {shorten(own, 3)}",
            do="fit it on the other folds, or judge it nested",
        )


def unseen_scores(
    member: Path,
    folds: Folds,
    *,
    related: Mapping[str, str] | None = None,
    others: Mapping[str, Path] | None = None,
) -> Scores:
    """A member's out-of-fold scores, once it is shown that no row was scored by a model that had seen its recording.

    `related` names the group of each near-duplicate soundscape or clip. `others` says where teachers lie; without it,
    they are looked for beside the member.
    """
    met = _met(member, folds, related, others, ())
    scores = load_scores(member / "oof.parquet")
    fold_of = folds.of("soundscape")
    contaminated, by = [], {}
    for row in scores.row_ids:
        stem = split_row_id(row)[0].stem
        through = [met[key][fold_of[stem]] for key in _keys(stem, related) if fold_of.get(stem) in met.get(key, {})]
        if stem not in fold_of or through:
            contaminated.append(row)
            by.update(dict.fromkeys(through))
    if contaminated:
        chain = f", through {shorten(by)}" if set(by) - {member.name} else ""
        raise BadInput(
            f"{member.name} claims scores of rows it has seen",
            expected="rows of recordings that the fold's model never met",
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
    return judge(labels, unseen_scores(member, folds, related=related, others=others))


def _keys(item: str, related: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """What makes two items one: the item itself, the site and day of a soundscape, the group of a near-duplicate."""
    keys = [("item", item)] if "/" in item else [("site and day", parse_soundscape(item).group)]
    return [*keys, ("related", related[item])] if related and item in related else keys


def _met(member: Path, folds: Folds, related, others, students: tuple[str, ...]) -> dict[tuple, dict[int, str]]:
    """For each key of an item: the folds whose models have met it, each with the member through which that was."""
    if member.name in students:
        raise BadInput(
            "teachers teach each other in a loop",
            expected="a chain of teachers that ends",
            got=" <- ".join([*students, member.name]),
            do="mend training.json of one of them",
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
        for key, seen_by in _met(teacher, folds, related, others, (*students, member.name)).items():
            if seen_by and name in training.pooled_teachers:
                seen_by = dict.fromkeys(folds.numbers, name)
            met[key] = seen_by | met.get(key, {})
    return met


def _teacher(name: str, student: Path, others: Mapping[str, Path] | None) -> Path:
    """Where a teacher lies; what it has met must be known before its student can be judged."""
    folder = student.parent / name if others is None else others.get(name)
    if folder is None or not (folder / "training.json").is_file():
        where = f"beside {student}" if others is None else f"among {shorten(sorted(others)) or 'none'}"
        raise BadInput(
            f"{student.name} learned from {name}, which is not there",
            expected=f"the member {name} with its training.json",
            got=f"none {where}",
            do="attach the output that holds the teacher",
        )
    return folder
