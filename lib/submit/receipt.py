"""The receipt: what a submission was made of, what was given up, how long it took, and its alarms."""

import platform
import resource
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
import soundfile

from lib.blend.costs import Costs, planned_costs, shared_name
from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.cells import text_table
from lib.models.runtime.onnx import ORT_VERSION
from lib.submit.budget import BUDGET_MINUTES, CONTEST_SOUNDSCAPES, Clock, Plan, make_plan
from lib.submit.engine import OpenedRecipe, flat_classes
from lib.submit.rows import RequiredRows
from lib.submit.stream import StreamResult


@dataclass(frozen=True)
class MemberLine:
    """One member: its weight, its seconds a soundscape as planned and measured, and the reason if it was left out.

    Shared seconds are spent once for it and the members it shares them with; what it alone needs counts as its own.
    """

    name: str
    weight: float
    required: bool
    value: float
    planned_s: float
    planned_shared_s: float
    measured_s: float | None
    measured_shared_s: float | None
    shared_with: list[str]
    left_out: str
    left_out_minutes: float | None


@dataclass(frozen=True)
class Receipt:
    """`receipt.json`: what was executed, left out, measured and alarmed in one run.

    `scored` counts the soundscapes with scores of all kept members. `shared_s` are means a soundscape;
    `thread_utilization` is the share of the threads' time spent on soundscapes, `overhead_ratio` all of their time
    over that inside inference sessions, which no engine could save. `dropped_at_600` are optional members that a
    contest's test set would not leave time for, which the projection is without.
    """

    mode: str
    recipe: str
    recipe_score: float
    recipe_interval: list[float]
    members: list[MemberLine]
    shared_s: dict[str, float]
    inputs: dict[str, dict[str, str]]
    class_hash: str
    lib_fingerprint: str
    submission: str
    rows: int
    soundscapes: int
    scored: int
    workers: int
    seconds_per_soundscape: float
    projected_minutes_600: float
    dropped_at_600: list[str]
    minutes: float
    thread_utilization: float
    overhead_ratio: float | None
    peak_memory_mib: float
    stages_s: dict[str, float]
    constant_classes: list[str]
    alarms: list[str]
    versions: dict[str, str]
    runtimes: dict[str, str]


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries a submission needs."""
    modules = (np, scipy, pd, soundfile)
    found = {module.__name__: module.__version__ for module in modules}
    return {"python": platform.python_version(), "onnxruntime": ORT_VERSION} | found


def peak_memory_mib() -> float:
    """The most memory this process ever held, in MiB, as Linux counts it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def describe_inputs(
    competition: Path, recipes: Path, recipes_manifest: str, opened: OpenedRecipe
) -> dict[str, dict[str, str]]:
    """The folder used for each input, and the fingerprint of its content: {input: {"path", "manifest"}}."""
    tables = [fingerprint.of_file(competition / table) for table in ("sample_submission.csv", "taxonomy.csv")]
    found = {"competition": (competition, fingerprint.of_json(tables)), "recipes": (recipes, recipes_manifest)}
    members = opened.usable_recipe.members
    found |= {member.name: (opened.folders[member.name], member.manifest) for member in members}
    return {name: {"path": str(path), "manifest": manifest} for name, (path, manifest) in found.items()}


def make_receipt(
    required: RequiredRows,
    opened: OpenedRecipe,
    inputs: dict[str, dict[str, str]],
    submission: str,
    clock: Clock,
    result: StreamResult,
    scores: Scores,
    alarms: list[str],
    runtimes: dict[str, str],
) -> Receipt:
    """The receipt of one run that wrote `scores`, its members' networks executed in these runtimes."""
    recipe, scoring_s = opened.recipe, clock.stages["scoring"]
    soundscapes = len(result.prior.row_ids) // WINDOWS_PER_SOUNDSCAPE
    per_soundscape = scoring_s / max(soundscapes, 1)
    contest, costs = contest_plan(opened, result, clock), result.meter.costs()
    kept_share = 1.0
    if result.meter.soundscapes:
        kept_share = costs.total(contest.kept) / max(costs.total(result.member_scores), 1e-9)
    return Receipt(
        mode=required.mode,
        recipe=recipe.name,
        recipe_score=recipe.score,
        recipe_interval=recipe.interval,
        members=member_lines(opened, result),
        shared_s=_shared_by_name(result.meter.mean_costs()),
        inputs=inputs,
        class_hash=recipe.class_hash,
        lib_fingerprint=fingerprint.of_lib(),
        submission=submission,
        rows=len(required.row_ids),
        soundscapes=soundscapes,
        scored=result.meter.soundscapes,
        workers=result.workers,
        seconds_per_soundscape=per_soundscape,
        projected_minutes_600=clock.projected_minutes(per_soundscape * kept_share, "scoring"),
        dropped_at_600=list(contest.dropped),
        minutes=clock.minutes,
        thread_utilization=result.meter.busy_s() / max(scoring_s * result.workers, 1e-9),
        overhead_ratio=scoring_s * result.workers / result.meter.sessions_s if result.meter.sessions_s else None,
        peak_memory_mib=peak_memory_mib(),
        stages_s=clock.stages,
        constant_classes=flat_classes(scores),
        alarms=alarms,
        versions=versions(),
        runtimes=runtimes,
    )


def summarise(receipt: Receipt) -> str:
    """The verdict of a run: rows, members with their weights, minutes for the contest's size, and alarms."""
    source = f"{receipt.scored} of {receipt.soundscapes} soundscapes scored"
    if receipt.mode == "public":
        source = f"no test soundscapes, so the prior's; timed on {receipt.soundscapes} training soundscapes"
    kept = [f"{line.name} {line.weight:.2f}" for line in receipt.members if not line.left_out]
    left_out = [line.name for line in receipt.members if line.left_out]
    lines = [
        f"rows:     {receipt.rows} in submission.csv ({receipt.mode} mode: {source})",
        f"members:  {', '.join(kept)}" + (f"; left out: {', '.join(left_out)}" if left_out else ""),
        f"minutes:  {receipt.projected_minutes_600:.1f} of {BUDGET_MINUTES:.0f} for {CONTEST_SOUNDSCAPES} soundscapes, "
        f"at {receipt.seconds_per_soundscape:.3f} s each; this run took {receipt.minutes:.1f}",
        "no alarms" if not receipt.alarms else f"ALARMS:   {len(receipt.alarms)}",
    ]
    return "\n".join([*lines, *(f"  {alarm}" for alarm in receipt.alarms)])


def contest_plan(opened: OpenedRecipe, result: StreamResult, clock: Clock) -> Plan:
    """The plan for the contest's 600 soundscapes by the costs measured here, of the members kept to the end."""
    kept = [member for member in opened.usable_recipe.members if member.name in result.member_scores]
    other = sum(seconds for name, seconds in clock.stages.items() if name != "scoring") / 60.0
    costs = result.meter.costs()
    return make_plan(kept, costs, soundscapes=CONTEST_SOUNDSCAPES, workers=result.workers, minutes=other)


def member_lines(opened: OpenedRecipe, result: StreamResult) -> list[MemberLine]:
    """A line for each member of the recipe, including those that were left out."""
    recipe, lines = opened.recipe, []
    planned, measured = planned_costs(recipe.members), result.meter.mean_costs()
    for member in recipe.members:
        dropped, ran = result.dropped.get(member.name), member.name in measured.own
        own, shared, with_planned = planned.apart(member.name)
        measured_own, measured_shared, with_measured = measured.apart(member.name)
        lines.append(
            MemberLine(
                name=member.name,
                weight=recipe.weights[member.name],
                required=member.required,
                value=member.value,
                planned_s=own,
                planned_shared_s=shared,
                measured_s=measured_own if ran else None,
                measured_shared_s=measured_shared if ran else None,
                shared_with=with_measured if ran else with_planned,
                left_out=dropped.reason if dropped else opened.unavailable.get(member.name, ""),
                left_out_minutes=dropped.minutes if dropped else None,
            )
        )
    return lines


def _shared_by_name(costs: Costs) -> dict[str, float]:
    """The seconds of decoding and of the shared computations by their names, of which several may share one."""
    named = {"decoding": costs.decoding}
    for key, seconds in costs.shared.items():
        named[shared_name(key)] = named.get(shared_name(key), 0.0) + seconds
    return named


def member_table(receipt: Receipt) -> pd.DataFrame:
    """The members' lines as a table to read: seconds of their own, and those that several share and are spent once."""
    rows = [
        {
            "member": line.name,
            "weight": line.weight,
            "role": "required" if line.required else "optional",
            "value": line.value,
            "own s, planned": line.planned_s,
            "own s, measured": line.measured_s,
            "shared s, planned": line.planned_shared_s or None,
            "shared s, measured": line.measured_shared_s or None,
            "shared with": ", ".join(line.shared_with),
            "left out": line.left_out,
            "at minute": line.left_out_minutes,
        }
        for line in receipt.members
    ]
    return text_table(pd.DataFrame(rows))
