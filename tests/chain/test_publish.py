"""The last mile, whole: `make push-infer`, `make submit`, `make submissions`, the real client, a loopback Kaggle."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from build import rehearse
from build.project import ROOT
from tests.support.kaggle.loopback_services import Competition, Run

SLUG = "pantanal-06-submission"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(mini, tmp_path_factory):
    """A copy of this checkout with a tiny competition, whose notebooks have run and whose kernel was rehearsed."""
    root = tmp_path_factory.mktemp("home") / "pantanal"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    shutil.copytree(mini, root / "data" / "mini")
    barely_trained = "-p 02:epochs=1 -p 02:steps_per_epoch=2"
    for command in (f"-m build.run 01 02 03 04 05 {barely_trained}", "-m build.inline --owner alice"):
        subprocess.run([sys.executable, *command.split()], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "build.rehearse", "--mode", "public"], cwd=root, check=True)
    return root


@pytest.fixture
def rehearsed(home):
    """What the rehearsal in public mode left, as Kaggle's commit run would leave it."""
    kept = home / "dist" / "rehearsal" / "here-public"
    return {name: (kept / name).read_bytes() for name in ("submission.csv", "receipt.json")}


def make(home, *words: str) -> subprocess.CompletedProcess:
    """`make` with these words, the environment as it is, nothing installed anew."""
    command = ["make", "-o", "setup", "-o", ".venv/.ready", f"RUN={sys.executable}", *words]
    return subprocess.run(command, cwd=home, env=os.environ, capture_output=True, text=True, timeout=300)


def test_push_wait_outputs_submit_score(home, rehearsed, kaggle):
    kaggle.state.next_runs = [Run(["COMPLETE"], outputs=dict(rehearsed))]
    kaggle.state.competitions["birdclef-2026"] = Competition(statuses=["COMPLETE"])
    pushed = make(home, "push-infer")
    assert pushed.returncode == 0, pushed.stderr
    kept = home / "runs" / "kaggle" / SLUG / "v1"
    assert (kept / "submission.csv").read_bytes() == rehearsed["submission.csv"]
    sent = make(home, "submit", "MESSAGE=first try")
    assert sent.returncode == 0, sent.stderr
    listed = make(home, "submissions")
    assert listed.returncode == 0, listed.stderr
    offline = json.loads(rehearsed["receipt.json"])["recipe_score"]
    assert all(word in listed.stdout for word in ("first try", "0.712", f"{offline:.3f}"[1:]))
    assert make(home, "status").stdout.count("COMPLETE") == 1


def test_what_kaggle_holds_runs_sealed_and_gives_the_same_submission(home, rehearsed, kaggle, monkeypatch, tmp_path):
    """Fetched back and run from the fetched text: byte for byte the submission of the rehearsal."""
    kaggle.state.next_runs = [Run(["COMPLETE"], outputs=dict(rehearsed))]
    shutil.rmtree(home / "runs" / "kaggle", ignore_errors=True)
    assert make(home, "push-infer").returncode == 0
    fetched = tmp_path / "fetched.ipynb"
    fetched.write_text(kaggle.state.GetKernel({"userName": "alice", "kernelSlug": SLUG})["blob"]["source"])
    described = json.loads((home / "dist" / "kernels" / SLUG / "kernel-metadata.json").read_text())
    monkeypatch.setattr(rehearse, "load_built_kernel", lambda root, slug: (fetched, described))
    arguments = ["--mode", "public", "--data", str(home / "data/mini"), "--outputs", str(home / "runs/mini")]
    assert rehearse.main(arguments, home) == 0
    again = home / "dist" / "rehearsal" / "here-public" / "submission.csv"
    assert again.read_bytes() == rehearsed["submission.csv"]


def test_a_refusal_stops_make_with_the_reason(home, kaggle):
    kaggle.state.token_active = False
    refused = make(home, "push-infer")
    assert refused.returncode != 0
    assert "kaggle.com/settings" in refused.stderr
    dry = make(home, "push-infer", "DRY=1", "OWNER=bob")
    assert dry.returncode == 0
    assert f'"slug": "bob/{SLUG}"' in dry.stdout
