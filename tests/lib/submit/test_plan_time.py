"""The plan drops optional members by the score they add for each second, until the rest fits, and no more than that."""

import pytest

from lib.blend.costs import Costs, planned_costs
from lib.blend.recipe import RecipeMember
from lib.submit.budget import make_plan, plan_table
from tests.support.fakemachine import optional


def plan(members, soundscapes=600, workers=1, minutes=0.0, costs=None):
    return make_plan(
        members, costs or planned_costs(members), soundscapes=soundscapes, workers=workers, minutes=minutes
    )


ANCHOR = RecipeMember("anchor", "m", 3.0)


def test_what_fits_the_target_to_the_second_is_kept_and_a_second_more_is_not():
    assert plan([ANCHOR, optional("a", 4.5, 0.1)]).dropped == ()
    assert plan([ANCHOR, optional("a", 4.5, 0.1)]).end_minutes == 75.0
    assert plan([ANCHOR, optional("a", 4.51, 0.0001)]).dropped == ("a",)


def test_workers_share_the_soundscapes():
    assert plan([RecipeMember("anchor", "m", 15.0)], workers=4).end_minutes == pytest.approx(37.5)


def test_the_least_score_for_a_second_goes_first():
    members = [ANCHOR, optional("cheap", 0.5, 0.001), optional("good", 4.0, 0.02), optional("dear", 2.0, 0.003)]
    made = plan(members)
    assert made.dropped == ("dear",)
    assert made.kept == ("anchor", "cheap", "good")


def test_what_went_first_comes_back_if_it_fits_after_all():
    members = [ANCHOR, optional("small", 1.0, 0.001), optional("large", 6.0, 0.01)]
    made = plan(members)
    assert made.dropped == ("large",)
    assert made.kept == ("anchor", "small")


def test_required_members_stay_whatever_they_cost():
    made = plan([RecipeMember("anchor", "m", 30.0), optional("a", 1.0, 0.1)])
    assert made.kept == ("anchor",)
    assert made.end_minutes == 300.0


def test_all_users_of_a_shared_computation_are_dropped_together_since_only_then_it_is_saved():
    heads = [optional("a", 0.01, 0.001, perch=3.0), optional("b", 0.01, 0.001, perch=3.0)]
    network = optional("network", 3.0, 0.02)
    assert plan([ANCHOR, *heads, network]).dropped == ("a", "b")
    strong = [optional("a", 0.01, 0.02, perch=3.0), optional("b", 0.01, 0.01, perch=3.0)]
    assert plan([ANCHOR, *strong, network]).dropped == ("network",)


def test_heads_stay_while_a_required_member_needs_their_embedder():
    anchor = RecipeMember("anchor", "m", 0.0, {"perch": 6.0})
    for value in (0.0001, 0.001):  # worth less and worth more for a second than the network: it would save nothing
        made = plan([anchor, optional("head", 0.1, value, perch=6.0), optional("network", 3.0, 0.02)])
        assert made.dropped == ("network",)


def test_a_member_that_costs_nothing_is_not_dropped():
    assert plan([RecipeMember("anchor", "m", 30.0), optional("free", 0.0, 0.0)]).dropped == ()


def test_a_lost_hour_counts_and_slack_shrinks_with_what_is_left():
    members = [ANCHOR, optional("a", 4.5, 0.0001)]
    assert plan(members, soundscapes=300, minutes=37.5).dropped == ()
    assert plan(members, soundscapes=300, minutes=42.5).dropped == ()
    assert plan(members, soundscapes=300, minutes=43.0).dropped == ("a",)
    assert plan(members, soundscapes=8, minutes=83.8).dropped == ()  # one minute to come, and 1.13 fit


def test_a_few_soundscapes_are_left_to_the_prior_rather_than_a_members_scores_of_all():
    members = [ANCHOR, optional("a", 4.5, 0.02), optional("b", 0.5, 0.0005)]
    costs = planned_costs(members)

    def dropped_with_late(late, of=600):
        """What is dropped where so many of 100 soundscapes do not fit."""
        fit_minutes = (100 - late) * 8.0 / 60 * 85 / 75
        return make_plan(members, costs, soundscapes=100, workers=1, minutes=85 - fit_minutes, of=of).dropped

    assert dropped_with_late(0) == ()
    assert dropped_with_late(0.5) == ()  # of the 600 would lose 0.3 * 0.5 / 600 < 0.0005
    assert dropped_with_late(4) == ("b",)
    assert dropped_with_late(20) == ("b",)  # some still late, but fewer than what "a" is worth
    assert dropped_with_late(50) == ("a",)  # over 5 %
    assert dropped_with_late(20, of=100) == ("a",)


def test_the_table_has_seconds_minutes_value_and_plan():
    members = [ANCHOR, optional("a", 1.0, 0.02, perch=3.0), optional("slow", 20.0, 0.01)]
    costs = planned_costs(members)
    made = plan(members, workers=2)
    table = plan_table(members, costs, made, workers=2).set_index("item")
    assert table.loc["slow", "plan"] == "dropped"
    assert table.loc["anchor", "plan"] == "kept"
    assert table.loc["a", "minutes for 600"] == 5.0
    assert table.loc["a", "value"] == 0.02
    assert table.loc["a", "value per s"] == 0.005  # the embedder, which only it needs, is part of its price
    assert table.loc["perch, for 1 member", "s per soundscape"] == 3.0


def test_measured_costs_may_name_shared_things_by_any_key():
    costs = Costs({"anchor": 3.0, "a": 0.1}, {("tokens", "f00"): 9.0}, {("tokens", "f00"): frozenset("a")}, 0.1)
    members = [ANCHOR, optional("a", 0.1, 0.1)]
    made = plan(members, costs=costs)
    assert made.dropped == ("a",)
    assert "tokens, for 1 member" in set(plan_table(members, costs, made, workers=1).item)
