"""What the papers name exists: targets, paths, kernels, parameters. And nothing in git is what it should not be."""

import json
import re
import shlex
import subprocess
import tomllib

import pytest

from build import docs
from build.kernels.metadata import kernel_names
from build.project import ROOT
from lib.core.errors import BadInput

PAPERS = ["README.md", "CONTRIBUTING.md", "docs/guide.md", "docs/guards.md", "docs/results.md"]
GENERATED = ("dist", "runs", "data", "notebooks/", ".venv")
# what notebooks hand to each other
TRAVELLING = ("training/", "embedders/", "prepared/", "members/", "recipes/", "labels/")


def text(paper):
    return (ROOT / paper).read_text()


def make_targets():
    return set(re.findall(r"^([a-z-]+):.*## ", text("Makefile"), re.MULTILINE))


def tracked():
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return found.stdout.splitlines()


@pytest.mark.parametrize("paper", PAPERS)
def test_every_make_target_that_is_named_exists(paper):
    named = set(re.findall(r"`(?:[A-Z]+=\S+ )*make ([a-z-]+)", text(paper))) | set(
        re.findall(r"^(?:\$ )?make ([a-z-]+)", text(paper), re.MULTILINE)
    )
    assert named or paper == "docs/guards.md"
    assert named <= make_targets()


@pytest.mark.parametrize("paper", PAPERS)
def test_every_path_that_is_named_exists_or_is_generated(paper):
    paths = re.findall(r"`([\w./-]+/[\w./*-]*)`", text(paper)) + re.findall(r"\]\(([\w./-]+)\)", text(paper))
    assert paths or paper == "docs/results.md"
    for path in paths:
        if not path.startswith((*GENERATED, *TRAVELLING, "/", "kaggle/")):
            beside = (ROOT / paper).parent / path, ROOT / "lib" / path
            assert list(ROOT.glob(path.rstrip("/"))) or any(place.exists() for place in beside), path


def test_the_readme_names_every_kernel_and_every_kernel_has_a_source():
    for kernel in kernel_names(ROOT):
        assert kernel in text("README.md")
    assert len(kernel_names(ROOT)) == len(list((ROOT / "notebooks_src").glob("*.py"))) == 6


def test_help_lists_every_target():
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert make_targets() == set(re.findall(r"^  ([a-z-]+)", shown, re.MULTILINE))


def test_every_recipe_that_calls_code_calls_code_that_is_there():
    for module in re.findall(r"\$\(RUN\) -m (build\.\S+)", text("Makefile")):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


def test_source_folders_are_not_ignored_and_generated_ones_are():
    def ignored(path):
        return subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 0

    assert not any(ignored(f"{folder}/x.py") for folder in ("lib", "build", "lib/models", "notebooks_src", "tests"))
    assert all(ignored(f"{folder}/x") for folder in GENERATED)
    assert ignored("notebooks_src/02_fold_training.ipynb")


def test_git_holds_no_notebook_output_and_no_large_file():
    for path in tracked():
        assert not path.endswith((".ipynb", ".onnx", ".npz", ".ogg", ".parquet")), path
        assert (ROOT / path).stat().st_size < 400_000, path


def test_requirements_are_pinned_and_torch_is_capped():
    for path in ROOT.glob("requirements*.txt"):
        for line in path.read_text().splitlines():
            name = line.split("#")[0].strip()
            assert not name or "==" in name or "<" in name or name == "six", f"{path.name}: {line}"
    assert re.search(r"^torch==2\.13\.0$", text("requirements-train.txt"), re.MULTILINE)
    assert tomllib.loads(text("pyproject.toml"))["project"]["requires-python"] == ">=3.11"


def test_ci_runs_what_the_readme_says():
    run = text(".ci/run")
    assert all(f"make {target}" in run for target in ("lint", "test", "demo"))


def test_measured_blocks_are_replaced_between_their_marks_and_nowhere_else():
    before = "a\n<!-- demo -->\n```\n$ make demo\nold\n```\nb\n<!-- bench -->\n```\nold\n```\n"
    after = docs.replace_block(docs.replace_block(before, "demo", ["new", "er"]), "bench", ["x"])
    assert after == "a\n<!-- demo -->\n```\n$ make demo\nnew\ner\n```\nb\n<!-- bench -->\n```\nx\n```\n"
    with pytest.raises(BadInput, match="no block 'test'"):
        docs.paper_with({"README.md": before}, "test")


def test_the_pictures_show_the_notebooks_as_they_are():
    assert docs.stale_pictures() == [], "run `make docs ONLY=pictures`"


def test_a_picture_taken_before_a_parameter_was_renamed_is_stale(tmp_path, monkeypatch):
    record = json.loads(docs.RECORD.read_text())
    monkeypatch.setattr(docs, "RECORD", tmp_path / "pictures.json")
    docs.RECORD.write_text(json.dumps(record | {"lab.png": "0" * 16}))
    assert docs.stale_pictures() == ["lab.png"]


def test_the_readme_is_short_enough_to_be_read():
    assert len(text("README.md").splitlines()) <= 170


def test_the_papers_have_a_place_for_every_measurement():
    papers = {paper: text(paper) for paper in docs.PAPERS}
    for mark in docs.RUNS:
        paper = docs.paper_with(papers, mark)
        assert docs.replace_block(papers[paper], mark, ["x"]) != papers[paper]


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (["notebooks"], "all --data data/mini/public/birdclef-2026 --runs runs/mini"),
        (["notebooks", "DATA=real"], "all --data data/real/public/birdclef-2026 --runs runs/real"),
        (["notebooks", "DATA=/x", "RUNS=runs/y"], "all --data /x --runs runs/y"),
        (
            ["push-train", "P=fold=0", "WAIT=0"],
            "--no-wait --from kernels --data data/mini --runs runs/mini --set fold=0 train",
        ),
        (["lab", "LAB=--allow-root"], "-m build.lab --allow-root"),
        (["push-train", "GPU=1"], "-m build.push --gpu --from kernels --data data/mini --runs runs/mini train"),
    ],
)
def test_options_reach_the_code(words, called):
    shown = subprocess.run(["make", "-n", "-o", "setup", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert called in " ".join(shlex.split(shown.stdout))
