"""The receipt: what a submission was made of, how long it took, and what gave alarm."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
import soundfile

from lib.blend.recipe import Recipe
from lib.competition import fingerprint
from lib.models.session import ORT_VERSION


@dataclass(frozen=True)
class Receipt:
    """`receipt.json`."""

    mode: str
    recipe: str
    recipe_score: float
    recipe_interval: list[float]
    members: dict[str, float]
    inputs: dict[str, dict[str, str]]
    class_hash: str
    lib_fingerprint: str
    submission: str
    rows: int
    soundscapes: int
    seconds_per_soundscape: float
    projected_minutes_600: float
    stages_s: dict[str, float]
    constant_classes: list[str]
    alarms: list[str]
    versions: dict[str, str]


def versions() -> dict[str, str]:
    """What is running here: Python and the libraries a submission needs."""
    modules = (np, scipy, pd, soundfile)
    found = {module.__name__: module.__version__ for module in modules}
    return {"python": platform.python_version(), "onnxruntime": ORT_VERSION} | found


def named_inputs(
    competition: Path, recipes: Path, recipes_manifest: str, recipe: Recipe, members: Mapping[str, Path]
) -> dict[str, dict[str, str]]:
    """Which folder satisfied each input, and the fingerprint of what lay there: {input: {"path", "manifest"}}."""
    asked = [fingerprint.of_file(competition / table) for table in ("sample_submission.csv", "taxonomy.csv")]
    found = {"competition": (competition, fingerprint.of_json(asked)), "recipes": (recipes, recipes_manifest)}
    found |= {member.name: (members[member.name], member.manifest) for member in recipe.members}
    return {name: {"path": str(path), "manifest": manifest} for name, (path, manifest) in found.items()}


def make_receipt(
    asked, recipe: Recipe, inputs: dict, submission: str, clock, listened: int, scores, alarms: list[str]
) -> Receipt:
    """The receipt of one run; `listened` soundscapes went through the stage `listening`."""
    per_soundscape = clock.stages["listening"] / max(listened, 1)
    flat = np.ptp(scores.values, axis=0) == 0 if len(scores.row_ids) > 1 else np.zeros(len(scores.classes), dtype=bool)
    return Receipt(
        mode=asked.mode,
        recipe=recipe.name,
        recipe_score=recipe.score,
        recipe_interval=recipe.interval,
        members={member.name: member.weight for member in recipe.members},
        inputs=inputs,
        class_hash=recipe.class_hash,
        lib_fingerprint=fingerprint.of_lib(),
        submission=submission,
        rows=len(asked.row_ids),
        soundscapes=listened,
        seconds_per_soundscape=per_soundscape,
        projected_minutes_600=clock.projected_minutes(per_soundscape, "listening"),
        stages_s=clock.stages,
        constant_classes=np.array(scores.classes)[flat].tolist(),
        alarms=alarms,
        versions=versions(),
    )
