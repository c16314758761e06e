"""Ideas are fitted on what they may see; grouped folds see through a memoriser; the page shows what was measured."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from build.studies import stability
from lib.competition.classes import ClassList
from lib.competition.fold_families import FAMILIES, fold_of_rows
from lib.competition.prepared import load_prepared
from lib.competition.row_ids import parse_soundscape, row_id
from lib.competition.scores import Labels
from lib.judge.metric import judge
from lib.judge.studies.leaderboard import SimulatedBoard
from lib.judge.studies.replay import ReplaySettings
from lib.learn.fold_study.baselines import (
    IDEAS,
    Idea,
    LinearBaseline,
    NearestWindow,
    SiteHourRates,
    idea_out_of_fold,
    limit_iterations,
    predict_ideas,
)
from lib.learn.fold_study.features import BaselineData, SoundscapeFeatures
from lib.learn.fold_study.study import study_on_shadow_split
from lib.show import fold_study as figures
from tests.support.pagecheck import faults_of

CLASSES = ClassList(("a", "b", "c", "d"))
PLACES, FILES = 30, 3
FINGERPRINT = 6  # features of a place: fewer than places, so that a linear model cannot separate all of them


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


@pytest.fixture(scope="module")
def trial(prepared, public):
    return study_on_shadow_split(prepared, public)


def planted():
    """Some files of each site and day, which have a sound and classes of their own; a noisy feature detects calls."""
    rng = np.random.default_rng(0)
    stems = [f"BC2026_Train_{p:02d}{f}_S{p:02d}_20250101_0{f}0000" for p in range(PLACES) for f in range(FILES)]
    place = np.repeat(np.arange(PLACES), FILES)
    likely = np.where(rng.random((PLACES, 4)) < 0.5, 0.9, 0.1)
    truth = rng.random((len(stems), 12, 4)) < likely[place][:, None]
    places = 3 * rng.normal(size=(PLACES, FINGERPRINT))
    fingerprint = places[place][:, None] + 0.1 * rng.normal(size=(len(stems), 12, FINGERPRINT))
    features = np.concatenate([truth + rng.normal(size=truth.shape), fingerprint], axis=2)
    sounds = SoundscapeFeatures(tuple(parse_soundscape(stem) for stem in stems), features)
    windows = pd.DataFrame(
        {
            "row_id": row_id(one.stem, 5 * end),
            "stem": one.stem,
            "site": one.site,
            "date": one.date,
            "hour": one.hour,
            "group": one.group,
            "labels": tuple(np.array(CLASSES.labels)[present]),
        }
        for one, marks in zip(sounds.soundscapes, truth, strict=True)
        for end, present in enumerate(marks, start=1)
    )
    clips = pd.DataFrame({"filename": ["x", "y", "z"], "author": ["x", "y", "z"], "primary_label": ["a", "b", "c"]})
    rows = np.zeros((3, 4), dtype=bool)
    flat = features.reshape(-1, 4 + FINGERPRINT)
    return BaselineData(windows, flat, truth.reshape(-1, 4), clips, np.zeros((3, 4 + FINGERPRINT)), rows, ~rows), sounds


def test_a_planted_memoriser_leads_in_random_folds_and_loses_in_grouped_ones():
    data, sounds = planted()
    ideas = (
        Idea("calls", False, (LinearBaseline(clip_weight=0.0, l2=0.3),)),
        Idea("memoriser", True, (NearestWindow(),)),
    )
    score = {}
    for family in ("random windows", "random", "site and day", "hybrid", "site"):
        folds = FAMILIES[family](data.clips, data.windows, CLASSES, n_folds=3, seed=0)
        fold = fold_of_rows(folds, data.windows)
        labels = Labels(data.truth, data.windows.row_id, CLASSES.labels, fold)
        parts = idea_out_of_fold(ideas, data, sounds, CLASSES, folds, [0, 1, 2])
        score[family] = {name: judge(labels, part).macro for name, part in parts.items()}
    for family in ("random windows", "random"):
        assert score[family]["memoriser"] > score[family]["calls"]
    for family in ("site and day", "hybrid", "site"):
        assert score[family]["memoriser"] < score[family]["calls"] - 0.05


def test_no_fold_learns_from_what_it_holds_out():
    """With the truth and sound of held-out rows and clips spoiled, the held-out rows' scores stay as they were."""
    data, sounds = planted()
    folds = FAMILIES["hybrid"](data.clips, data.windows, CLASSES, n_folds=3, seed=0)
    held = fold_of_rows(folds, data.windows) == 0
    ideas = (Idea("all", False, (LinearBaseline(), NearestWindow(), SiteHourRates()), sigma=1.0),)
    clips_held = (data.clips.filename.map(folds.of("clip")) == 0).to_numpy()
    spoiled = replace(
        data,
        features=np.where(held[:, None], 99.0, data.features),
        truth=data.truth ^ held[:, None],
        clip_features=np.where(clips_held[:, None], 99.0, data.clip_features),
        clip_truth=data.clip_truth ^ clips_held[:, None],
    )
    scores = [idea_out_of_fold(ideas, some, sounds, CLASSES, folds, [0])["all"] for some in (data, spoiled)]
    np.testing.assert_array_equal(scores[0].values, scores[1].values)
    assert set(scores[0].row_ids) == set(data.windows.row_id[held])


def test_smoothing_stays_within_a_soundscape():
    data, sounds = planted()
    plain, smooth = (
        predict_ideas((Idea("x", False, (NearestWindow(),), sigma=sigma),), data, sounds)["x"] for sigma in (0, 1.0)
    )
    assert np.abs(smooth - plain).max() > 0.01
    alone = SoundscapeFeatures(sounds.soundscapes[:1], sounds.features[:1])
    again = predict_ideas((Idea("x", False, (NearestWindow(),), sigma=1.0),), data, alone)["x"]
    np.testing.assert_allclose(again[0], smooth[0], atol=1e-9)


def test_a_cheaper_idea_differs_in_its_iterations_alone():
    idea = Idea("x", True, (LinearBaseline(l2=7.0), NearestWindow()), sigma=1.0)
    assert limit_iterations(idea, 3) == Idea(
        "x", True, (LinearBaseline(l2=7.0, max_iterations=3), NearestWindow()), sigma=1.0
    )


def test_ideas_have_names_of_their_own_and_both_kinds():
    assert len({idea.name for idea in IDEAS}) == len(IDEAS)
    assert {idea.fragile for idea in IDEAS} == {True, False}


def test_nothing_is_fitted_on_the_shadow(trial):
    hidden = {row.rpartition("_")[0] for row in trial.truth.row_ids}
    assert hidden
    assert not hidden & set(trial.data.windows.stem)
    sites = {parse_soundscape(stem).site for stem in hidden}
    assert not sites & set(trial.data.windows.site)
    assert all(site in trial.where for site in sites)


def test_a_replay_judges_rows_of_its_own_folds_with_every_idea(trial):
    labels, scores = trial.replay(ReplaySettings(folds=2))
    assert set(scores) == {idea.name for idea in IDEAS}
    assert len(np.unique(labels.strata)) == 2
    assert 0 < len(labels.row_ids) < len(trial.data.windows)


def test_against_the_hidden_test_a_page_is_written_and_all_tables_are_printed(
    prepared_folder, public, rerun, mini, tmp_path, capsys
):
    page = tmp_path / "stability.html"
    arguments = [
        "--data",
        public,
        "--runs",
        prepared_folder.parent,
        "--page",
        page,
        "--competition-with-test",
        rerun,
        "--solution",
        mini / "hidden" / "solution.csv",
    ]
    assert stability.main([str(argument) for argument in arguments]) == 0
    printed = capsys.readouterr().out
    assert all(family in printed for family in FAMILIES)
    assert "best lower bound offline" in printed
    assert "Safe is" in printed
    text = page.read_text()
    assert text.count("<svg") == 4
    assert text.count("<table") == 4
    assert faults_of(page) == []


def test_without_a_prepared_folder_the_error_names_what_to_do(tmp_path, capsys):
    assert stability.main(["--runs", str(tmp_path)]) == 2
    assert "run the notebook that makes it" in capsys.readouterr().err


def test_a_solution_without_its_soundscapes_is_refused():
    assert stability.main(["--solution", "solution.csv"]) == 2


def test_the_families_figure_has_a_dot_an_idea_in_each_family():
    truth = {"r": 0.7, "s": 0.6, "f": 0.5}
    figure = figures.family_figure({"random": truth, "site": truth}, truth, {"f"}, "the hidden test")
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [sum(len(dots.get_offsets()) for dots in axis.collections) for axis in shown] == [3, 3]
    assert not plt.get_fignums()


def test_the_leaders_fate_sums_to_one():
    rng = np.random.default_rng(0)
    figure = figures.leader_private_ranks(SimulatedBoard(("a", "b", "c"), rng.random((50, 3)), rng.random((50, 3))))
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == pytest.approx(1.0)
