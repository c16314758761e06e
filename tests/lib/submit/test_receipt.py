"""The receipt records what ran, what was given up and when, what it cost, and which folders it came from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.blend.recipe import RecipeMember
from lib.core.records import check_seal, to_json
from lib.submit.budget import Clock
from lib.submit.engine import OpenedRecipe
from lib.submit.receipt import contest_plan, describe_inputs, make_receipt, member_table, peak_memory_mib, summarise
from lib.submit.rows import RequiredRows
from lib.submit.stream import DroppedMember, StreamResult
from lib.submit.timing import Meter, SoundscapeSeconds
from tests.support.fakemachine import CLASSES, optional, recipe_of, scores_of, soundscapes

FILES = soundscapes(8)
RECIPE_MEMBERS = [
    RecipeMember("prior", "m", 0.0),
    RecipeMember("anchor", "m", 1.0),
    optional("slow", 2.0, 0.01),
    optional("lost", 3.0, 0.02),
    optional("dear", 1.0, 0.001),
]


@pytest.fixture
def run():
    """(required, opened, clock, result) of 4 s of scoring on two threads: one member unavailable, one dropped."""
    recipe = recipe_of(RECIPE_MEMBERS, [0.4, 0.3, 0.2, 0.1])
    meter = Meter()
    for _ in FILES:
        meter.add(
            SoundscapeSeconds(
                0.25,
                {"prior": 0.0, "anchor": 0.5, "dear": 0.125},
                {("tokens", 1): 0.125},
                {("tokens", 1): {"dear"}},
                0.5,
            )
        )
    parts = {name: scores_of(name, FILES) for name in ("prior", "anchor", "dear")}
    result = StreamResult(parts, scores_of("prior", FILES), {"slow": DroppedMember("too slow", 12.5)}, (), meter, 2)
    opened = OpenedRecipe(recipe, recipe.without(["lost"]), {}, {"lost": "no such folder"})
    clock = Clock({"opening": 12.0, "scoring": 4.0}, now=lambda: 60.0)
    return RequiredRows("rerun", tuple(FILES), result.prior.row_ids, ()), opened, clock, result


def receipt_of(run, scores=None):
    required, opened, clock, result = run
    inputs = {"recipes": {"path": "there", "manifest": "abc"}}
    return make_receipt(required, opened, inputs, "abc", clock, result, scores or scores_of("a", FILES), ["x"], {})


def test_each_member_has_its_cost_and_the_reason_if_it_was_left_out(run):
    lines = {line.name: line for line in receipt_of(run).members}
    assert list(lines) == [member.name for member in RECIPE_MEMBERS]
    assert (lines["anchor"].planned_s, lines["anchor"].measured_s, lines["anchor"].left_out) == (1.0, 0.5, "")
    assert (lines["slow"].left_out, lines["slow"].left_out_minutes) == ("too slow", 12.5)
    assert (lines["lost"].left_out, lines["lost"].left_out_minutes) == ("no such folder", None)
    assert lines["lost"].measured_s is None
    assert [lines[name].weight for name in lines] == [0.0, 0.4, 0.3, 0.2, 0.1]
    assert (lines["dear"].measured_s, lines["dear"].measured_shared_s) == (0.25, 0.0)  # the tokens that it alone needs


def test_heads_on_one_embedder_show_its_seconds_apart_from_their_own(run):
    for _ in FILES:
        run[3].meter.add(SoundscapeSeconds(0.25, {"dear": 0.125}, {("tokens", 1): 0.125}, {("tokens", 1): {"anchor"}}))
    receipt = receipt_of(run)
    dear = next(line for line in receipt.members if line.name == "dear")
    assert (dear.measured_s, dear.measured_shared_s, dear.shared_with) == (0.125, 0.125, ["anchor"])
    shown = member_table(receipt).set_index("member")
    assert shown.loc["dear", "shared s, measured"] == "0.125"
    assert shown.loc["dear", "shared with"] == "anchor"
    assert "shared s, planned" not in shown  # nothing stands there
    assert not shown.isin(["nan", "None", "NaN"]).any().any()


def test_time_is_given_by_stage_by_soundscape_and_for_the_contest(run):
    receipt = receipt_of(run)
    assert receipt.seconds_per_soundscape == 0.5
    assert receipt.projected_minutes_600 == pytest.approx((12 + 300) / 60)
    assert receipt.shared_s == {"decoding": 0.25, "tokens": 0.125}
    assert receipt.overhead_ratio == 4.0 * 2 / (8 * 0.5)
    assert receipt.thread_utilization == pytest.approx(8 * 1.0 / (4.0 * 2))
    assert (receipt.soundscapes, receipt.scored, receipt.rows, receipt.workers) == (8, 8, 96, 2)


def test_the_projection_is_without_members_that_600_soundscapes_leave_no_time_for(run):
    required, opened, clock, result = run
    for _ in range(40):
        result.meter.add(SoundscapeSeconds(1.0, {"anchor": 9.0, "dear": 10.0}))
    clock.stages["scoring"] = 80.0  # eight soundscapes of 20 s on two threads
    assert contest_plan(opened, result, clock).dropped == ("dear",)
    receipt = receipt_of((required, opened, clock, result))
    assert receipt.dropped_at_600 == ["dear"]
    assert receipt.projected_minutes_600 == pytest.approx((12 + 600 * 5.0) / 60)


def test_flat_classes_are_named_and_alarms_passed_on(run):
    scores = scores_of("a", FILES)
    receipt = receipt_of(run, scores.with_values(np.where(np.arange(5) == 2, 0.5, scores.values)))
    assert receipt.constant_classes == [CLASSES[2]]
    assert receipt.alarms == ["x"]


def test_it_is_plain_json_with_versions(run):
    data = to_json(receipt_of(run))
    assert data["versions"]["onnxruntime"]
    assert data["members"][2]["left_out"] == "too slow"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc of Linux")
def test_peak_memory_is_what_the_system_calls_it():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    assert peak_memory_mib() == pytest.approx(int(line.split()[1]) / 1024, rel=0.01)


def test_every_input_is_named_with_its_folder_and_what_lay_there(public, tables, recipe, members, tmp_path):
    folders = {folder.name: folder for folder in members.iterdir()}
    opened = OpenedRecipe(recipe, recipe, {}, {}, folders)
    inputs = describe_inputs(public, tmp_path, "f" * 16, opened)
    assert set(inputs) == {"competition", "recipes", "l0_prior", "l1_statistics"}
    assert inputs["recipes"] == {"path": str(tmp_path), "manifest": "f" * 16}
    assert inputs["l0_prior"] == {"path": str(folders["l0_prior"]), "manifest": check_seal(folders["l0_prior"])}
    copied = describe_inputs(tables, tmp_path, "f" * 16, opened)["competition"]
    assert copied == {"path": str(tables), "manifest": inputs["competition"]["manifest"]}
    for table in ("sample_submission.csv", "taxonomy.csv"):
        with (tables / table).open("a") as file:
            file.write("\n")
        changed = describe_inputs(tables, tmp_path, "f" * 16, opened)["competition"]
        assert changed["manifest"] != copied["manifest"]
        copied = changed


def test_the_verdict_names_rows_members_minutes_and_alarms(run):
    receipt = receipt_of(run)
    text = summarise(receipt)
    assert "96 in submission.csv (rerun mode: 8 of 8 soundscapes scored)" in text
    assert "prior 0.00, anchor 0.40, dear 0.10; left out: slow, lost" in text
    assert f"{receipt.projected_minutes_600:.1f} of 90 for 600 soundscapes" in text
    assert text.endswith("ALARMS:   1\n  x")
    assert summarise(replace(receipt, alarms=[])).endswith("\nno alarms")
    assert "the prior's; timed on 8 training soundscapes" in summarise(replace(receipt, mode="public"))
