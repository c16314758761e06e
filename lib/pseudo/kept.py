"""What a student keeps of its teachers' gain over a simple member, part by part, and what it costs and saves."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lib.competition.folds import Folds
from lib.competition.row_ids import split_row_id
from lib.competition.scores import Labels, Scores, joined
from lib.judge.subgroups import Slice, view_table
from lib.pseudo.teachers import Teaching

LEAST_GAIN = 0.01  # a share of less than this is a share of noise


def kept_table(labels: Labels, student: Scores, teacher: Scores, floor: Scores, parts: list[Slice]) -> pd.DataFrame:
    """A row a part of the truth: view, part, windows, classes, the three scores, and `kept`, the share of the gain.

    `kept` is NaN where the teacher gains less than `LEAST_GAIN` over the floor.
    """
    rows = view_table(labels, {"floor": floor, "teacher": teacher, "student": student}, parts)
    gained = rows.teacher - rows.floor
    kept = (rows.student - rows.floor) / gained.where(gained >= LEAST_GAIN, np.nan)
    return rows.drop(columns="lacks").assign(kept=kept)


def teachers_scores(teaching: Teaching, members: Mapping[str, Scores], folds: Folds) -> Scores:
    """What the teachers together say of labelled soundscapes, each fold's rows as they teach that fold."""
    fold_of, parts = folds.of("soundscape"), []
    first = next(iter(members.values()))
    for fold in folds.numbers:
        rows = [row for row in first.row_ids if fold_of[split_row_id(row)[0].stem] == fold]
        own = {name: scores.take(rows) for name, scores in members.items()}
        parts.append(Scores(teaching.mixed(fold, own)[0], rows, first.classes, "prob"))
    return joined(parts)
