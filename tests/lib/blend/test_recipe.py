"""A recipe holds everything that changes a score, executes just that, and goes on without optional members."""

from dataclasses import replace

import numpy as np
import pytest

from lib.blend.mix import mix, percentile_ranks
from lib.blend.recipe import Mix, Part, Recipe, RecipeMember, Step
from lib.blend.recipe_file import load_recipe, load_recipes, save_recipe
from lib.blend.sidecar.apply import SidecarSettings, correct
from lib.blend.steps.registry import apply_step
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.core.records import MEASURED, check_seal, read_json, seal, to_json, write_json

ROWS = [row for n in range(4) for row in row_ids(f"BC2026_Test_{n:04d}_S{n:02d}_20250101_000000")]
FREE = SidecarSettings(cap=0.5, budget=0.1, max_active_share=1.0, min_top3=0.0, min_top10=0.0)


def scores(seed, classes=4):
    values = np.random.default_rng(seed).random((len(ROWS), classes))
    return Scores(values, ROWS, list("abcdefgh")[:classes], "prob")


@pytest.fixture
def parts():
    return {name: scores(seed) for seed, name in enumerate("pqrs")}


@pytest.fixture
def made():
    """Two networks by logits, then with the prior by ranks, then a sidecar."""
    smooth, scale = Step("smooth_windows", {"sigma": 0.5}), Step("scale_by_file", {"top_windows": 2, "power": 0.4})
    side = Step("sidecar", {"member": "s", "gate": {"a": 0.3, "c": 0.2}, "settings": to_json(FREE)})
    return Recipe(
        name="safe",
        class_hash="hash",
        fold_version="folds",
        members=[
            RecipeMember("p", "m1", 0.0),
            RecipeMember("q", "m2", 0.1, {"perch": 0.5}, required=False, value=0.02),
            RecipeMember("r", "m3", 0.2, required=False),
            RecipeMember("s", "m4", 0.2, required=False),
        ],
        mixes=[
            Mix("networks", "logit", [Part("q", 0.6, [smooth]), Part("r", 0.4)]),
            Mix("all", "rank", [Part("p", 0.25), Part("networks", 0.75)], [scale, side], {"b": [0.0, 1.0]}),
        ],
        prior="p",
        score=0.7,
        interval=[0.6, 0.8],
        scored_classes=30,
    )


@pytest.fixture
def with_variants(made):
    """The same with its variants without the labels of folds 0, where q weighs more, and 3, where t has a weight."""
    more = Mix("all", "rank", [Part("p", 0.1), Part("q", 0.9)], [made.mixes[1].steps[1]], {"b": [1.0, 0.0]})
    other = Mix("all", "rank", [Part("q", 0.5), Part("t", 0.5)], [Step("add_prior", {"member": "r", "strength": 0.1})])
    return replace(made, by_fold={"0": [more], "3": [other]}, fold_only_members=[RecipeMember("t", "m5", 0.3)])


def test_a_recipe_survives_its_file(made, with_variants, tmp_path):
    for recipe in (made, with_variants):
        save_recipe(tmp_path, recipe)
        assert load_recipe(tmp_path / "safe.json") == recipe


def test_the_seconds_of_members_are_no_part_of_a_recipes_identity(with_variants, tmp_path):
    slower = replace(with_variants, members=[replace(m, seconds_per_soundscape=9.0) for m in with_variants.members])
    identities = set()
    for recipe in (with_variants, slower):
        save_recipe(tmp_path, recipe)
        seal(tmp_path, "recipes")
        identities.add(check_seal(tmp_path))
        assert load_recipe(tmp_path / "safe.json") == recipe
    assert len(identities) == 1
    (tmp_path / MEASURED).write_text("{}")
    with pytest.raises(BadInput, match=r"missing .*seconds_per_soundscape"):
        load_recipe(tmp_path / "safe.json")


@pytest.mark.parametrize(
    ("file", "changes", "text"),
    [
        ("safe", {"members": 3}, "members is of another type"),
        ("safe", {"members": ["p"]}, r"members\[0\] is of another type"),
        ("safe", {"members": [{"name": ["p"]}]}, r"missing \["),
        ("safe", {"fold_only_members": {"t": 1}}, "fold_only_members is of another type"),
        ("safe", {"interval": [0.6]}, "an interval of 1 numbers"),
        ("safe", {"interval": "0.6 to 0.8"}, "interval is of another type"),
        ("safe", {"by_fold": [1]}, "by_fold is of another type"),
        ("safe", {"mixes": [{"name": "all", "space": 1, "parts": []}]}, r"mixes\[0\], space"),
        ("measured", {"safe": 3}, "seconds_per_soundscape"),
        ("measured", {"safe": {"p": [1]}}, "seconds_per_soundscape"),
        ("measured", {"safe": {"p": {"seconds_per_soundscape": "1"}}}, r"members\[0\], seconds_per_soundscape"),
    ],
)
def test_a_hand_edited_recipe_is_refused_by_the_place_of_the_fault(made, tmp_path, file, changes, text):
    save_recipe(tmp_path, made)
    path = tmp_path / f"{file}.json"
    write_json(path, read_json(path) | changes)
    with pytest.raises(BadInput, match=text):
        load_recipe(tmp_path / "safe.json")


def test_a_folds_variant_is_the_recipe_made_without_that_folds_labels(with_variants, made, parts):
    assert with_variants.for_fold(0).weights == pytest.approx({"p": 0.1, "q": 0.9, "r": 0.0, "s": 0.0, "t": 0.0})
    assert with_variants.for_fold(3).mixes == with_variants.by_fold["3"]
    result = with_variants.for_fold(3).execute(parts | {"t": scores(9)}).scores
    assert (result.values != made.execute(parts).scores.values).any()


def test_fold_variants_do_not_change_the_result(with_variants, made, parts):
    np.testing.assert_array_equal(with_variants.execute(parts).scores.values, made.execute(parts).scores.values)
    assert with_variants.weights == made.weights


@pytest.mark.parametrize("fold", [1, 4])
def test_a_recipe_fitted_on_a_folds_labels_cannot_make_pseudo_labels_there(with_variants, made, fold):
    with pytest.raises(
        BadInput, match=rf"is fitted on the labels of fold {fold}(.|\n)*\['0', '3'\](.|\n)*run 05 again"
    ):
        with_variants.for_fold(fold)
    with pytest.raises(BadInput, match="is fitted on the labels of fold 0"):
        made.for_fold(0)


def test_a_recipe_executes_its_mixes_and_steps(made, parts):
    smooth = apply_step(parts["q"], "smooth_windows", {"sigma": 0.5})
    networks = mix([smooth, parts["r"]], [0.6, 0.4], space="logit")
    whole = mix([parts["p"], networks], [0.25, 0.75], space="rank", class_weights={"b": [0.0, 1.0]})
    anchor = apply_step(whole, "scale_by_file", {"top_windows": 2, "power": 0.4})
    expected = correct(anchor, parts["s"], {"a": 0.3, "c": 0.2}, FREE).scores
    outcome = made.execute(parts)
    np.testing.assert_array_equal(outcome.scores.values, expected.values)
    assert outcome.alarms == ()
    assert (expected.values != percentile_ranks(anchor).values).any()


def test_the_members_weights_are_those_through_all_mixes(made):
    assert made.weights == pytest.approx({"p": 0.25, "q": 0.45, "r": 0.3, "s": 0.0})


def test_a_sidecar_that_breaks_a_guard_leaves_the_anchors_ranks_with_an_alarm(made, parts):
    strict = to_json(replace(FREE, max_active_share=0.0))
    steps = [made.mixes[1].steps[0], Step("sidecar", {"member": "s", "gate": {"a": 0.3}, "settings": strict})]
    guarded = replace(made, mixes=[made.mixes[0], replace(made.mixes[1], steps=steps)])
    bare = replace(made, mixes=[made.mixes[0], replace(made.mixes[1], steps=steps[:1])])
    outcome = guarded.execute(parts)
    np.testing.assert_array_equal(outcome.scores.values, percentile_ranks(bare.execute(parts).scores).values)
    assert "sidecar s: the anchor is kept" in outcome.alarms[0]


def test_without_a_member_the_others_keep_their_proportions_and_its_steps_go(made, parts):
    less = made.without({"q", "s"})
    assert less.weights == pytest.approx({"p": 0.25, "r": 0.75})
    assert [step.name for step in less.mixes[1].steps] == ["scale_by_file"]
    less.execute({name: parts[name] for name in "pr"})


def test_a_mix_whose_parts_are_all_gone_goes_too_and_overruled_classes_follow(made):
    less = made.without({"q", "r"})
    assert [mix.name for mix in less.mixes] == ["all"]
    assert less.weights == pytest.approx({"p": 1.0, "s": 0.0})
    assert less.mixes[0].class_weights == {"b": [1.0]}


def test_without_members_a_folds_variant_stays_if_a_member_is_left_there(with_variants):
    less = with_variants.without({"q", "s", "t"})
    assert (less.weights, list(less.by_fold)) == (pytest.approx({"p": 0.25, "r": 0.75}), ["0"])
    assert less.for_fold(0).mixes == [Mix("all", "rank", [Part("p", 1.0)], [], {"b": [1.0]})]
    assert less.fold_only_members == []
    with pytest.raises(BadInput, match="is fitted on the labels of fold 3"):
        less.for_fold(3)
    assert with_variants.without({"r"}).by_fold["3"][0].steps == []


def test_a_recipe_cannot_lose_its_prior(made):
    with pytest.raises(BadInput, match="no prior"):
        made.without({"p"})


def test_a_required_member_that_is_absent_is_named(made, parts):
    with pytest.raises(BadInput, match="no p; there are q, r, s"):
        made.execute({name: parts[name] for name in "qrs"})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda r: {"prior": "nobody"}, "no prior 'nobody'"),
        (lambda r: {"prior": "q"}, "no prior 'q' that is required"),
        (lambda r: {"members": [*r.members, r.members[0]]}, "p twice"),
        (lambda r: {"mixes": r.mixes[::-1]}, "all needs networks"),
        (lambda r: {"mixes": [replace(r.mixes[0], steps=[Step("magic", {})])]}, "unknown step magic"),
        (lambda r: {"mixes": [replace(r.mixes[0], steps=[Step("sidecar", {"member": "x"})])]}, "networks needs x"),
        (lambda r: {"mixes": [replace(r.mixes[0], space="dream")]}, "'dream'"),
        (lambda r: {"mixes": [replace(r.mixes[0], name="p")]}, "p twice"),
        (lambda r: {"mixes": []}, "no mix"),
        (lambda r: {"by_fold": {"2": []}}, "no mix, without fold 2"),
        (lambda r: {"by_fold": {"2": r.mixes[::-1]}}, "all needs networks, without fold 2"),
        (lambda r: {"by_fold": {"2": [Mix("all", "rank", [Part("t", 1.0)])]}}, "all needs t, without fold 2"),
        (
            lambda r: {
                "mixes": [Mix("all", "rank", [Part("t", 1.0)])],
                "fold_only_members": [replace(r.members[0], name="t")],
            },
            "all needs t",
        ),
        (lambda r: {"fold_only_members": r.members[:1]}, "p twice"),
        (lambda r: {"mixes": [replace(r.mixes[0], parts=[Part("p", 0.9)])]}, "0.9"),
        (lambda r: {"mixes": [replace(r.mixes[0], class_weights={"a": [0.5, 0.6]})]}, "0.6"),
    ],
)
def test_an_unusable_recipe_is_refused_with_its_error(made, change, error):
    with pytest.raises(BadInput, match=error):
        replace(made, **change(made))


def test_a_folders_recipes_come_safe_first_and_templates_last(made, tmp_path):
    for name in ("s4", "bold", "chain_a", "safe"):
        save_recipe(tmp_path, replace(made, name=name))
    (tmp_path / "manifest.json").write_text("{}")
    assert [recipe.name for recipe in load_recipes(tmp_path)] == ["safe", "bold", "chain_a", "s4"]
