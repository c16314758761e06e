"""The editor test: JupyterLab in a real browser, an edit in 02, and what becomes of the percent script and its kernel.

`LAB_PICTURE=dist/lab.png` keeps a picture of what the browser showed.
"""

import os
import shutil
from difflib import ndiff
from pathlib import Path

import pytest

from build import inline
from build.project import ROOT
from tests.support.lab_browser import Notebook, browser, missing, served

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"the browser test needs {missing()}")]

_TREE = ("build", "lib", "notebooks_src", "kernel-metadata")
_KERNEL = "pantanal-02-fold-training"


def _copy_of_the_tree(root: Path, target: Path) -> Path:
    """The sources of the project, without anything generated."""
    for folder in _TREE:
        unwanted = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(root / folder, target / folder, ignore=unwanted)
    shutil.copy(root / "jupytext.toml", target)
    return target


@pytest.fixture
def project(mini: Path, prepared_folder: Path, tmp_path: Path) -> Path:
    """A copy of the project, with the tiny miniature where notebooks look for it, prepared."""
    copy = _copy_of_the_tree(ROOT, tmp_path / "project")
    shutil.copytree(mini, copy / "data/mini")
    shutil.copytree(prepared_folder, copy / "runs/mini/01_data_prep/prepared")
    return copy


def _built(root: Path) -> bytes:
    """The kernel of 02 as this tree gives it."""
    inline.build(root, names=[_KERNEL])
    return (root / "dist/kernels" / _KERNEL / f"{_KERNEL}.ipynb").read_bytes()


def test_an_edit_in_the_browser_changes_that_line_alone_and_builds_to_its_kernel(project: Path, tmp_path: Path):
    source = project / "notebooks_src/02_fold_training.py"
    before = source.read_text()
    with served(project, tmp_path / "home") as address, browser(1400, 1100) as window:
        window.get(address)
        notebook = Notebook(window, source.name)
        notebook.replace_word("baselines: bool =", "True", "False")
        drawn = notebook.run_down_to("spectrogram_row(spectrogram_examples")
        assert notebook.figures(drawn)
        assert notebook.errors() == []
        notebook.save()
        if picture := os.environ.get("LAB_PICTURE"):
            notebook.keep_in_view(notebook.figures(drawn)[0], height=210)
            window.save_screenshot(picture)
    assert not (project / "runs/mini/02_fold_training/members/l0_prior").exists()  # the kernel ran what was typed
    after = source.read_text()
    assert [line for line in ndiff(before.splitlines(True), after.splitlines(True)) if line[0] in "+-"] == [
        "- baselines: bool = True  # fit L0 and L1 too; runs that compare networks need not\n",
        "+ baselines: bool = False  # fit L0 and L1 too; runs that compare networks need not\n",
    ]
    other = _copy_of_the_tree(project, tmp_path / "other")
    typed = other / "notebooks_src" / source.name
    typed.write_text(before)
    unchanged = _built(other)
    typed.write_text(before.replace("baselines: bool = True", "baselines: bool = False"))
    assert _built(project) == _built(other) != unchanged


def test_a_notebook_runs_from_top_to_bottom_and_saving_its_outputs_changes_nothing(project: Path, tmp_path: Path):
    source = project / "notebooks_src/01_data_prep.py"
    before, files = source.read_bytes(), set(source.parent.glob("*.*"))
    with served(project, tmp_path / "home") as address, browser(1400, 1100) as window:
        window.get(address)
        notebook = Notebook(window, source.name)
        notebook.run_all()
        assert notebook.errors() == []
        assert len(notebook.figures()) > 5
        notebook.save()
    assert source.read_bytes() == before
    assert {path for path in source.parent.glob("*.*") if path.is_file()} == files
