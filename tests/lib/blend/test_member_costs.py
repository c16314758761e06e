"""A recipe's members have own and shared costs, and only those with an effect stay."""

from dataclasses import replace

import pytest

from lib.blend.member_costs import drop_unused_members, recipe_member, used_members
from lib.blend.recipe import Mix, Part, Recipe, RecipeMember, Step
from lib.core.records import check_seal
from lib.models.member.card import Measured, read_card


def recipe(*steps, class_weights=None):
    members = [RecipeMember(name, "m", 0.1) for name in "pqrst"]
    weights = {"p": 0.0, "q": 0.6, "r": 0.4, "s": 0.0}
    mixed = Mix("blend", "rank", [Part(*pair) for pair in weights.items()], list(steps), class_weights or {})
    return Recipe("bold", "hash", "folds", members, [mixed], "p", 0.0, [0.0, 0.0], 0)


def test_a_members_cost_is_its_cards(members, classes):
    folder = members / "l1_statistics"
    card = read_card(folder, classes)
    assert recipe_member(card, folder) == RecipeMember(card.name, check_seal(folder), card.measured.own_seconds)


def test_a_head_costs_its_own_seconds_and_shares_its_embedders(members, classes):
    folder = members / "l1_statistics"
    head = replace(read_card(folder, classes), measured=Measured(0.01, {"perch": 0.5}))
    made = recipe_member(head, folder)
    assert (made.seconds_per_soundscape, made.shared) == (0.01, {"perch": 0.5})


def test_used_members_have_a_weight_anywhere_or_are_read_by_a_step():
    assert used_members(recipe()) == {"q", "r"}
    assert used_members(recipe(class_weights={"a": [0.0, 0.5, 0.0, 0.5]})) == {"q", "r", "s"}
    assert used_members(recipe(Step("add_prior", {"member": "t", "strength": 0.1}))) == {"q", "r", "t"}


def test_a_member_of_fold_variants_only_is_kept_apart_and_costs_a_submission_nothing():
    variants = {"0": [Mix("blend", "rank", [Part("q", 0.5), Part("s", 0.5)])], "1": recipe().mixes}
    kept = drop_unused_members(replace(recipe(), by_fold=variants), {"q": 0.02}, {"p"})
    assert [member.name for member in kept.members] == ["p", "q", "r"]
    assert kept.fold_only_members == [RecipeMember("s", "m", 0.1)]
    assert kept.by_fold["0"] == variants["0"]
    assert [part.name for part in kept.by_fold["1"][0].parts] == ["p", "q", "r", "s"]
    again = drop_unused_members(kept, {}, {"p"})
    assert (again.fold_only_members, again.by_fold) == (kept.fold_only_members, kept.by_fold)


def test_dropping_unused_members_keeps_the_result_and_the_required_and_stores_each_value():
    kept = drop_unused_members(recipe(), {"q": 0.02, "r": 0.01}, {"p", "q"})
    assert {member.name: (member.required, member.value) for member in kept.members} == {
        "p": (True, 0.0),
        "q": (True, 0.02),
        "r": (False, 0.01),
    }
    assert kept.weights == pytest.approx({"p": 0.0, "q": 0.6, "r": 0.4})
