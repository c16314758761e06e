"""What comes after the last submission cannot cost it: no cell of 06 raises, whatever its inputs have become."""

import ast

from build.notebooks.source import read_notebook
from build.project import ROOT
from lib.submit.never_fails import never_fails


def test_a_result_passes_through_and_an_error_becomes_a_line(capsys):
    assert never_fails(lambda a, b: a + b)(1, b=2) == 3

    @never_fails
    def table():
        raise KeyError("score")

    assert table() is None
    assert capsys.readouterr().out == "ALARM: no table: KeyError: 'score'\n"


def test_no_cell_of_06_after_the_last_write_raises_whatever_is_missing(capsys):
    cells = [cell.source for cell in read_notebook(ROOT / "notebooks_src/06_submission.py").cells]
    last = max(number for number, source in enumerate(cells) if "write_submission(" in source)
    code = [
        cell.source
        for cell in read_notebook(ROOT / "notebooks_src/06_submission.py").cells[last + 1 :]
        if cell.cell_type == "code"
    ]
    names = {"never_fails": never_fails}
    for source in code:
        exec(source, names)  # neither receipt nor result nor anything else of the cells above is there
    views = [node.name for source in code for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1] for line in printed] == [f" no {name}" for name in views]
    assert len(views) >= 6
