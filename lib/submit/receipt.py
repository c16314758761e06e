"""The receipt: what a submission was made of, what was given up, how long it took, and what gave alarm."""

import platform
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
import soundfile

from lib.blend.recipe import Recipe
from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.models.runtime.onnx import ORT_VERSION
from lib.submit.budget import CONTEST_SOUNDSCAPES, Clock, Plan, make_plan
from lib.submit.engine import OpenedRecipe, flat_classes
from lib.submit.rows import RequiredRows
from lib.submit.stream import StreamResult


@dataclass(frozen=True)
class MemberLine:
    """One member: what it weighs, what it was said to cost and did cost a soundscape, and why it is not in."""

    name: str
    weight: float
    required: bool
    value: float
    planned_s: float
    measured_s: float | None
    left_out: str
    left_out_minutes: float | None


@dataclass(frozen=True)
class Receipt:
    """`receipt.json`. `shared_s` are means a soundscape; `busy` is the share of the threads' time spent on soundscapes,
    `floor_ratio` all of their time over that inside sessions: what no engine could save.

    `would_go_at_600`: optional members that a contest's test set would not leave time for, which the projection is
    without.
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
    heard: int
    workers: int
    seconds_per_soundscape: float
    projected_minutes_600: float
    would_go_at_600: list[str]
    minutes: float
    busy: float
    floor_ratio: float | None
    peak_memory_mib: float
    stages_s: dict[str, float]
    constant_classes: list[str]
    alarms: list[str]
    versions: dict[str, str]
    runtimes: dict[str, str]


def versions() -> dict[str, str]:
    """What is running here: Python and the libraries a submission needs."""
    modules = (np, scipy, pd, soundfile)
    found = {module.__name__: module.__version__ for module in modules}
    return {"python": platform.python_version(), "onnxruntime": ORT_VERSION} | found


def peak_memory_mib() -> float:
    """The most memory this process ever held, in MiB, as Linux counts it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def named_inputs(
    competition: Path, recipes: Path, recipes_manifest: str, recipe: Recipe, members: Mapping[str, Path]
) -> dict[str, dict[str, str]]:
    """Which folder satisfied each input, and the fingerprint of what lay there: {input: {"path", "manifest"}}."""
    asked = [fingerprint.of_file(competition / table) for table in ("sample_submission.csv", "taxonomy.csv")]
    found = {"competition": (competition, fingerprint.of_json(asked)), "recipes": (recipes, recipes_manifest)}
    found |= {member.name: (members[member.name], member.manifest) for member in recipe.members}
    return {name: {"path": str(path), "manifest": manifest} for name, (path, manifest) in found.items()}


def make_receipt(
    asked: RequiredRows,
    opened: OpenedRecipe,
    inputs: dict[str, dict[str, str]],
    submission: str,
    clock: Clock,
    heard: StreamResult,
    scores: Scores,
    alarms: list[str],
    runtimes: dict[str, str],
) -> Receipt:
    """The receipt of one run, in which `scores` were written and the members' networks worked in these runtimes."""
    recipe, listening_s = opened.recipe, clock.stages["listening"]
    soundscapes = len(heard.prior.row_ids) // WINDOWS_PER_SOUNDSCAPE
    per_soundscape = listening_s / max(soundscapes, 1)
    lines, means = member_lines(opened, heard), heard.meter.means()
    contest, costs = contest_plan(opened, heard, clock), heard.meter.costs()
    kept_share = costs.of(contest.kept) / max(costs.of(heard.parts), 1e-9) if heard.meter.soundscapes else 1.0
    return Receipt(
        mode=asked.mode,
        recipe=recipe.name,
        recipe_score=recipe.score,
        recipe_interval=recipe.interval,
        members=lines,
        shared_s={name: seconds for name, seconds in means.items() if name not in {line.name for line in lines}},
        inputs=inputs,
        class_hash=recipe.class_hash,
        lib_fingerprint=fingerprint.of_lib(),
        submission=submission,
        rows=len(asked.row_ids),
        soundscapes=soundscapes,
        heard=heard.meter.soundscapes,
        workers=heard.workers,
        seconds_per_soundscape=per_soundscape,
        projected_minutes_600=clock.projected_minutes(per_soundscape * kept_share, "listening"),
        would_go_at_600=list(contest.dropped),
        minutes=clock.minutes,
        busy=heard.meter.busy_s() / max(listening_s * heard.workers, 1e-9),
        floor_ratio=listening_s * heard.workers / heard.meter.sessions_s if heard.meter.sessions_s else None,
        peak_memory_mib=peak_memory_mib(),
        stages_s=clock.stages,
        constant_classes=flat_classes(scores),
        alarms=alarms,
        versions=versions(),
        runtimes=runtimes,
    )


def contest_plan(opened: OpenedRecipe, heard: StreamResult, clock: Clock) -> Plan:
    """The plan for the contest's 600 soundscapes by the costs measured here, of those who listened to the end."""
    listening = [member for member in opened.left.members if member.name in heard.parts]
    other = sum(seconds for name, seconds in clock.stages.items() if name != "listening") / 60.0
    return make_plan(
        listening, heard.meter.costs(), soundscapes=CONTEST_SOUNDSCAPES, workers=heard.workers, minutes=other
    )


def member_lines(opened: OpenedRecipe, heard: StreamResult) -> list[MemberLine]:
    """A line for each member of the recipe, those that were left out too."""
    recipe, means, lines = opened.recipe, heard.meter.means(), []
    for member in recipe.members:
        gone = heard.dropped.get(member.name)
        left_out, minutes = (gone.why, gone.minutes) if gone else (opened.lost.get(member.name, ""), None)
        lines.append(
            MemberLine(
                name=member.name,
                weight=recipe.weights[member.name],
                required=member.required,
                value=member.value,
                planned_s=member.seconds_per_soundscape,
                measured_s=means.get(member.name),
                left_out=left_out,
                left_out_minutes=minutes,
            )
        )
    return lines
