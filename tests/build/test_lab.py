"""JupyterLab on percent scripts: saving leaves only the edit, and the project's settings reach the server."""

import json
import os
import shutil
from difflib import unified_diff
from pathlib import Path

import jupytext
import pytest

from build import lab
from build.notebooks.source import KERNELSPEC
from build.project import ROOT

_HEADER = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---
"""
_SOURCE = f"""{_HEADER}
# %% [markdown]
# # A toy
#
# With *prose* and $x^2$.

# %% tags=["parameters"]
epochs: int = 1  # how often

# %% tags=["hide-input"]
for epoch in range(epochs):

    print(epoch)


def doubled(x):
    return 2 * x


# %%
doubled(epochs)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the real jupytext.toml and one source in a subfolder."""
    shutil.copy(ROOT / "jupytext.toml", tmp_path)
    (tmp_path / "notebooks_src").mkdir()
    (tmp_path / "notebooks_src/01_toy.py").write_text(_SOURCE)
    return tmp_path


def _saved_as_lab_does(project: Path, name: str, old: str = "", new: str = "") -> None:
    """Open the source, run it, replace text in its code, and save it, with all that JupyterLab adds to the notebook."""
    manager = jupytext.TextFileContentsManager(root_dir=str(project))
    content = manager.get(name, type="notebook")["content"]
    content["metadata"]["kernelspec"] = dict(KERNELSPEC)
    content["metadata"]["language_info"] = {"name": "python", "version": "3.11.7", "file_extension": ".py"}
    for count, cell in enumerate(cell for cell in content["cells"] if cell["cell_type"] == "code"):
        cell["source"] = cell["source"].replace(old, new) if old else cell["source"]
        cell["execution_count"] = count
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "0\n"}]
        cell["metadata"] |= {"trusted": True, "execution": {"iopub.status.busy": "2026-06-01T10:00:00Z"}}
    manager.save({"type": "notebook", "format": "json", "content": content}, name)


def test_saving_without_an_edit_changes_no_byte(project: Path):
    _saved_as_lab_does(project, "notebooks_src/01_toy.py")
    assert (project / "notebooks_src/01_toy.py").read_text() == _SOURCE


def test_saving_leaves_only_the_edited_line_in_the_diff(project: Path):
    _saved_as_lab_does(project, "notebooks_src/01_toy.py", "return 2 * x", "return x + x")
    saved = (project / "notebooks_src/01_toy.py").read_text()
    diff = unified_diff(_SOURCE.splitlines(), saved.splitlines(), n=0, lineterm="")
    assert [line for line in diff if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        "-    return 2 * x",
        "+    return x + x",
    ]


def test_another_header_would_be_rewritten_on_saving(project: Path):
    """Why the sources carry exactly this header: JupyterLab writes the kernel's own name into it."""
    path = project / "notebooks_src/01_toy.py"
    path.write_text(_SOURCE.replace(" (ipykernel)", ""))
    _saved_as_lab_does(project, "notebooks_src/01_toy.py")
    assert path.read_text() == _SOURCE


def test_every_source_is_saved_by_lab_as_it_is(project: Path):
    """Where only `display_name` differs: the header has to hold `Python 3 (ipykernel)`."""
    for source in sorted((ROOT / "notebooks_src").glob("*.py")):
        shutil.copy(source, project / "notebooks_src")
        _saved_as_lab_does(project, f"notebooks_src/{source.name}")
        saved = (project / "notebooks_src" / source.name).read_text().splitlines()
        assert list(unified_diff(source.read_text().splitlines(), saved, n=0, lineterm="")) == [], source.name


def test_the_settings_lie_where_the_environment_points():
    inherited = {"PYTHONPATH": "/elsewhere", "JUPYTER_CONFIG_PATH": "/mine", "HOME": "/me", "MPLBACKEND": "Agg"}
    environment = lab.lab_environment(inherited)
    assert environment["HOME"] == "/me"
    assert "MPLBACKEND" not in environment  # else figures would not be drawn inline
    assert environment["PYTHONPATH"] == os.pathsep.join([str(ROOT), "/elsewhere"])
    first = Path(environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0])
    settings = json.loads((first / "labconfig/default_setting_overrides.json").read_text())
    viewers = settings["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"]
    assert viewers == {"python": "Jupytext Notebook"}


def test_jupyter_server_reads_those_settings_through_its_own_search_path(monkeypatch):
    """JupyterLab reads its overrides by this very class (jupyterlab_server.settings_utils)."""
    from jupyter_server.services.config.manager import ConfigManager

    monkeypatch.setenv("JUPYTER_CONFIG_PATH", lab.lab_environment({})["JUPYTER_CONFIG_PATH"])
    overrides = ConfigManager(config_dir_name="labconfig").get("default_setting_overrides")
    assert overrides["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"]["python"] == "Jupytext Notebook"


def test_without_jupyterlab_the_way_to_install_it_is_named(monkeypatch, capsys):
    monkeypatch.setattr(lab, "find_spec", lambda _name: None)
    assert lab.main([]) == 2
    assert "pip install -r requirements-lab.txt" in capsys.readouterr().err
