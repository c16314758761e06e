"""Teachers' predictions are blended: a mean of probabilities, or in the order of a recipe not fitted on the fold."""

from dataclasses import replace

import numpy as np
import pytest

from lib.blend.recipe import Mix, Part, Recipe, RecipeMember
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.core.records import to_json
from lib.pseudo.teachers import TeacherBlend, match_ranks, parse_teachers

ROWS = row_ids("BC2026_Train_0001_S01_20250101_000000")
PARTS = {
    name: Scores(np.random.default_rng(seed).random((12, 3)), ROWS, "abc", "prob") for seed, name in enumerate("pqr")
}


def recipe_of(**weights):
    parts = [Part(name, weight) for name, weight in weights.items()]
    members = [RecipeMember(name, f"manifest of {name}", 0.1) for name in weights]
    return Recipe("bold", "hash", "folds", members, [Mix("all", "rank", parts)], "p", 0.5, [0.4, 0.6], 3)


@pytest.fixture
def knowing():
    """On all labels q and p have weights; without those of fold 1, r too."""
    by_fold = {
        "0": [Mix("all", "rank", [Part("p", 1.0)])],
        "1": [Mix("all", "rank", [Part("q", 0.25), Part("r", 0.75)])],
    }
    return replace(
        recipe_of(p=0.5, q=0.5), by_fold=by_fold, fold_only_members=[RecipeMember("r", "manifest of r", 0.1)]
    )


def test_probabilities_are_the_weighted_mean_whatever_the_weights_add_up_to():
    for weights in ({"p": 0.75, "r": 0.25}, {"p": 3, "q": 0, "r": 1}):
        teaching = TeacherBlend(weights)
        probabilities, alarms = teaching.combine(0, PARTS)
        np.testing.assert_allclose(probabilities, 0.75 * PARTS["p"].values + 0.25 * PARTS["r"].values, rtol=1e-6)
        assert (alarms, teaching.members) == ((), ["p", "r"])
    assert TeacherBlend.of_member("q").combine(2, PARTS)[0].tolist() == PARTS["q"].values.tolist()


@pytest.mark.parametrize("weights", [{}, {"p": 0.0}, {"p": 1.0, "q": -0.5}, {"p": float("nan")}, {"p": float("inf")}])
def test_weights_without_a_teacher_are_refused(weights):
    with pytest.raises(BadInput, match="there is no teacher"):
        TeacherBlend(weights)


def test_the_largest_value_goes_where_the_order_is_highest_and_ties_stay_in_their_own_order():
    values = np.array([[0.1, 6.0], [0.9, 5.0], [0.5, 7.0], [0.3, 8.0]], dtype=np.float32)
    order = np.array([[4.0, 1.0], [1.0, 1.0], [2.0, 0.0], [3.0, 1.0]])
    expected = np.array([[0.9, 7.0], [0.1, 6.0], [0.3, 5.0], [0.5, 8.0]], dtype=np.float32)
    np.testing.assert_array_equal(match_ranks(values, order), expected)


@pytest.mark.parametrize("fold", [0, 1])
def test_a_recipe_gives_the_order_and_its_members_mean_the_values_both_without_the_folds_labels(knowing, fold):
    probabilities, _ = TeacherBlend.of_recipe(knowing).combine(fold, PARTS)
    weights = ({"p": 1.0}, {"q": 0.25, "r": 0.75})[fold]
    mean = sum(weight * PARTS[name].values for name, weight in weights.items())
    np.testing.assert_allclose(np.sort(probabilities, axis=0), np.sort(mean, axis=0), rtol=1e-6)
    order = knowing.for_fold(fold).execute(PARTS).scores.values
    for column in range(3):
        assert (np.diff(order[np.argsort(probabilities[:, column], kind="stable"), column]) >= 0).all()


def test_a_recipe_fitted_on_the_folds_labels_cannot_label(knowing):
    with pytest.raises(BadInput, match="fitted on the labels of fold 2"):
        TeacherBlend.of_recipe(knowing).combine(2, PARTS)


def test_all_members_that_a_recipe_may_need_are_those_it_was_made_with(knowing):
    teaching = TeacherBlend.of_recipe(knowing)
    assert teaching.members == ["p", "q", "r"]
    assert [teaching.recipe_manifest(name) for name in "pr"] == ["manifest of p", "manifest of r"]
    assert TeacherBlend.of_member("p").recipe_manifest("p") is None


def test_what_decides_is_written_down(knowing):
    assert TeacherBlend({"p": 1.0, "q": 2.0}).as_json() == {"weights": {"p": 1.0, "q": 2.0}}
    slower = replace(knowing, members=[replace(member, seconds_per_soundscape=9.9) for member in knowing.members])
    made = TeacherBlend.of_recipe(knowing).as_json()
    assert made == TeacherBlend.of_recipe(slower).as_json() == {"recipe": to_json(knowing.without_costs())}
    assert [member["manifest"] for member in made["recipe"]["members"]] == [each.manifest for each in knowing.members]


@pytest.mark.parametrize(
    ("text", "weights"),
    [("p", {"p": 1.0}), ("p, q", {"p": 1.0, "q": 1.0}), (" p:2 ,q:0.5,", {"p": 2.0, "q": 0.5}), ("p:0,q", {"q": 1.0})],
)
def test_teachers_are_read_with_their_weights(text, weights):
    assert parse_teachers(text, None).weight_by_member == weights


@pytest.mark.parametrize(
    ("text", "why"),
    [("p:much", "cannot be read(.|\n)*p:much"), ("p,q:", "cannot be read"), (" , ", "there is no teacher")],
)
def test_teachers_that_cannot_be_read_are_refused(text, why):
    with pytest.raises(BadInput, match=why):
        parse_teachers(text, None)


def test_a_recipe_is_found_by_its_name_and_gives_its_members_weights(knowing):
    names = []
    teaching = parse_teachers("recipe:bold", lambda name: names.append(name) or knowing)
    assert (names, teaching.recipe) == (["bold"], knowing)
    assert teaching.weight_by_member == {"p": 0.5, "q": 0.5}
