"""Rounds of pseudo-labelling: teachers label, a student is trained and judged, then it joins the labels' teachers.

Everything that a round makes is found again when it runs again: teachers' predictions, and the folds that are trained.
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
from lib.core.staging import final_place
from lib.judge.leakage import Training, load_oof_scores
from lib.learn.network.config import NetworkPlan, override
from lib.learn.network.crossfit import TrainedNetworks, fit_network
from lib.learn.soft_labels.store import SoftLabels, open_soft_labels
from lib.pseudo.label import label, mix_labels
from lib.pseudo.student_gain import RoundVerdict, StudentGain, gain_over, verdict_on
from lib.pseudo.teachers import TeacherBlend
from lib.sound.decode import decode


@dataclass(frozen=True)
class RoundSettings:
    """The number of rounds, and the settings that change from round to round; a short list repeats its last number."""

    rounds: int = 1
    soft_powers: tuple[float, ...] = (1.0,)  # of the teachers' probabilities
    pseudo_weights: tuple[float, ...] = (1.0,)  # of pseudo-labels in the loss
    student_shares: tuple[float, ...] = (0.5,)  # from the second round on: the last student's share in the labels
    leaky_folds: tuple[int, ...] = ()  # on which a leaky control is trained too, to measure what a leak would gain
    to_the_end: bool = False  # all rounds, also after one that was not surely better

    def __post_init__(self):
        lists = (self.soft_powers, self.pseudo_weights, self.student_shares)
        if self.rounds < 1 or not all(lists) or not all(0 <= share <= 1 for share in self.student_shares):
            raise BadInput(
                "settings of rounds",
                expected="a round or more, a number in each list, shares from 0 to 1",
                got=self,
                do="fix rounds, soft_powers, pseudo_weights or student_shares",
            )

    def check_leaky_folds(self, folds: list[int]) -> None:
        """Refuse a leaky control of unknown folds, or of all folds, which would be a whole member."""
        if not set(self.leaky_folds) < set(folds):
            raise BadInput(
                "a leaky control is no member",
                expected=f"some folds of {folds}, not all",
                got=self.leaky_folds,
                do=f"set leaky_folds={folds[0]}, for instance",
            )

    def plan_of(self, plan: NetworkPlan, number: int) -> NetworkPlan:
        """The student's plan in a round, counted from 1."""
        return override(
            plan, soft_power=of_round(self.soft_powers, number), pseudo_weight=of_round(self.pseudo_weights, number)
        )


@dataclass(frozen=True, eq=False)
class RoundContext:
    """The data, folders and members that all rounds share."""

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

    def oof_scores(self, folder: Path, others: Mapping[str, Path]) -> Scores:
        """A member's scores of rows that neither it nor any of its teachers was trained on."""
        return load_oof_scores(folder, self.prepared.folds, related=self.prepared.related, others=others)

    def label(self, blend: TeacherBlend, name: str, members: Mapping[str, Path]) -> SoftLabels:
        """Write soft labels of all soundscapes by these teachers into `labels/<name>`, and open them."""
        folder, cache = self.output / "labels" / name, final_place(self.output) / "teacher_predictions"
        return self.open_labels(label(blend, members, self.soundscapes, self.prepared, folder, cache))

    def open_labels(self, folder: Path) -> SoftLabels:
        """The soft labels in a folder."""
        return open_soft_labels(folder, self.prepared.classes, self.prepared.folds)

    def audio_of(self, stem: str) -> np.ndarray:
        """The decoded soundscape of that name."""
        return decode(next(path for path in self.soundscapes if path.stem == stem))


@dataclass(frozen=True)
class LeakyControl:
    """Gains over the control, both on the leaky folds: the student's, and that of one trained on leaky labels."""

    clean: StudentGain
    leaky: StudentGain


@dataclass(frozen=True, eq=False)
class Round:
    """The outcome of one round: its student, and the student's gain over the control and over the round before."""

    number: int
    labels: SoftLabels
    trained: TrainedNetworks
    folder: Path
    gain: StudentGain
    gain_over_last: StudentGain
    leaky_control: LeakyControl | None
    verdict: RoundVerdict


def run_rounds(
    plan: NetworkPlan, blend: TeacherBlend, control: str, name: str, settings: RoundSettings, context: RoundContext
) -> Iterator[Round]:
    """The rounds, each as it ends; students are members `<name>_r1` and so on, those discarded are moved aside.

    A student is compared with the control, a member that is best made by the same plan without pseudo-labels, and from
    the second round on with the student before it, which decides whether the rounds continue. One that is discarded
    labels nothing: a later look at its students' teachers would not find it.
    """
    plans = {f"{name}_r{number}": settings.plan_of(plan, number) for number in range(1, settings.rounds + 1)}
    settings.check_leaky_folds(context.prepared.folds.numbers)
    _check_names(list(plans), blend.members, control, context.members)
    for student in earlier_students(name, context.output):
        shutil.rmtree(context.output / student)  # what was trained is found again
    reference = context.oof_scores(context.members[control], context.members)
    labels = context.label(blend, f"{name}_r1", context.members)
    lineage = _Lineage(context, settings, reference, labels)
    for number, (student, student_plan) in enumerate(plans.items(), start=1):
        done = lineage.train_student(number, student, student_plan)
        yield done
        if done.verdict.word != "keep" and not settings.to_the_end:
            return
        if done.verdict.word != "discard":
            lineage.add(student, done.folder)


class _Lineage:
    """The control, the first teachers' labels, and the students so far: what a further student starts from."""

    def __init__(self, context: RoundContext, settings: RoundSettings, reference: Scores, labels: SoftLabels):
        self._context, self._settings = context, settings
        self._reference = self._last_scores = reference
        self._first_labels = labels
        self._members, self._last = dict(context.members), ""

    def train_student(self, number: int, name: str, plan: NetworkPlan) -> Round:
        """Train and judge the student of a round, counted from 1; one that is surely worse is moved aside."""
        labels, folder = self._labels_for(number, name), self._context.output / "members" / name
        trained = self._fit(plan, labels, folder)
        scores = self._context.oof_scores(folder, self._members | {name: folder})
        gain, gain_over_last = self._gain(self._reference, scores), self._gain(self._last_scores, scores)
        leaky_control = self._leaky_control(plan, labels, name, scores) if self._settings.leaky_folds else None
        verdict = verdict_on(gain_over_last)
        if verdict.word == "discard":
            folder = _move_aside(folder, self._context.output / "discarded" / name)
        return Round(number, labels, trained, folder, gain, gain_over_last, leaky_control, verdict)

    def add(self, student: str, folder: Path) -> None:
        """Add a student: it labels the next round, whose student is compared with it."""
        self._last, self._members[student] = student, folder
        self._last_scores = self._context.oof_scores(folder, self._members)

    def _labels_for(self, number: int, student: str) -> SoftLabels:
        """The labels of a round: the first teachers', mixed with those of the last student once there is one."""
        if not self._last:
            return self._first_labels
        own = self._context.label(TeacherBlend.of_member(self._last), f"{self._last}_alone", self._members)
        share = of_round(self._settings.student_shares, number - 1)
        folder = self._context.output / "labels" / student
        return self._context.open_labels(mix_labels(self._first_labels, own, share, folder))

    def _leaky_control(self, plan: NetworkPlan, labels: SoftLabels, student: str, scores: Scores) -> LeakyControl:
        """Train a student on labels by all folds' teachers, and compare it with the clean one on the same folds."""
        aside = self._context.output / "leaky" / student
        leaky = self._fit(plan, labels, aside, pooled=True, folds=self._settings.leaky_folds).oof
        clean = scores.take(leaky.row_ids)
        return LeakyControl(self._gain(self._reference, clean), self._gain(self._reference, leaky))

    def _fit(
        self,
        plan: NetworkPlan,
        labels: SoftLabels,
        folder: Path,
        *,
        pooled: bool = False,
        folds: tuple[int, ...] | None = None,
    ) -> TrainedNetworks:
        """The student, trained on the labels."""
        context = self._context
        return fit_network(
            plan,
            context.prepared_folder,
            context.competition,
            folder,
            cache_folder=context.cache_folder,
            seed=context.seed,
            folds=folds,
            labels=labels.folder,
            pooled=pooled,
            others=self._members,
        )

    def _gain(self, control: Scores, student: Scores) -> StudentGain:
        return gain_over(self._context.prepared.labels, control, student)


def of_round(values: tuple[float, ...], number: int) -> float:
    """The number of a round, counted from 1; the last one where there are fewer."""
    return values[min(number, len(values)) - 1]


def parse_numbers(text: str) -> tuple[float, ...]:
    """The numbers in "1, 1.5, 2"."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise BadInput(
            "a list of numbers cannot be read", expected="numbers, comma separated", got=text, do='write "1.0,1.5"'
        ) from error


def _check_names(students: list[str], teachers: list[str], control: str, members: Mapping[str, Path]) -> None:
    """Refuse an absent control, and students with the name of the control or of one of their teachers' lineage."""
    if control not in members:
        raise BadInput(
            f"there is no member {control!r} to compare students with",
            expected=", ".join(sorted(members)),
            got=control,
            do="set control to one of these",
        )
    lineage: set[str] = set()
    pending = [control, *teachers]
    while pending:
        name = pending.pop()
        if name in members and name not in lineage:
            lineage.add(name)
            training = from_json(Training, read_json(members[name] / "training.json"), f"{name}/training.json")
            pending += [*training.teachers, *training.pooled_teachers]
    if lineage.intersection(students):
        raise BadInput(
            "a student would have the name of its control, or of one that it descends from",
            expected=f"another name than {', '.join(sorted(lineage))}",
            got=", ".join(students),
            do="set member to another name",
        )


def earlier_students(name: str, output: Path) -> list[str]:
    """Paths, in the output, of students of an earlier run, which may have had other labels."""
    folders = [folder for kind in ("members", "discarded") for folder in (output / kind).glob(f"{name}_r*")]
    return [str(each.relative_to(output)) for each in folders if each.name.removeprefix(f"{name}_r").isdigit()]


def _move_aside(folder: Path, to: Path) -> Path:
    """Move the member, and seal it as discarded, so that no later notebook takes it in."""
    shutil.rmtree(to, ignore_errors=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(to)
    seal(to, "discarded")
    return to


def gains_table(rounds: Sequence[Round]) -> pd.DataFrame:
    """One row a gain: round, kind (student, or leaky), gain, low, high, verdict.

    Both kinds are on the leaky folds where a leaky control was trained.
    """
    rows = []
    for each in rounds:
        control = each.leaky_control
        gains = {"student": control.clean, "leaky": control.leaky} if control else {"student": each.gain}
        for kind, of in gains.items():
            rows.append((each.number, kind, of.gain, of.interval.low, of.interval.high, each.verdict.word))
    return pd.DataFrame(rows, columns=["round", "kind", "gain", "low", "high", "verdict"])
