"""A run that fails, or fits the same again, breaks nothing: 06 executes the same recipe after it."""

import ast
from pathlib import Path

import pytest

from build import run
from build.notebooks.source import read_notebook
from build.project import ROOT

WRITERS = sorted((ROOT / "notebooks_src").glob("0[1-5]*.py"))


@pytest.mark.parametrize("source", WRITERS, ids=lambda source: source.stem)
def test_a_notebook_writes_only_aside_until_its_last_cell(source: Path):
    cells = [cell.source for cell in read_notebook(source).cells if cell.cell_type == "code"]
    direct = [node for node in ast.walk(ast.parse("\n".join(cells))) if isinstance(node, ast.BinOp)]
    assert not [ast.unparse(node) for node in direct if ast.unparse(node).startswith("output / ")]
    assert ["publish_outputs(staged" in cell for cell in cells] == [False] * (len(cells) - 1) + [True]


@pytest.mark.slow
def test_06_executes_its_recipe_after_a_failed_run_and_after_a_refit(mini, tmp_path):
    def notebooks(*arguments: str, mode: str = "public") -> int:
        folders = {"--data": mini / mode / "birdclef-2026", "--runs": tmp_path / "mine", "--dist": tmp_path / "dist"}
        return run.main([*arguments, *(str(word) for option in folders.items() for word in option)])

    def bytes_of(name: str) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in (tmp_path / "mine").glob(f"0*/{name}")}

    baselines = ["-p", "02:preset="]
    assert notebooks("01", "02", "05", "-p", "01:n_folds=3", *baselines) == 0
    assert notebooks("06", mode="rerun") == 0
    submission, members = bytes_of("submission.csv"), bytes_of("members/*/*")
    assert notebooks("02", "-p", "overrides=backbone=nonsense") == 1  # after L0 and L1 are fitted again
    assert bytes_of("members/*/*") == members
    assert notebooks("02", *baselines) == 0
    again = bytes_of("members/*/*")
    assert {Path(path).name for path in members if members[path] != again[path]} == {"measured.json", "manifest.json"}
    assert notebooks("06", mode="rerun") == 0
    assert bytes_of("submission.csv") == submission
