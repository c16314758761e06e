"""Shared computations are counted once, as long as a member needs them."""

from lib.blend.costs import Costs, planned_costs, seconds_together, shared_name
from lib.blend.recipe import RecipeMember
from tests.support.fakemachine import optional


def test_a_shared_computation_is_counted_once_and_not_at_all_when_no_member_needs_it():
    costs = Costs({"a": 1.0, "b": 2.0, "c": 4.0}, {"perch": 16.0}, {"perch": frozenset("ab")}, decoding=0.5)
    assert costs.total({"a", "b", "c"}) == 23.5
    assert costs.total({"b", "c"}) == 22.5
    assert costs.total({"c"}) == 4.5
    assert costs.total(set()) == 0.5


def test_what_no_other_member_needs_is_a_members_own_and_the_rest_is_shared():
    needed = {"perch": frozenset("ab"), "mel": frozenset("c")}
    costs = Costs({"a": 1.0, "b": 2.0, "c": 4.0}, {"perch": 16.0, "mel": 0.5}, needed, decoding=8.0)
    assert [costs.apart(name) for name in "abc"] == [(1.0, 16.0, ["b"]), (2.0, 16.0, ["a"]), (4.5, 0.0, [])]


def test_a_member_alone_costs_its_embedder_too_and_heads_together_cost_it_once():
    heads = [optional("a", 1.0, 0.1, perch=3.0), optional("b", 2.0, 0.1, perch=3.0)]
    assert [seconds_together([head]) for head in heads] == [4.0, 5.0]
    assert seconds_together(heads) == 6.0


def test_the_recipe_holds_what_members_cost_and_share():
    members = [RecipeMember("prior", "m", 0.0), optional("a", 1.0, 0.1, perch=3.0), optional("b", 2.0, 0.1, perch=4.0)]
    costs = planned_costs(members)
    assert costs.own == {"prior": 0.0, "a": 1.0, "b": 2.0}
    assert costs.shared == {"perch": 4.0}
    assert costs.needed_by == {"perch": frozenset("ab")}
    assert costs.total({"prior", "b"}) == 6.0


def test_a_shared_computation_is_called_by_the_first_word_of_its_key():
    assert shared_name(("tokens", "0123")) == "tokens"
    assert shared_name("windows") == "windows"
