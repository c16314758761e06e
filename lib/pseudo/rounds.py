"""Rounds: teachers label, a student learns, the judge compares; the next round has the student among its teachers.

Everything that a round makes is found again when it is run anew: what teachers said, and the folds that are trained.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from lib.competition.prepared import Prepared, load_prepared
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.core.records import from_json, read_json, seal
from lib.judge.leakage import Training, unseen_scores
from lib.learn.network.config import NetworkPlan, override
from lib.learn.network.crossfit import TrainedNetworks, fit_network
from lib.learn.soft_labels.store import SoftLabels, open_soft_labels
from lib.pseudo.label import label, mixed_labels
from lib.pseudo.student_gain import RoundVerdict, StudentGain, gain_over, verdict_on
from lib.pseudo.teachers import TeacherBlend
from lib.sound.decode import decode


@dataclass(frozen=True)
class RoundSettings:
    """How often, and how differently from round to round; a list that is too short goes on with its last number."""

    rounds: int = 1
    soft_powers: tuple[float, ...] = (1.0,)  # of the teachers' chances
    pseudo_weights: tuple[float, ...] = (1.0,)  # of pseudo-labels in the loss
    student_shares: tuple[float, ...] = (0.5,)  # from the second round on: what the last student says of the labels
    claimed_folds: tuple[int, ...] = ()  # on which a leaky twin is trained too, to see what it would have claimed
    to_the_end: bool = False  # all rounds, also after one that was not surely better

    def __post_init__(self):
        lists = (self.soft_powers, self.pseudo_weights, self.student_shares)
        if self.rounds < 1 or not all(lists) or not all(0 <= share <= 1 for share in self.student_shares):
            raise BadInput(
                "settings of rounds",
                expected="a round or more, a number in each list, shares from 0 to 1",
                got=self,
                do="mend them",
            )

    def refuse_twin_of_all(self, folds: list[int]) -> None:
        """Refuse a leaky twin that would be a whole member, or of folds that there are not."""
        if not set(self.claimed_folds) < set(folds):
            raise BadInput(
                "a leaky twin is no member",
                expected=f"some folds of {folds}, not all",
                got=self.claimed_folds,
                do="leave at least one out",
            )

    def plan_of(self, plan: NetworkPlan, number: int) -> NetworkPlan:
        """The student's plan in a round, counted from 1."""
        return override(
            plan, soft_power=of_round(self.soft_powers, number), pseudo_weight=of_round(self.pseudo_weights, number)
        )


@dataclass(frozen=True, eq=False)
class RoundContext:
    """Where everything lies: what is learned from, who is there to teach, and where students go."""

    prepared_folder: Path
    competition: Path
    output: Path
    cache_folder: Path
    members: Mapping[str, Path]  # by name; students are added as they come
    soundscapes: tuple[Path, ...]
    seed: int = 1
    prepared: Prepared = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "prepared", load_prepared(self.prepared_folder))

    def honest(self, folder: Path, others: Mapping[str, Path]) -> Scores:
        """A member's scores of what neither it nor any teacher of it has met."""
        return unseen_scores(folder, self.prepared.folds, related=self.prepared.related, others=others)

    def labelled(self, teaching: TeacherBlend, name: str, members: Mapping[str, Path]) -> SoftLabels:
        """What these teachers say of all soundscapes."""
        folder = self.output / "labels" / name
        label(teaching, members, self.soundscapes, self.prepared, folder, self.output / "said")
        return self.opened(folder)

    def opened(self, folder: Path) -> SoftLabels:
        """The soft labels in a folder."""
        return open_soft_labels(folder, self.prepared.classes, self.prepared.folds)

    def audio_of(self, stem: str) -> np.ndarray:
        """The decoded soundscape of that name."""
        return decode(next(path for path in self.soundscapes if path.stem == stem))


@dataclass(frozen=True, eq=False)
class Round:
    """What became of one round: its student, what it gained over the control, and over the round before."""

    number: int
    labels: SoftLabels
    fitted: TrainedNetworks
    folder: Path
    honest: StudentGain
    step: StudentGain
    twin: (
        tuple[StudentGain, StudentGain] | None
    )  # on the leaky twin's folds: what the student gained, what the twin claims
    verdict: RoundVerdict


def run_rounds(
    plan: NetworkPlan, teaching: TeacherBlend, control: str, name: str, settings: RoundSettings, school: RoundContext
) -> Iterator[Round]:
    """The rounds, each as it ends; students are members `<name>_r1` and so on, those discarded lie aside.

    A student is held against the control, a member that is best made by the same plan without pseudo-labels, and from
    the second round on against the student before it, which decides whether the rounds go on. One that is discarded
    teaches nobody: who looks at its students later would not find it.
    """
    plans = {f"{name}_r{number}": settings.plan_of(plan, number) for number in range(1, settings.rounds + 1)}
    settings.refuse_twin_of_all(school.prepared.folds.numbers)
    _refuse_names(list(plans), teaching.members, control, school.members)
    _clear(name, school.output)
    members, last = dict(school.members), None
    reference = before = school.honest(members[control], members)
    first = labels = school.labelled(teaching, f"{name}_r1", members)
    for number, (student, own) in enumerate(plans.items(), start=1):
        if last:
            says = school.labelled(TeacherBlend.of_member(last), f"{last}_says", members)
            share = of_round(settings.student_shares, number - 1)
            labels = school.opened(mixed_labels(first, says, share, school.output / "labels" / student))
        made = _round(number, student, settings, own, labels, members, school, reference, before)
        yield made
        if made.verdict.word != "keep" and not settings.to_the_end:
            return
        if made.verdict.word != "discard":
            last, members[student] = student, made.folder
            before = school.honest(made.folder, members)


def of_round(values: tuple[float, ...], number: int) -> float:
    """The number of a round, counted from 1; the last one where there are fewer."""
    return values[min(number, len(values)) - 1]


def numbers(text: str) -> tuple[float, ...]:
    """The numbers in "1, 1.5, 2"."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise BadInput(
            "a list of numbers cannot be read", expected="numbers, comma separated", got=text, do="mend it"
        ) from error


def _refuse_names(students: list[str], teachers: list[str], control: str, members: Mapping[str, Path]) -> None:
    """Refuse a control that is not there, and students called like it or like one of those they descend from."""
    if control not in members:
        raise BadInput(
            f"no member {control!r} to hold students against",
            expected=", ".join(sorted(members)),
            got=control,
            do="name one of these as control",
        )
    lineage, unasked = set(), [control, *teachers]
    while unasked:
        name = unasked.pop()
        if name in members and name not in lineage:
            lineage.add(name)
            training = from_json(Training, read_json(members[name] / "training.json"), f"{name}/training.json")
            unasked += [*training.teachers, *training.pooled_teachers]
    if lineage.intersection(students):
        raise BadInput(
            "a student would have the name of its control, or of one that it descends from",
            expected=f"another name than {', '.join(sorted(lineage))}",
            got=", ".join(students),
            do="call the students otherwise",
        )


def _clear(name: str, output: Path) -> None:
    """Leave no student of an earlier run that may have learned otherwise; what was trained is found again."""
    for folder in [*(output / "members").glob(f"{name}_r*"), *(output / "discarded").glob(f"{name}_r*")]:
        if folder.name.removeprefix(f"{name}_r").isdigit():
            shutil.rmtree(folder)


def _round(number, student, settings, plan, labels, members, school, reference, before) -> Round:
    """One round's student, trained and judged."""
    how = {"cache_folder": school.cache_folder, "seed": school.seed, "labels": labels.folder, "others": members}
    folder = school.output / "members" / student
    fitted = fit_network(plan, school.prepared_folder, school.competition, folder, **how)
    own = school.honest(folder, members | {student: folder})
    honest, step = (gain_over(school.prepared.labels, control, own) for control in (reference, before))
    twin = None
    if settings.claimed_folds:
        aside = school.output / "claims" / student
        leaky = fit_network(
            plan, school.prepared_folder, school.competition, aside, pooled=True, folds=settings.claimed_folds, **how
        ).oof
        twin = tuple(gain_over(school.prepared.labels, reference, each) for each in (own.take(leaky.row_ids), leaky))
    verdict = verdict_on(step)
    if verdict.word == "discard":
        folder = _set_aside(folder, school.output / "discarded" / student)
    return Round(number, labels, fitted, folder, honest, step, twin, verdict)


def _set_aside(folder: Path, to: Path) -> Path:
    """The member, moved and sealed as what it is, so that no later notebook takes it in."""
    shutil.rmtree(to, ignore_errors=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(to)
    seal(to, "discarded")
    return to


def gains_table(rounds: Sequence[Round]) -> pd.DataFrame:
    """A row a gain: round, kind, gain, low, high, verdict; honest, and where a twin was trained naive on its rows."""
    rows = []
    for each in rounds:
        for kind, of in zip(("honest", "naive"), each.twin or (each.honest,), strict=False):
            rows.append((each.number, kind, of.gain, of.interval.low, of.interval.high, each.verdict.word))
    return pd.DataFrame(rows, columns=["round", "kind", "gain", "low", "high", "verdict"])
