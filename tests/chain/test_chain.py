"""The whole chain: six notebooks, six kernels, and the kernel's submission sealed off.

On a few classes here, and under `make test-slow` on the contest's 234.
"""

import json
import shutil

import pandas as pd
import pytest

from build import inline, ladder, rehearse, run
from build.project import ROOT
from lib.competition.miniature.make import make_miniature
from lib.competition.miniature.spec import MiniatureSpec
from lib.judge.ledger import read_ledger
from lib.models.member.open import MEMBER_FAMILIES
from tests.support.pagecheck import faults_of

NOTEBOOKS = ["01", "02", "03", "04", "05"]
BARELY_TRAINED = [  # whether networks and heads learn is shown by `make demo`
    "-p",
    "01:n_folds=3",
    "-p",
    "02:epochs=1",
    "-p",
    "02:steps_per_epoch=2",
    "-p",
    "02:windows_per_clip=1",
    "-p",
    "03:heads=zero_shot,linear",
    "-p",
    "03:clip_windows=1",
    "-p",
    "03:draws=3",
    "-p",
    "04:gate=none",
    "-p",
    "04:steps_per_epoch=2",
    "-p",
    "04:leaky_folds=",
    "-p",
    "04:overrides=serve=folds",
]


@pytest.fixture(scope="module", params=["tiny", pytest.param("full_width", marks=pytest.mark.slow)])
def data(request, tmp_path_factory):
    """A miniature competition: tiny, or with the contest's 234 classes."""
    if request.param == "tiny":
        return request.getfixturevalue("mini")
    return make_miniature(tmp_path_factory.mktemp("wide") / "data", MiniatureSpec.full_width())


@pytest.fixture(scope="module")
def ran(data, standin_file, tmp_path_factory):
    """The folder of the runs after all six notebooks, the last on the rerun's files."""
    top = tmp_path_factory.mktemp("project")
    runs, dist = top / "runs" / "chain", top / "dist"
    common = ["--runs", str(runs), "--dist", str(dist)]
    hears = ["-p", f"03:embedder={standin_file}"]
    assert run.main([*NOTEBOOKS, "--data", str(data / "public/birdclef-2026"), *common, *BARELY_TRAINED, *hears]) == 0
    assert run.main(["06", "--data", str(data / "rerun/birdclef-2026"), *common]) == 0
    return runs


def test_the_submission_is_what_the_platform_wants(ran, data):
    submission = pd.read_csv(ran / "06_submission" / "submission.csv")
    sample = pd.read_csv(data / "rerun/birdclef-2026/sample_submission.csv")
    assert list(submission.columns) == list(sample.columns)
    assert list(submission.row_id) == list(sample.row_id)
    receipt = json.loads((ran / "06_submission" / "receipt.json").read_text())
    assert receipt["mode"] == "rerun"
    assert receipt["alarms"] == []
    assert 0 < receipt["seconds_per_soundscape"] < receipt["projected_minutes_600"] * 60


def test_the_rungs_and_both_recipes_are_there_and_noted_in_the_ledger(ran):
    members = {path.parent.name for path in ran.glob("*/members/*/member.json")}
    students = {path.parent.name for path in ran.glob("04_pseudo_labels/*/*/member.json")}  # in whichever folder
    assert students == {"small_student_r1"}
    assert members - students == {"l0_prior", "l1_statistics", "small_sed", "l3_zero_shot", "l3_linear"}
    cards = [json.loads(path.read_text()) for path in ran.glob("*/members/*/member.json")]
    assert {card["family"] for card in cards} == set(MEMBER_FAMILIES)
    assert {path.stem for path in (ran / "05_blend/recipes").glob("*.json")} == {"safe", "bold", "manifest", "measured"}
    questions = [line.question for line in read_ledger(ran.parent / "ledger.jsonl")]
    assert len(questions) == 8


def test_every_notebook_has_a_page_and_the_index_names_it(ran):
    dist = ran.parents[1] / "dist"
    index = (dist / "index.html").read_text()
    for source in (ROOT / "notebooks_src").glob("*.py"):
        assert (dist / f"{source.stem}.html").stat().st_size > 10_000
        assert f"{source.stem}.html" in index
        assert faults_of(dist / f"{source.stem}.html") == []


def test_the_ladder_scores_members_and_recipes_on_the_hidden_test(ran, data, tmp_path, capsys):
    competition, solution = data / "rerun/birdclef-2026", data / "hidden/solution.csv"
    where = ["--competition", str(competition), "--solution", str(solution), "--runs", str(ran)]
    assert ladder.main([*where, "--page", str(tmp_path / "ladder.html")]) == 0
    shown = capsys.readouterr().out
    assert all(rung in shown for rung in ("l0_prior", "l1_statistics", "small_sed", "safe", "bold"))
    assert "<svg" in (tmp_path / "ladder.html").read_text()


def test_the_built_kernel_gives_the_same_submission_sealed_from_checkout_and_network(ran, data):
    """Byte for byte: the kernel of this checkout against the notebook of this checkout, in both modes."""
    inline.build(ROOT)
    arguments = ["--data", str(data), "--outputs", str(ran), "--solution", str(data / "hidden/solution.csv")]
    assert rehearse.main([*arguments, "--mode", "both"]) == 0
    kept = ROOT / "dist" / "rehearsal"
    assert (kept / "here-rerun/submission.csv").read_bytes() == (ran / "06_submission/submission.csv").read_bytes()
    assert len(pd.read_csv(kept / "here-public/submission.csv")) == 3


def test_running_06_again_writes_the_same_bytes(ran, data, tmp_path):
    before = (ran / "06_submission/submission.csv").read_bytes()
    arguments = ["--data", str(data / "rerun/birdclef-2026"), "--runs", str(ran), "--dist", str(tmp_path)]
    assert run.main(["06", *arguments, "-p", f"output_dir={tmp_path / 'again'}"]) == 0
    assert (tmp_path / "again/submission.csv").read_bytes() == before


def test_two_builds_are_byte_identical(ran):
    def built():
        inline.build(ROOT)
        return {path.name: path.read_bytes() for path in (ROOT / "dist/kernels").rglob("*") if path.is_file()}

    assert built() == built()


def test_without_the_prior_06_stops_before_any_row_is_written(ran, data, tmp_path, capsys):
    inputs = shutil.copytree(ran, tmp_path / "inputs", ignore=shutil.ignore_patterns("l0_prior", "06_submission"))
    arguments = ["--data", str(data / "rerun/birdclef-2026"), "--runs", str(inputs), "--dist", str(tmp_path / "dist")]
    assert run.main(["06", *arguments]) == 1
    assert "no member l0_prior" in capsys.readouterr().err
    assert not (inputs / "06_submission" / "submission.csv").exists()
