"""A student keeps its share of its teachers' gain; teachers are scored fold by fold, as they label."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from lib.blend.recipe import Mix, Part, Recipe, RecipeMember
from lib.competition.folds import Folds
from lib.competition.row_ids import parse_soundscape, row_ids
from lib.competition.scores import Labels, Scores
from lib.judge.subgroups import Subgroup
from lib.pseudo.student_gain import kept_in_words, kept_table, teachers_scores
from lib.pseudo.teachers import TeacherBlend, match_ranks

STEMS = [f"BC2026_Train_{n:04d}_S{n:02d}_20250101_000000" for n in range(10)]
ROWS = [row for stem in STEMS for row in row_ids(stem)]
FOLD = {stem: n % 2 for n, stem in enumerate(STEMS)}
FOLDS = Folds(
    pd.DataFrame(
        [(stem, "soundscape", parse_soundscape(stem).group, fold) for stem, fold in FOLD.items()],
        columns=["item", "kind", "group", "fold"],
    )
)


def of_classes(**columns):
    return Scores(np.stack(list(columns.values()), axis=1), ROWS, columns, "prob")


def test_the_kept_share_is_of_what_the_teacher_surely_gains():
    at = np.arange(120)
    some, half, few = at < 12, at < 60, at < 40
    labels = Labels(np.stack([some, half, few, half], axis=1), ROWS, "abcd")
    flat = np.full(120, 0.25)
    floor = of_classes(a=flat, b=flat, c=flat, d=flat)
    # one of n calls above all that is silent gains 1 / 2n, in one recording: that is not sure
    teacher = of_classes(a=0.9 * some, b=np.where(at == 0, 0.5, flat), c=np.where(at == 0, 0.5, flat), d=0.9 * ~half)
    student = of_classes(a=np.where(at < 6, 0.5, flat), b=0.9 * half, c=flat, d=0.9 * half)
    whole = np.ones(120, bool)
    parts = [Subgroup("class", name, whole, np.array(list("abcd")) == name) for name in "abcd"]
    parts += [Subgroup("rows", "silent", ~half, np.ones(4, bool)), Subgroup("rows", "first", half, np.ones(4, bool))]
    table = kept_table(labels, student, teacher, floor, parts)
    assert list(table) == ["grouping", "subgroup", "windows", "classes", "floor", "teacher", "student", "kept"]
    assert table.subgroup.tolist() == [*"abcd", "silent", "first"]
    assert table.windows.tolist() == [120, 120, 120, 120, 60, 60]
    assert table.classes.tolist() == [1, 1, 1, 1, 0, 2]
    np.testing.assert_allclose(table.floor, [0.5, 0.5, 0.5, 0.5, np.nan, 0.5])
    np.testing.assert_allclose(table.teacher[:4], [1.0, 0.5 + 1 / 120, 0.5125, 0.0], rtol=1e-6)
    np.testing.assert_allclose(table.student[:4], [0.75, 1.0, 0.5, 1.0])
    np.testing.assert_allclose(table.kept, [0.5, np.nan, np.nan, np.nan, np.nan, np.nan], atol=1e-9)


def test_a_share_is_told_in_words_where_there_is_none():
    words = [kept_in_words(share) for share in (0.9, -6.12, np.nan)]
    assert words == ["keeps 90%", "keeps nothing", "no sure gain to keep"]


@pytest.fixture
def members():
    random = np.random.default_rng(0)
    return {name: Scores(random.random((120, 2)), ROWS, "ab", "prob") for name in "pqr"}


def rows_of(fold):
    return [row for row in ROWS if FOLD[row.rpartition("_")[0]] == fold]


def test_teachers_with_weights_give_their_mean(members):
    scores = teachers_scores(TeacherBlend({"p": 1.0, "q": 3.0}), members, FOLDS)
    assert scores.row_ids == (*rows_of(0), *rows_of(1))
    assert (scores.kind, scores.classes) == ("prob", ("a", "b"))
    expected = 0.25 * members["p"].values + 0.75 * members["q"].values
    np.testing.assert_allclose(scores.take(ROWS).values, expected, rtol=1e-6)


def test_a_recipe_is_executed_within_each_fold_by_what_it_is_without_its_labels(members):
    by_fold = {"0": [Mix("all", "rank", [Part("p", 0.5), Part("q", 0.5)])], "1": [Mix("all", "rank", [Part("r", 1.0)])]}
    recipe = Recipe(
        "bold",
        "hash",
        "folds",
        [RecipeMember(name, "m", 0.1) for name in "pqr"],
        [Mix("all", "rank", [Part("p", 1.0)])],
        "p",
        0.5,
        [0.4, 0.6],
        2,
        by_fold=by_fold,
    )
    scores = teachers_scores(TeacherBlend.of_recipe(recipe), members, FOLDS)
    p, q = (members[name].take(rows_of(0)).values for name in "pq")
    by_hand = match_ranks((p + q) / 2, rankdata(p, axis=0) + rankdata(q, axis=0))
    ranked = sum(rankdata(part, axis=0) for part in (p, q))
    placed = scores.take(rows_of(0)).values
    np.testing.assert_allclose(np.sort(placed, axis=0), np.sort(by_hand, axis=0), rtol=1e-6)
    for column in range(2):  # whatever order those have that tie
        assert (np.diff(ranked[np.argsort(placed[:, column], kind="stable"), column]) >= 0).all()
    np.testing.assert_allclose(scores.take(rows_of(1)).values, members["r"].take(rows_of(1)).values, rtol=1e-6)
