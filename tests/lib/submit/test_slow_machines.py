"""Slow machines: always a complete, valid file within the budget, and the receipt records what was given up."""

import numpy as np
import pytest

from lib.blend.recipe import RecipeMember
from lib.competition.classes import ClassList
from lib.submit.budget import BUDGET_MINUTES, GUARD_MINUTES, TARGET_MINUTES, Clock
from lib.submit.engine import OpenedRecipe, execute
from lib.submit.receipt import make_receipt
from lib.submit.rows import RequiredRows
from lib.submit.stream import WARMUP_SOUNDSCAPES, score_soundscapes
from lib.submit.writer import read_submission, write_submission
from tests.support.fakemachine import CLASSES, Machine, optional, recipe_of, scores_of, soundscapes

FILES = soundscapes(600)
COST_S = {"prior": 0.0, "anchor": 8.0, "big": 6.0, "small": 8.0}  # on four threads 55 minutes
RECIPE_MEMBERS = [
    RecipeMember("prior", "m", 0.0),
    RecipeMember("anchor", "m", 8.0),
    optional("big", 6.0, 0.02),
    optional("small", 8.0, 0.004),
]
RECIPE = recipe_of(RECIPE_MEMBERS, [0.5, 0.3, 0.2])


@pytest.fixture
def drill(monkeypatch, tmp_path):
    """Runs a submission on a machine: the receipt, the written table, and the minute at which it was written."""

    def run(machine, cost_s=COST_S):
        machine.installed(monkeypatch)
        clock = Clock(now=machine.now)
        members = {name: machine.member(name, seconds) for name, seconds in cost_s.items()}
        prior = scores_of("prior", FILES)
        with clock.stage("scoring"):
            result = score_soundscapes(FILES, members, RECIPE_MEMBERS, prior, clock)
        outcome = execute(RECIPE, result)
        written_as = write_submission(tmp_path / "submission.csv", outcome.scores, prior.row_ids, ClassList(CLASSES))
        required = RequiredRows("rerun", tuple(FILES), prior.row_ids, ())
        opened = OpenedRecipe(RECIPE, RECIPE, members, {})
        receipt = make_receipt(required, opened, {}, written_as, clock, result, outcome.scores, list(result.alarms), {})
        written = read_submission(tmp_path / "submission.csv")
        assert tuple(written.row_id) == prior.row_ids
        assert max(machine.at) / 60 < BUDGET_MINUTES
        return receipt, result, max(machine.at) / 60

    return run


def gone(receipt):
    return [line.name for line in receipt.members if line.left_out]


def check_kept_members_have_every_row(result):
    for name, part in result.member_scores.items():
        np.testing.assert_array_equal(part.values, scores_of(name, FILES).values)


def test_the_machine_of_the_plan_scores_all_soundscapes_with_all_members(drill):
    receipt, result, end = drill(Machine())
    assert gone(receipt) == []
    assert (receipt.scored, receipt.alarms) == (600, [])
    assert end == pytest.approx(55, abs=0.5)
    assert receipt.thread_utilization == pytest.approx(1.0, abs=0.01)
    check_kept_members_have_every_row(result)


def test_at_half_the_speed_the_member_worth_least_for_a_second_goes_after_the_first_soundscapes(drill):
    receipt, result, end = drill(Machine(slow=2.0))
    assert gone(receipt) == ["small"]
    line = receipt.members[-1]
    assert line.planned_s == 8.0
    assert line.measured_s == 16.0
    assert line.left_out_minutes < WARMUP_SOUNDSCAPES * 44 / 60
    assert "600" not in line.left_out
    assert receipt.scored == 600
    assert end < TARGET_MINUTES
    check_kept_members_have_every_row(result)


def test_at_a_quarter_of_the_speed_all_optional_members_go_and_every_soundscape_is_scored(drill):
    receipt, result, end = drill(Machine(slow=4.0))
    assert gone(receipt) == ["big", "small"]
    assert receipt.scored == 600
    assert end < GUARD_MINUTES
    check_kept_members_have_every_row(result)


def test_slower_than_the_required_allow_the_guard_leaves_the_rest_to_the_prior(drill):
    receipt, result, end = drill(Machine(slow=6.0))
    assert gone(receipt) == ["big", "small"]
    assert 400 < receipt.scored < 500
    assert f"{600 - receipt.scored} of 600 soundscapes were not scored in time" in receipt.alarms[-1]
    assert end <= GUARD_MINUTES
    rows = set(result.member_scores["anchor"].row_ids)
    assert len(rows) == 12 * receipt.scored


def test_a_short_stall_is_forgiven_and_a_long_one_costs_a_member(drill):
    receipt, _, end = drill(Machine(stall_at=60 * 25, stall_s=60 * 8))
    assert gone(receipt) == []
    assert end == pytest.approx(63, abs=0.5)
    receipt, result, end = drill(Machine(stall_at=60 * 25, stall_s=60 * 30))
    assert gone(receipt) == ["small"]
    assert receipt.members[-1].left_out_minutes == pytest.approx(55, abs=1)
    assert receipt.scored == 600
    assert end < GUARD_MINUTES
    check_kept_members_have_every_row(result)


def test_a_stall_near_the_end_is_the_guards(drill):
    receipt, _, end = drill(Machine(stall_at=60 * 52, stall_s=60 * 33.5))
    assert GUARD_MINUTES < end < GUARD_MINUTES + 1
    assert 550 < receipt.scored < 600
    assert gone(receipt) == ["big", "small"] or "not scored in time" in receipt.alarms[-1]


def test_one_slow_member_goes_whatever_its_value_for_a_second_was_planned_to_be(drill):
    receipt, result, end = drill(Machine(), COST_S | {"big": 60.0})
    assert gone(receipt) == ["big"]
    assert receipt.members[2].measured_s == 60.0
    assert end < TARGET_MINUTES
    check_kept_members_have_every_row(result)


def test_with_half_the_cores_the_plan_is_made_for_half(drill):
    receipt, result, end = drill(Machine(threads=2))
    assert (receipt.workers, gone(receipt)) == (2, ["small"])
    assert end < TARGET_MINUTES
    check_kept_members_have_every_row(result)


def test_what_ends_at_the_minute_of_a_member_gone_is_projected_for_the_next_run(drill):
    receipt, _, _ = drill(Machine(slow=2.0))
    assert receipt.dropped_at_600 == []
    assert receipt.projected_minutes_600 == pytest.approx(receipt.stages_s["scoring"] / 60)
