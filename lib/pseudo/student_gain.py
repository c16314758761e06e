"""Gain of a student over its control, on the labelled windows of the judge; and the share of its teachers' gain."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.competition.folds import Folds
from lib.competition.row_ids import split_row_id
from lib.competition.scores import Labels, Scores, concat_scores
from lib.judge.bootstrap import Interval, bootstrap
from lib.judge.compare import gains_by_subgroup, paired_interval
from lib.judge.metric import judge
from lib.judge.subgroups import Subgroup, subgroup_table
from lib.pseudo.teachers import TeacherBlend


@dataclass(frozen=True)
class StudentGain:
    """The scores of a student and of its control on the same rows, and the interval of their difference."""

    student: float
    control: float
    interval: Interval
    rows: int

    @property
    def gain(self) -> float:
        """The difference of the scores."""
        return self.student - self.control

    def __str__(self) -> str:
        return f"{self.gain:+.3f} {self.interval} ({self.student:.3f} against {self.control:.3f}, {self.rows} rows)"


@dataclass(frozen=True)
class RoundVerdict:
    """The decision on a student (keep, stop or discard) and its reason."""

    word: str
    why: str


def gain_over(labels: Labels, control: Scores, student: Scores) -> StudentGain:
    """The student's gain on those labelled rows that it scored, paired over redrawn recordings."""
    held = labels.restrict_to(student)
    named = {"student": student, "control": control}
    scored = {name: judge(held, scores).macro for name, scores in named.items()}
    sure = paired_interval(scored, bootstrap(held, named), "student", "control")
    return StudentGain(scored["student"], scored["control"], sure, len(held.row_ids))


def verdict_on(gain: StudentGain) -> RoundVerdict:
    """The decision on a student, by its gain over the control or the student before it."""
    if gain.interval.low > 0:
        return RoundVerdict("keep", f"surely better: {gain}")
    if gain.interval.high < 0:
        return RoundVerdict("discard", f"surely worse: {gain}")
    return RoundVerdict("stop", f"no sure difference: {gain}; another round would build on luck")


def kept_table(labels: Labels, student: Scores, teacher: Scores, floor: Scores, parts: list[Subgroup]) -> pd.DataFrame:
    """A row a subgroup: grouping, subgroup, windows, classes, the three scores, and `kept`, the share of the gain.

    `kept` is NaN where the interval of the teacher's gain over the floor is not above zero: no share of noise.
    """
    named = {"floor": floor, "teacher": teacher, "student": student}
    rows = subgroup_table(labels, named, parts)
    gains = gains_by_subgroup(labels, {"floor": floor, "teacher": teacher}, "floor", parts, seed=0)["teacher"]
    sure = {(each.grouping, each.subgroup) for each in gains if each.interval.low > 0}
    known = np.array([key in sure for key in zip(rows.grouping, rows.subgroup, strict=True)])
    kept = (rows.student - rows.floor) / (rows.teacher - rows.floor).where(known)
    return rows.drop(columns="unscored").assign(kept=kept)


def kept_in_words(kept: float) -> str:
    """The share that a student keeps of its teachers' gain, in words where it is none."""
    if np.isnan(kept):
        return "no sure gain to keep"
    return f"keeps {kept:.0%}" if kept > 0 else "keeps nothing"


def teachers_scores(blend: TeacherBlend, members: Mapping[str, Scores], folds: Folds) -> Scores:
    """The blend's scores of labelled soundscapes, each fold's rows by the models that label for that fold."""
    fold_of, parts = folds.of("soundscape"), []
    first = next(iter(members.values()))
    for fold in folds.numbers:
        rows = tuple(row for row in first.row_ids if fold_of[split_row_id(row)[0].stem] == fold)
        own = {name: scores.take(rows) for name, scores in members.items()}
        parts.append(Scores(blend.combine(fold, own)[0], rows, first.classes, "prob"))
    return concat_scores(parts)
