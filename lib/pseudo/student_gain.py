"""What a student gained over its control: honestly, by the judge's rows, and as a leak would have claimed it."""

from dataclasses import dataclass

from lib.competition.scores import Labels, Scores
from lib.judge.bootstrap import Interval, bootstrap
from lib.judge.compare import paired
from lib.judge.metric import judge


@dataclass(frozen=True)
class Gained:
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
class Verdict:
    """keep, stop or discard; and why."""

    word: str
    why: str


def gain_over(labels: Labels, control: Scores, student: Scores) -> Gained:
    """What the student gained on those labelled rows that it scored, paired over redrawn recordings."""
    held = labels.held_by(student)
    named = {"student": student, "control": control}
    scored = {name: judge(held, scores).macro for name, scores in named.items()}
    sure = paired(scored, bootstrap(held, named), "student", "control")
    return Gained(scored["student"], scored["control"], sure, len(held.row_ids))


def verdict_on(honest: Gained) -> Verdict:
    """What to do with a student, by its honest gain over the control or the student before it."""
    if honest.interval.low > 0:
        return Verdict("keep", f"surely better: {honest}")
    if honest.interval.high < 0:
        return Verdict("discard", f"surely worse: {honest}")
    return Verdict("stop", f"not told from what it is held against: {honest}; another round would build on luck")
