"""What a student gained over its control: honestly, by the judge's rows, and as a leak would have claimed it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.competition.folds import Folds
from lib.competition.row_ids import split_row_id
from lib.competition.scores import Labels, Scores, concat_scores
from lib.judge.bootstrap import Interval, bootstrap
from lib.judge.compare import paired_interval
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
        """By how much the student is better."""
        return self.student - self.control

    def __str__(self) -> str:
        return f"{self.gain:+.3f} {self.interval} ({self.student:.3f} against {self.control:.3f}, {self.rows} rows)"


@dataclass(frozen=True)
class RoundVerdict:
    """keep, stop or discard; and why."""

    word: str
    why: str


def gain_over(labels: Labels, control: Scores, student: Scores) -> StudentGain:
    """What the student gained on those labelled rows that it scored, paired over redrawn recordings."""
    held = labels.restrict_to(student)
    named = {"student": student, "control": control}
    scored = {name: judge(held, scores).macro for name, scores in named.items()}
    sure = paired_interval(scored, bootstrap(held, named), "student", "control")
    return StudentGain(scored["student"], scored["control"], sure, len(held.row_ids))


def verdict_on(honest: StudentGain) -> RoundVerdict:
    """What to do with a student, by its honest gain over the control or the student before it."""
    if honest.interval.low > 0:
        return RoundVerdict("keep", f"surely better: {honest}")
    if honest.interval.high < 0:
        return RoundVerdict("discard", f"surely worse: {honest}")
    return RoundVerdict("stop", f"not told from what it is held against: {honest}; another round would build on luck")


LEAST_GAIN = 0.01  # a share of less than this is a share of noise


def kept_table(labels: Labels, student: Scores, teacher: Scores, floor: Scores, parts: list[Subgroup]) -> pd.DataFrame:
    """A row a subgroup: grouping, subgroup, windows, classes, the three scores, and `kept`, the share of the gain.

    `kept` is NaN where the teacher gains less than `LEAST_GAIN` over the floor.
    """
    rows = subgroup_table(labels, {"floor": floor, "teacher": teacher, "student": student}, parts)
    gained = rows.teacher - rows.floor
    kept = (rows.student - rows.floor) / gained.where(gained >= LEAST_GAIN, np.nan)
    return rows.drop(columns="unscored").assign(kept=kept)


def teachers_scores(teaching: TeacherBlend, members: Mapping[str, Scores], folds: Folds) -> Scores:
    """What the teachers together say of labelled soundscapes, each fold's rows as they teach that fold."""
    fold_of, parts = folds.of("soundscape"), []
    first = next(iter(members.values()))
    for fold in folds.numbers:
        rows = [row for row in first.row_ids if fold_of[split_row_id(row)[0].stem] == fold]
        own = {name: scores.take(rows) for name, scores in members.items()}
        parts.append(Scores(teaching.mixed(fold, own)[0], rows, first.classes, "prob"))
    return concat_scores(parts)
