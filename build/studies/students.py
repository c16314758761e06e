"""Compare variants of pseudo-labels: networks of several seeds, trained on each variant, on the hidden test.

python -m build.studies.students                           the labels that 04 left in runs/mini
python -m build.studies.students --seeds 1,2,3,4 --steps 400
python -m build.studies.students --only "soft, gated" --steps 1200      one variant

Every network is trained on all labelled data, and all take as many steps: the control, without pseudo-labels, too. Last
come the share of its teachers' gain over L1 that one network keeps, by subgroup of the test, and what it saves.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from build.cli.exit_codes import Parser, end, tool
from build.pages.page import PagePart, write_page
from build.project import ROOT, display_path
from lib.competition.classes import read_class_list
from lib.competition.prepared import load_prepared
from lib.competition.row_ids import Soundscape, parse_soundscape, row_ids
from lib.competition.scores import Labels, Scores
from lib.competition.tables import read_solution
from lib.core.errors import BadInput
from lib.core.paths import by_name, cache_folder, find_artifact, find_artifacts
from lib.judge.bootstrap import LEVEL, scores_with_intervals
from lib.judge.compare import paired_interval
from lib.judge.metric import judge
from lib.judge.subgroups import list_subgroups
from lib.learn.network.config import NetworkPlan, override
from lib.learn.network.full_data import fit_full_data_networks
from lib.learn.network.presets import find_preset
from lib.learn.soft_labels.store import open_soft_labels
from lib.models.export.network import export_network
from lib.models.export.parity import onnx_runner
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.open import open_member
from lib.models.member.windows import mean_probabilities
from lib.models.network.network import Network
from lib.pseudo.student_gain import kept_table
from lib.show.pseudo import kept_by_subgroup
from lib.sound.decode import decode
from lib.submit.rows import required_rows

Predict = Callable[[SoundscapeInputs], np.ndarray]  # (12, classes) probabilities of a soundscape

CONTROL, FLOOR = "no pseudo-labels", "l1_statistics"
PSEUDO_LABELLED = {"pseudo_ratio": 1.0, "gate": "percentile"}
VARIANTS: dict[str, dict[str, Any]] = {  # differences to the control; "pooled" goes to the training, not to the plan
    CONTROL: {},
    "soft, gated": PSEUDO_LABELLED,
    "soft, to the power 1.54": PSEUDO_LABELLED | {"soft_power": 1.54},
    "argmax": PSEUDO_LABELLED | {"targets": "argmax"},
    "labelled soundscapes too": PSEUDO_LABELLED | {"pooled": True},
}


@dataclass(frozen=True, eq=False)
class StudentComparison:
    """A row a variant; the gain of its teachers that one network keeps, a row a subgroup; and a sentence on costs."""

    variants: pd.DataFrame
    kept: pd.DataFrame
    costs: str


@dataclass(frozen=True, eq=False)
class _HiddenTest:
    """The soundscapes of the hidden test, decoded, and their labels."""

    soundscapes: list[Soundscape]
    audio: list[np.ndarray]
    truth: Labels

    def score(self, predict: Predict) -> tuple[Scores, float]:
        """The scores of all windows, and the seconds of CPU a soundscape."""
        start, tables = time.process_time(), []
        for soundscape, audio in zip(self.soundscapes, self.audio, strict=True):
            inputs = SoundscapeInputs(soundscape, audio)  # new ones, so that no model profits from another's work
            tables.append(predict(inputs))
        seconds = (time.process_time() - start) / len(self.soundscapes)
        rows = tuple(row for soundscape in self.soundscapes for row in row_ids(soundscape.stem))
        return Scores(np.concatenate(tables).astype(np.float32), rows, self.truth.classes, "prob"), seconds


def compare(options: argparse.Namespace) -> StudentComparison:
    """Train the variants and score them, their teachers and the floor on the hidden test."""
    public, rerun = (options.data / part / "birdclef-2026" for part in ("public", "rerun"))
    classes, prepared_folder = read_class_list(public), find_artifact("prepared", str(options.runs))
    prepared = load_prepared(prepared_folder)
    truth, files = read_solution(options.data / "hidden/solution.csv", classes), required_rows(rerun).soundscapes
    folders = by_name(find_artifacts("member", str(options.runs)))
    if FLOOR not in folders:
        raise BadInput(
            f"the floor {FLOOR} is missing, over which gains are measured",
            expected=f"{FLOOR} among the members of {options.runs}",
            got=", ".join(sorted(folders)),
            do="run 02 with baselines=True",
        )
    label_folder = _labels(options)
    audio = [decode(file) for file in files]
    test = _HiddenTest([parse_soundscape(file.name) for file in files], audio, truth)
    scores: dict[str, dict[int, Scores]] = {}
    student_seconds = 0.0
    for name, differences in VARIANTS.items():
        if name not in (options.only or VARIANTS):
            continue
        plan = override(find_preset(options.preset), steps_per_epoch=options.steps // 4, epochs=4)
        plan = override(plan, **{key: value for key, value in differences.items() if key != "pooled"})
        networks = fit_full_data_networks(
            plan,
            prepared_folder,
            public,
            options.runs / "students" / "members" / name.replace(" ", "_"),
            cache_folder=cache_folder(options.runs),
            seeds=options.seeds,
            labels=label_folder if differences else None,
            pooled="pooled" in differences,
            others=folders,
        )
        scored = {seed: test.score(_export(plan, network, audio[0])) for seed, network in networks.items()}
        scores[name] = {seed: one for seed, (one, _) in scored.items()}
        student_seconds = min(seconds for _, seconds in scored.values())
        print(f"{name}: {[round(judge(truth, one).macro, 4) for one in scores[name].values()]}", flush=True)
    card = open_soft_labels(label_folder, classes, prepared.folds).card
    members = [open_member(folders[name], classes) for name in card.teachers]
    teachers, teacher_seconds = test.score(lambda each: np.mean([member.score(each) for member in members], axis=0))
    floor, _ = test.score(open_member(folders[FLOOR], classes).score)
    first = next((name for name in scores if name != CONTROL), CONTROL)
    student = next(iter(scores[first].values()))
    kept = kept_table(truth, student, teachers, floor, list_subgroups(prepared, labels=truth))
    costs = (
        f"teachers ({', '.join(card.teachers)}) {judge(truth, teachers).macro:.3f} at {1000 * teacher_seconds:.0f} ms "
        f"of CPU a soundscape, one network {1000 * student_seconds:.0f} ms, {student_seconds / teacher_seconds:.0%}; "
        "without decoding"
    )
    return StudentComparison(variant_table(scores, truth), kept, costs)


def _export(plan: NetworkPlan, network: Network, audio: np.ndarray) -> Predict:
    """The network as it runs in a submission: exported to ONNX for spectrograms of such audio's shape."""
    spec = plan.window_spec
    shape = spec.spectrograms(audio, plan.front_end).shape
    with tempfile.TemporaryDirectory() as folder:
        export_network(network, Path(folder) / "network.onnx", *shape[2:])
        run = [onnx_runner(Path(folder) / "network.onnx")]
    return lambda each: mean_probabilities(spec.spectrograms(each.require_audio(), plan.front_end), spec, run)


def variant_table(scores: dict[str, dict[int, Scores]], truth: Labels) -> pd.DataFrame:
    """A row a variant: mean and spread over seeds, the gain over the control seed by seed and by redrawn recordings."""
    alone = {name: np.array([judge(truth, one).macro for one in of.values()]) for name, of in scores.items()}
    together = {
        name: next(iter(of.values())).with_values(np.mean([one.values for one in of.values()], axis=0))
        for name, of in scores.items()
    }
    found = scores_with_intervals(truth, together)
    scored = {name: each.macro for name, each in found.items()}
    drawn = {name: each.drawn for name, each in found.items()}
    rows = []
    for name, values in alone.items():
        row = {"variant": name, "hidden test": values.mean(), "all seeds together": scored[name]}
        if CONTROL in alone and name != CONTROL:
            gains = values - alone[CONTROL]
            low, high = gains.mean() - _reach(gains), gains.mean() + _reach(gains)
            row |= {"gain": f"{gains.mean():+.3f}", "90 % over seeds": f"[{low:+.3f}, {high:+.3f}]"}
            row |= {"together": f"{scored[name] - scored[CONTROL]:+.3f}"}
            row |= {"90 % over recordings": str(paired_interval(scored, drawn, name, CONTROL))}
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def _reach(gains: np.ndarray) -> float:
    """Half the width of the mean's interval over seeds, by Student's t distribution."""
    if len(gains) < 2:
        return float("nan")
    return float(stats.t.ppf((1 + LEVEL) / 2, len(gains) - 1) * gains.std(ddof=1) / len(gains) ** 0.5)


def _labels(options: argparse.Namespace) -> Path:
    """The folder of soft labels: the one that is named, or the only one of the runs."""
    found = find_artifacts("labels", str(options.runs))
    chosen = [folder for folder in found if options.labels in ("", folder.name)]
    if len(chosen) != 1:
        raise BadInput(
            "the soft labels to train on are ambiguous or missing",
            expected=f"one of {', '.join(folder.name for folder in found) or 'none: run 04'}",
            got=options.labels or "no --labels",
            do="set --labels to one of them",
        )
    return chosen[0]


@tool
def main(arguments: list[str] | None = None) -> int:
    """Print the table and write its page; 0 when all networks are trained."""
    parser = Parser(__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/mini", help="where 01 to 04 left their outputs")
    parser.add_argument("--data", type=Path, default=ROOT / "data/mini", help="a competition with a hidden solution")
    parser.add_argument(
        "--only", action="append", choices=list(VARIANTS), help="train this variant; may be given repeatedly"
    )
    parser.add_argument("--labels", default="", help="the name of the soft labels; default: the only ones")
    parser.add_argument("--preset", default="small_sed", help="the network")
    parser.add_argument("--steps", type=int, default=400, help="batches that each network is trained on")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[1, 2, 3, 4])
    parser.add_argument("--page", type=Path, default=ROOT / "dist/students.html", help="where the page goes")
    options = parser.parse_args(arguments)
    found = compare(options)
    for rows in (found.variants, found.kept):
        print(rows.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    print(found.costs)
    prose = f"Single networks of {options.steps} steps, {len(options.seeds)} seeds, on the hidden test."
    parts: list[PagePart] = [
        prose,
        found.variants,
        "# Share of the teachers' gain over L1 that one network keeps",
        found.costs,
        kept_by_subgroup(found.kept),
        found.kept,
    ]
    write_page(options.page, "Variants of pseudo-labels", parts)
    print(f"page: {display_path(options.page)}")
    return 0


if __name__ == "__main__":
    end(main)
