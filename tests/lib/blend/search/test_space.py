"""What a search may change: weights and parameters land in the recipe, and what can change no score is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.blend.recipe import Mix, Part, Step
from lib.blend.search.space import (
    Candidate,
    SearchParameter,
    SearchSpace,
    is_plain_rank_blend,
    shrink_towards,
    to_permille,
)
from lib.core.errors import BadInput
from tests.support.tinyblend import recipe_of

SMOOTH = Step("smooth_windows", {"sigma": 0.5})
WARM = Step("temper", {"labels": ["a"], "temperature": 2.0})
RANKS = Step("percentile_ranks", {})
SIGMA = SearchParameter("all", "smooth_windows", "sigma", (0.0, 1.0))
TEMPERATURE = SearchParameter("all", "temper", "temperature", (0.5, 2.0))


def test_a_candidate_lands_in_the_recipe():
    recipe = recipe_of("pq", steps=[SMOOTH, WARM], part_steps=[SMOOTH], space="logit")
    made = SearchSpace(recipe, "all", (SIGMA,)).recipe_with(Candidate((250, 750), (1.0,)))
    assert [part.weight for part in made.mixes[0].parts] == [0.25, 0.75]
    wide = Step("smooth_windows", {"sigma": 1.0})
    assert made.mixes[0].steps == [wide, WARM]
    assert [part.steps for part in made.mixes[0].parts] == [[wide], [wide]]
    assert made.members == recipe.members


def test_the_start_is_the_recipe_as_it_is():
    space = SearchSpace(recipe_of("pq", steps=[SMOOTH], weights=[0.9, 0.1]), "all", (SIGMA,))
    assert space.start == Candidate((900, 100), (0.5,))
    assert space.recipe_with(space.start) == space.recipe


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9).filter(lambda shares: sum(shares) > 1e-3))
def test_permille_sum_to_a_thousand_and_are_nearest(shares):
    permille = to_permille(shares)
    assert sum(permille) == 1000
    assert np.abs(np.array(permille) - 1000 * np.array(shares) / sum(shares)).max() < 1.0


def test_shrinking_moves_by_the_share():
    assert shrink_towards((0.8, 0.2), (0.5, 0.5), 0.0) == (800, 200)
    assert shrink_towards((0.8, 0.2), (0.5, 0.5), 0.5) == (650, 350)
    assert shrink_towards((0.8, 0.2), (0.5, 0.5), 1.0) == (500, 500)


@pytest.mark.parametrize(
    ("recipe", "parameter"),
    [
        (recipe_of("pq", space="logit", steps=[WARM]), TEMPERATURE),
        (recipe_of("pq", space="logit", steps=[WARM, RANKS]), TEMPERATURE),
        (recipe_of("pq", space="rank", part_steps=[WARM]), TEMPERATURE),
        (recipe_of("pq", space="rank", part_steps=[WARM], steps=[SMOOTH]), TEMPERATURE),
        (recipe_of("p", space="logit", part_steps=[WARM]), TEMPERATURE),
    ],
    ids=["last", "then ranks", "before ranks", "before ranks and smoothing", "of one part"],
)
def test_a_rank_neutral_parameter_is_refused(recipe, parameter):
    with pytest.raises(BadInput, match=r"cannot change a score[\s\S]*every value has the same score"):
        SearchSpace(recipe, "all", (parameter,))


@pytest.mark.parametrize(
    "recipe",
    [
        recipe_of("pq", space="logit", steps=[WARM, SMOOTH]),
        recipe_of("pq", space="logit", part_steps=[WARM]),
        recipe_of("pq", space="rank", part_steps=[WARM, SMOOTH]),
        recipe_of("p", space="logit", part_steps=[WARM], steps=[SMOOTH]),
    ],
    ids=["smoothed later", "before a mean of logits", "smoothed before ranks", "of one part, smoothed"],
)
def test_a_rank_neutral_parameter_that_a_later_step_reads_is_not_refused(recipe):
    SearchSpace(recipe, "all", (TEMPERATURE,))


def stacked(second, space="logit"):
    first = recipe_of("pq", space="logit", steps=[WARM])
    return replace(first, mixes=[*first.mixes, replace(second, space=space)])


def test_the_effect_of_a_neutral_step_through_a_later_mix_counts():
    with pytest.raises(BadInput, match="cannot change a score"):
        SearchSpace(stacked(Mix("top", "rank", [Part("all", 0.5), Part("p", 0.5)]), "rank"), "all", (TEMPERATURE,))
    SearchSpace(stacked(Mix("top", "logit", [Part("all", 0.5), Part("p", 0.5)])), "all", (TEMPERATURE,))
    SearchSpace(stacked(Mix("top", "logit", [Part("all", 1.0, [SMOOTH])])), "all", (TEMPERATURE,))
    looks = Step("add_prior", {"member": "all", "strength": 0.5})
    SearchSpace(stacked(Mix("top", "logit", [Part("p", 1.0)], [looks])), "all", (TEMPERATURE,))


@pytest.mark.parametrize(
    ("recipe", "mix", "parameters", "fault"),
    [
        (recipe_of("pq"), "nobody", (), "no mix nobody"),
        (recipe_of("p"), "all", (), "nothing to search"),
        (recipe_of("pq"), "all", (SIGMA,), "cannot be searched"),
        (recipe_of("pq", steps=[SMOOTH]), "all", (replace(SIGMA, name="width"),), "cannot be searched"),
        (recipe_of("pq", steps=[SMOOTH]), "all", (replace(SIGMA, values=(1.0,)),), "cannot be searched"),
        (recipe_of("pq", steps=[SMOOTH]), "all", (replace(SIGMA, values=(1.0, 0.5)),), "cannot be searched"),
    ],
)
def test_what_cannot_be_searched_is_refused(recipe, mix, parameters, fault):
    with pytest.raises(BadInput, match=fault):
        SearchSpace(recipe, mix, parameters)


def test_only_a_plain_mean_of_ranks_can_be_counted():
    assert is_plain_rank_blend(recipe_of("pq"), "all")
    assert is_plain_rank_blend(recipe_of("pq", steps=[RANKS], part_steps=[SMOOTH]), "all")
    assert not is_plain_rank_blend(recipe_of("pq", space="logit"), "all")
    assert not is_plain_rank_blend(recipe_of("pq", steps=[SMOOTH]), "all")
    weighed = recipe_of("pq")
    own = [replace(weighed.mixes[0], class_weights={"a": [1.0, 0.0]})]
    assert not is_plain_rank_blend(replace(weighed, mixes=own), "all")
    later = [*weighed.mixes, Mix("top", "rank", [Part("all", 1.0)])]
    assert not is_plain_rank_blend(replace(weighed, mixes=later), "all")
