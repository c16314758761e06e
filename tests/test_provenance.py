"""A score is refused when the model behind it has met the recording, its group, or other folds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib.competition.errors import BadInput
from lib.competition.folds import Folds
from lib.competition.names import row_ids
from lib.competition.records import to_json, write_json
from lib.competition.scores import Labels, Scores
from lib.judge.provenance import judge_member, training_on, unseen_scores

STEMS = [f"BC2026_Train_{n:04d}_S0{n}_20250101_000000" for n in range(4)]
TWIN = "BC2026_Train_0009_S00_20250101_030000"  # the site and day of the first stem


@pytest.fixture
def folds():
    stems = [*STEMS, TWIN]
    group = [f"S0{n}_20250101" for n in range(4)] + ["S00_20250101"]
    return Folds(pd.DataFrame({"item": stems, "kind": "soundscape", "group": group, "fold": [0, 1, 0, 1, 0]}))


@pytest.fixture
def member(tmp_path, folds):
    rows = [row for stem in STEMS for row in row_ids(stem)]
    values = np.random.default_rng(0).random((len(rows), 2))
    Scores(values, rows, ["x", "y"], "prob").save(tmp_path / "oof.parquet")
    write_json(tmp_path / "training.json", to_json(training_on(folds)))
    return tmp_path


def retrained(member, training):
    write_json(member / "training.json", to_json(training))


def test_clean_cross_fitting_is_judged(member, folds):
    scores = unseen_scores(member, folds)
    truth = np.random.default_rng(1).random(scores.values.shape) < 0.5
    report = judge_member(member, Labels(truth, scores.row_ids, scores.classes), folds)
    assert report.rows == 48
    assert 0 < report.macro < 1


def test_a_model_that_met_the_row_it_scores_is_refused_and_the_rows_are_named(member, folds):
    clean = training_on(folds)
    retrained(member, replace(clean, soundscapes=clean.soundscapes | {STEMS[1]: [0, 1]}))
    with pytest.raises(BadInput, match="12 contaminated rows") as caught:
        unseen_scores(member, folds)
    assert STEMS[1] in str(caught.value)


def test_meeting_another_file_of_the_same_site_and_day_counts_as_seen(member, folds):
    clean = training_on(folds)
    retrained(member, replace(clean, soundscapes=clean.soundscapes | {TWIN: [0]}))
    with pytest.raises(BadInput, match="12 contaminated rows") as caught:
        unseen_scores(member, folds)
    assert STEMS[0] in str(caught.value)


def test_other_folds_are_refused(member, folds):
    moved = Folds(folds.table.assign(fold=1 - folds.table.fold))
    with pytest.raises(BadInput, match="other folds"):
        unseen_scores(member, moved)


def test_rows_of_soundscapes_outside_the_folds_are_refused(member, folds):
    rows = row_ids("BC2026_Train_0777_S07_20250101_000000")
    Scores(np.zeros((12, 2)), rows, ["x", "y"], "prob").save(member / "oof.parquet")
    with pytest.raises(BadInput, match="contaminated"):
        unseen_scores(member, folds)
