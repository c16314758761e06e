"""What is shared is paid once, as long as anybody needs it."""

from lib.blend.recipe import Ingredient
from lib.submit.budget import Costs, planned_costs, thing_name
from tests.support.fakemachine import optional


def test_a_shared_thing_is_paid_once_and_not_at_all_when_nobody_needs_it():
    costs = Costs({"a": 1.0, "b": 2.0, "c": 4.0}, {"perch": 16.0}, {"perch": frozenset("ab")}, decoding=0.5)
    assert costs.of({"a", "b", "c"}) == 23.5
    assert costs.of({"b", "c"}) == 22.5
    assert costs.of({"c"}) == 4.5
    assert costs.of(set()) == 0.5


def test_the_recipe_says_what_members_cost_and_share():
    members = [Ingredient("prior", "m", 0.0), optional("a", 1.0, 0.1, perch=3.0), optional("b", 2.0, 0.1, perch=4.0)]
    costs = planned_costs(members)
    assert costs.own == {"prior": 0.0, "a": 1.0, "b": 2.0}
    assert costs.shared == {"perch": 4.0}
    assert costs.needed_by == {"perch": frozenset("ab")}
    assert costs.of({"prior", "b"}) == 6.0


def test_a_shared_thing_is_called_by_the_first_word_of_its_key():
    assert thing_name(("tokens", "0123")) == "tokens"
    assert thing_name("windows") == "windows"
