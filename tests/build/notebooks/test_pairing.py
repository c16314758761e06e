"""Paired notebooks: outputs stay, edits come back only on request, and no modification time decides anything."""

import os
import shutil
from pathlib import Path

import jupytext
import nbformat
import pytest

from build import lab
from build.notebooks.pairing import bring_back, pair, pairs_of, source_named
from build.project import ROOT
from lib.core.errors import BadInput

_HEADER = (ROOT / "notebooks_src/01_data_prep.py").read_text().partition("# %%")[0]
_SCRIPT = f"""{_HEADER}# %% [markdown]
# # A toy

# %% tags=["parameters"]
epochs: int = 1  # how often

# %%
print("a", epochs)

# %%
print("b")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with the real jupytext.toml and a toy script, paired, and run in JupyterLab."""
    shutil.copy(ROOT / "jupytext.toml", tmp_path)
    (tmp_path / "notebooks_src").mkdir()
    (tmp_path / "notebooks_src/01_toy.py").write_text(_SCRIPT)
    assert pair(tmp_path) == ["01_toy.ipynb: made of 01_toy.py"]
    _run_in_lab(tmp_path)
    return tmp_path


def _run_in_lab(root: Path, old: str = "", new: str = "", name: str = "01_toy") -> None:
    """Open the notebook, replace text in it, give each code cell an output, and save, with what JupyterLab adds."""
    manager = jupytext.TextFileContentsManager(root_dir=str(root))
    content = manager.get(f"notebooks/{name}.ipynb", type="notebook")["content"]
    content["metadata"]["kernelspec"]["display_name"] = "Another Python"
    content["metadata"]["language_info"] = {"name": "python", "version": "3.11.7", "file_extension": ".py"}
    for count, cell in enumerate(cell for cell in content["cells"] if cell["cell_type"] == "code"):
        cell["source"] = cell["source"].replace(old, new) if old else cell["source"]
        cell["execution_count"] = count
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": f"ran as {count}"}]
        cell["metadata"] |= {"trusted": True, "execution": {"iopub.status.busy": "2026-06-01T10:00:00Z"}}
    manager.save({"type": "notebook", "format": "json", "content": content}, f"notebooks/{name}.ipynb")


def _script(root: Path) -> Path:
    return root / "notebooks_src/01_toy.py"


def _edit_script(root: Path, old: str, new: str) -> None:
    assert old in _script(root).read_text()
    _script(root).write_text(_script(root).read_text().replace(old, new))


def _outputs(root: Path) -> dict[str, str]:
    """Source → printed text of the code cells that have an output."""
    notebook = nbformat.read(root / "notebooks/01_toy.ipynb", as_version=4)
    nbformat.validate(notebook)
    return {cell.source: cell.outputs[0].text for cell in notebook.cells if cell.get("outputs")}


def _everything(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and ".ipynb_" not in str(path)}


def test_running_and_saving_the_notebook_touches_no_script_and_is_no_edit(root: Path):
    assert _script(root).read_text() == _SCRIPT
    assert sorted(path.name for path in (root / "notebooks").glob("[!.]*")) == ["01_toy.ipynb", "made_of.json"]
    assert pair(root) == []
    assert bring_back(root, []) == []
    assert len(_outputs(root)) == 3


def test_an_edit_of_the_script_renews_the_notebook_and_keeps_the_outputs_of_other_cells(root: Path):
    _edit_script(root, 'print("b")', 'print("c")')
    assert pair(root) == ["01_toy.ipynb: renewed of 01_toy.py"]
    assert set(_outputs(root)) == {"epochs: int = 1  # how often", 'print("a", epochs)'}
    assert 'print("c")' in (root / "notebooks/01_toy.ipynb").read_text().replace("\\", "")
    assert pairs_of(root)[0].changed == "nothing"


def test_two_cells_that_say_the_same_keep_an_output_and_an_id_each(root: Path):
    _edit_script(root, 'print("b")', 'print("b")\n\n# %%\nprint("b")')
    pair(root)
    _run_in_lab(root)
    _edit_script(root, "# # A toy", "# # Another")
    pair(root)
    cells = nbformat.read(root / "notebooks/01_toy.ipynb", as_version=4).cells
    assert len({cell.id for cell in cells}) == len(cells) == 5
    assert [cell.outputs[0].text for cell in cells[1:]] == ["ran as 0", "ran as 1", "ran as 2", "ran as 3"]


def test_an_edit_of_the_notebook_reaches_the_script_only_when_asked(root: Path):
    _run_in_lab(root, "epochs: int = 1", "epochs: int = 2")
    assert pair(root) == ["01_toy.ipynb: kept; its edits are not in the script yet, `make unpair` brings them"]
    shown = bring_back(root, ["01"], dry=True)
    assert _script(root).read_text() == _SCRIPT
    assert bring_back(root, ["01"]) == shown
    assert [line for line in shown[0].splitlines() if line[0] in "+-"][2:] == [
        "-epochs: int = 1  # how often",
        "+epochs: int = 2  # how often",
    ]
    assert _script(root).read_text() == _SCRIPT.replace("= 1", "= 2")
    assert pair(root) == []
    _edit_script(root, "= 2", "= 3")  # each side may go on from here
    assert pair(root) == ["01_toy.ipynb: renewed of 01_toy.py"]


def test_only_the_notebooks_named_are_brought_back(root: Path):
    shutil.copy(_script(root), root / "notebooks_src/02_toy.py")
    pair(root)
    for name in ("01_toy", "02_toy"):
        _run_in_lab(root, "epochs: int = 1", "epochs: int = 2", name)
    assert len(bring_back(root, ["02"])) == 1
    assert [one.changed for one in pairs_of(root)] == ["notebook", "nothing"]


@pytest.mark.parametrize("newer", ["script", "notebook"])
def test_modification_times_decide_nothing(root: Path, newer: str):
    """git checkout gives a file the time of the checkout, whatever its content's age."""

    def scramble():
        times = {"script": _script(root), "notebook": root / "notebooks/01_toy.ipynb"}
        for name, path in times.items():
            os.utime(path, (2e9, 2e9) if name == newer else (1e9, 1e9))

    _run_in_lab(root, "epochs: int = 1", "epochs: int = 2")
    scramble()
    assert pairs_of(root)[0].changed == "notebook"
    bring_back(root, [])
    _edit_script(root, "= 2", "= 3")
    scramble()
    assert pairs_of(root)[0].changed == "script"
    pair(root)
    assert "= 3" in _script(root).read_text()
    scramble()
    assert pair(root) == []


def test_where_both_changed_nothing_is_written_and_the_way_out_is_said(root: Path):
    _run_in_lab(root, "epochs: int = 1", "epochs: int = 2")
    _edit_script(root, 'print("b")', 'print("c")')
    before = _everything(root)
    for refused in (pair, lambda root: bring_back(root, ["01"])):
        with pytest.raises(BadInput) as error:
            refused(root)
        assert "+epochs: int = 2" in str(error.value)
        assert "copy the edits to keep into the script, then delete notebooks/01_toy.ipynb" in str(error.value)
    assert _everything(root) == before
    _edit_script(root, "= 1", "= 2")
    (root / "notebooks/01_toy.ipynb").unlink()
    assert pair(root) == ["01_toy.ipynb: made of 01_toy.py"]


def test_the_same_edit_on_both_sides_is_no_clash(root: Path):
    _run_in_lab(root, "epochs: int = 1", "epochs: int = 2")
    _edit_script(root, "= 1", "= 2")
    assert pair(root) == []
    _edit_script(root, "= 2", "= 3")
    assert pair(root) == ["01_toy.ipynb: renewed of 01_toy.py"]


def test_without_its_memory_a_pair_that_differs_is_a_clash_and_not_a_guess(root: Path):
    (root / "notebooks/made_of.json").unlink()
    assert pair(root) == []  # both agree, which is recorded anew
    _edit_script(root, "= 1", "= 2")
    (root / "notebooks/made_of.json").unlink()
    with pytest.raises(BadInput, match="edited in the script and in the notebook"):
        pair(root)


def test_a_notebook_cut_short_is_named(root: Path):
    (root / "notebooks/01_toy.ipynb").write_text('{"cells": [')
    with pytest.raises(BadInput, match="cannot be read"):
        pair(root)


def test_every_source_goes_there_and_back_unchanged(tmp_path: Path):
    shutil.copytree(ROOT / "notebooks_src", tmp_path / "notebooks_src")
    shutil.copy(ROOT / "jupytext.toml", tmp_path)
    assert len(pair(tmp_path)) == 6
    for one in pairs_of(tmp_path):
        assert one.as_script() == one.script.read_text()
    assert (tmp_path / "notebooks/.gitignore").read_text() == "*\n"


def test_lab_opens_the_notebooks_or_their_sources():
    paired, source = (lab.lab_command("02", pairs, [])[-1] for pairs in (True, False))
    assert paired.endswith("/lab/tree/notebooks/02_fold_training.ipynb")
    assert source.endswith("notebooks_src/02_fold_training.py?factory=Jupytext%20Notebook")
    assert lab.lab_command("", True, ["--x"])[-2:] == ["--LabApp.default_url=/lab/tree/notebooks", "--x"]
    with pytest.raises(BadInput, match="does not name one notebook"):
        source_named(ROOT, "0")
