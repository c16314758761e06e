"""The notebooks by hand, with nothing of ours but the percent script: jupytext converts it, papermill runs it."""

import re
from pathlib import Path

import jupytext.cli
import pytest
from click.testing import CliRunner
from papermill.cli import papermill

from build.notebooks.parameters import STANDARD_PARAMETERS, parameters_of
from build.notebooks.source import help_text
from build.project import ROOT

_SOURCES = sorted((ROOT / "notebooks_src").glob("*.py"))


def _converted(source: Path, folder: Path) -> Path:
    """The notebook that `jupytext --to ipynb` makes of the script."""
    made = folder / f"{source.stem}.ipynb"
    jupytext.cli.jupytext([str(source), "--quiet", "--to", "ipynb", "-o", str(made)])
    return made


@pytest.mark.parametrize("source", _SOURCES, ids=lambda source: source.stem)
def test_papermill_itself_shows_every_parameter_with_its_type_and_what_it_is_for(source: Path, tmp_path: Path):
    result = CliRunner().invoke(papermill, ["--help-notebook", str(_converted(source, tmp_path))])
    assert result.exit_code == 0
    listing = result.output.partition("Parameters inferred")[2]
    shown = re.findall(r"^  (\w+): (\S+) \(default .*?\)(?: +|\n {9,})\S", listing, re.MULTILINE)
    declared = dict(shown)  # of those that have a description, on their line or on the next
    known = parameters_of(source).values()
    assert declared == {p.name: p.kind for p in known}
    assert {p.base for p in known} <= {"str", "int", "float", "bool"}
    assert "(no description)" not in help_text(source)
    assert set(STANDARD_PARAMETERS) <= set(declared)


@pytest.mark.slow
def test_papermill_runs_a_converted_script_from_the_checkout(public: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(ROOT)  # where the kernel finds lib
    given = ["-p", "competition_dir", str(public), "-p", "output_dir", str(tmp_path / "out"), "-p", "n_folds", "3"]
    made = str(_converted(ROOT / "notebooks_src/01_data_prep.py", tmp_path))
    ran = CliRunner().invoke(papermill, [made, str(tmp_path / "done.ipynb"), *given, "--no-progress-bar"])
    assert ran.exit_code == 0, ran.output
    assert (tmp_path / "out/prepared/manifest.json").is_file()
