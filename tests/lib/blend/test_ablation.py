"""What each member and step adds: by removing it from the recipe, and by building the recipe up from nothing."""

from dataclasses import replace

import numpy as np
import pytest

from lib.blend.ablation import CLASS_WEIGHTS, ablate, member_values
from lib.blend.evaluate import count_won_pairs, evaluate, evaluation_folds, execute_by_fold, macro_of_won_pairs
from lib.blend.recipe import Mix, Part, Step
from lib.competition.scores import concat_scores
from lib.judge.bootstrap import bootstrap
from lib.judge.compare import paired_interval
from lib.judge.metric import judge
from tests.support.tinyblend import labels_of, noisy_scores, recipe_of

SMOOTH = Step("smooth_windows", {"sigma": 1.0})
SCALE = Step("scale_by_file", {"top_windows": 2, "power": 0.5})


@pytest.fixture
def labels():
    return labels_of()


@pytest.fixture
def parts(labels):
    noise = {"prior": 5.0, "good": 0.8, "fair": 1.5}
    return {name: noisy_scores(labels, size, n) for n, (name, size) in enumerate(noise.items())}


@pytest.fixture
def recipe():
    made = recipe_of(["prior", "good", "fair"], steps=[SMOOTH, SCALE])
    return replace(made, mixes=[replace(made.mixes[0], class_weights={"a": [0.0, 1.0, 0.0]})])


def score(recipe, parts, labels):
    return judge(labels, evaluate(recipe, parts, labels)).macro


def test_what_is_left_out_is_missed_by_the_difference_in_score(recipe, parts, labels):
    table = ablate(recipe, parts, labels, draws=50)
    gain = table[table.order == "left out"].set_index("component").gain
    whole = score(recipe, parts, labels)
    assert gain["good"] == pytest.approx(whole - score(recipe.without({"good"}), parts, labels))
    plainer = replace(recipe, mixes=[replace(recipe.mixes[0], steps=[SCALE])])
    assert gain["smooth_windows"] == pytest.approx(whole - score(plainer, parts, labels))
    even = replace(recipe, mixes=[replace(recipe.mixes[0], class_weights={})])
    assert gain[CLASS_WEIGHTS] == pytest.approx(whole - score(even, parts, labels))
    assert list(gain.index) == ["prior", "good", "fair", CLASS_WEIGHTS, "smooth_windows", "scale_by_file"]


def test_in_order_gains_climb_from_chance_to_the_whole(recipe, parts, labels):
    table = ablate(recipe, parts, labels, draws=50)
    joining = table[table.order == "in order"]
    assert joining.component.tolist() == ["prior", "good", "fair", CLASS_WEIGHTS, "smooth_windows", "scale_by_file"]
    assert joining.kind.tolist() == ["member"] * 3 + ["step"] * 3
    np.testing.assert_allclose(0.5 + joining.gain.cumsum(), joining.score, atol=1e-12)
    assert joining.score.iloc[-1] == pytest.approx(score(recipe, parts, labels))
    assert joining.score.iloc[0] == pytest.approx(judge(labels, parts["prior"]).macro)


def test_intervals_are_the_judges_on_shared_draws(recipe, parts, labels):
    table = ablate(recipe, parts, labels, draws=80)
    row = table[(table.component == "fair") & (table.order == "left out")].iloc[0]
    named = {"with": evaluate(recipe, parts, labels), "less": evaluate(recipe.without({"fair"}), parts, labels)}
    drawn = bootstrap(labels, named, draws=80)
    scored = {name: judge(labels, scores).macro for name, scores in named.items()}
    expected = paired_interval(scored, drawn, "with", "less")
    assert (row.low, row.high) == pytest.approx((expected.low, expected.high))


def test_a_members_value_is_what_the_blend_loses_without_it(recipe, parts, labels):
    values = member_values(recipe, parts, labels)
    assert list(values) == ["prior", "good", "fair"]
    assert values["good"] == pytest.approx(
        score(recipe, parts, labels) - score(recipe.without({"good"}), parts, labels)
    )
    assert values["good"] > values["fair"] > values["prior"]


def test_the_prior_can_be_missed_too_and_one_alone_is_missed_by_all_it_adds_to_chance(parts, labels):
    values = member_values(recipe_of(["prior", "good"]), parts, labels)
    both = score(recipe_of(["prior", "good"]), parts, labels)
    assert values["prior"] == pytest.approx(both - judge(labels, parts["good"]).macro)
    alone = member_values(recipe_of(["good"]), parts, labels)
    assert alone == {"good": pytest.approx(judge(labels, parts["good"]).macro - 0.5)}
    table = ablate(recipe_of(["good"]), parts, labels, draws=50)
    assert table.gain.tolist() == pytest.approx([alone["good"]] * 2)


def test_a_sidecars_member_comes_with_its_step_and_steps_of_several_mixes_are_kept_apart(parts, labels):
    made = recipe_of(["prior", "good", "fair"])
    mixes = [
        Mix("low", "rank", [Part("prior", 1.0)], [SMOOTH]),
        Mix(
            "top",
            "rank",
            [Part("low", 0.5), Part("good", 0.5, [SMOOTH])],
            [Step("add_prior", {"member": "fair", "strength": 0.1})],
        ),
    ]
    parts["fair"] = parts["fair"].with_values(1 / (1 + np.exp(-parts["fair"].values)), "prob")
    table = ablate(replace(made, mixes=mixes), parts, labels, draws=50)
    assert table[table.order == "in order"].component.tolist() == [
        "prior",
        "good",
        "smooth_windows in low",
        "smooth_windows in top",
        "add_prior fair in top",
    ]
    left_out = table[table.order == "left out"].set_index("component")
    assert left_out.gain["fair"] == left_out.gain["add_prior fair in top"] != 0


def test_a_searched_recipe_is_ablated_in_each_fold_as_it_was_chosen_without_it(parts, labels):
    chosen = [
        recipe_of(["prior", "good", "fair"], weights=list(weights))
        for weights in ((0.0, 0.5, 0.5), (0.0, 1.0, 0.0), (0.2, 0.3, 0.5))
    ]
    by_fold, whole = dict(enumerate(chosen)), recipe_of(["prior", "good", "fair"])
    table = ablate(whole, parts, labels, by_fold=by_fold, draws=50).set_index(["order", "component"])
    folds = evaluation_folds(parts, labels)
    nested = concat_scores([execute_by_fold(by_fold[fold.number], [fold]) for fold in folds])
    assert table.score["in order", "fair"] == pytest.approx(judge(labels, nested).macro)
    less = concat_scores([execute_by_fold(by_fold[fold.number].without({"fair"}), [fold]) for fold in folds])
    missed = judge(labels, nested).macro - judge(labels, less).macro
    assert table.gain["left out", "fair"] == pytest.approx(missed)
    assert member_values(whole, parts, labels, by_fold=by_fold)["fair"] == pytest.approx(missed)
    third = [0.5 * fold.pairs for fold in folds[:2]] + [count_won_pairs(recipe_of(["prior"]), folds)[2]]
    assert table.score["in order", "prior"] == pytest.approx(macro_of_won_pairs(np.stack(third), folds))
