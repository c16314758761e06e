"""Open JupyterLab on the notebook sources: a double click shows a percent script as a notebook, saving keeps it one.

    python -m build.lab            browse notebooks_src
    python -m build.lab 02         open that notebook
    python -m build.lab --paired   browse notebooks/, made from the sources, with outputs (notebooks/pairing.py)
    python -m build.lab --no-browser --port=9999    options other than --help go to JupyterLab

The sources hold no outputs, so closing a notebook drops them; --paired and `python -m build.run` keep them.
A double click on a module of lib also shows a notebook: choose "Open With, Editor" there.
"""

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from build.cli.exit_codes import Parser, end, tool
from build.notebooks.pairing import FOLDER, SOURCES, pair, source_named
from build.project import ROOT
from lib.core.errors import BadInput

# Holds labconfig/default_setting_overrides.json; JUPYTER_CONFIG_PATH adds it to, and puts it behind, the user's own.
SETTINGS = Path(__file__).parent / "notebooks" / "lab_settings"


@tool
def main(arguments: list[str] | None = None) -> int:
    """Replace this process by JupyterLab, so that Ctrl-C works as there."""
    parser = Parser(__doc__)
    parser.add_argument("notebook", nargs="?", default="", help="a number or name")
    parser.add_argument("--paired", action="store_true", help="open notebooks that keep their outputs")
    options, lab_options = parser.parse_known_args(arguments)
    if find_spec("jupyterlab") is None:
        raise BadInput(
            "JupyterLab is not installed here",
            expected="the packages of requirements-lab.txt",
            got=sys.executable,
            do="pip install -r requirements-lab.txt",
        )
    process = lab_command(options.notebook, options.paired, lab_options)
    if options.paired:
        print(*pair(ROOT), sep="\n", flush=True)
    os.chdir(ROOT)
    os.execve(process[0], process, lab_environment(os.environ))


def lab_command(notebook: str, paired: bool, lab_options: list[str]) -> list[str]:
    """The command that starts JupyterLab at the root, where jupytext.toml is, on all notebooks or one of them."""
    page = FOLDER if paired else SOURCES
    if notebook:
        source = source_named(ROOT, notebook)
        page += f"/{source.stem}.ipynb" if paired else f"/{source.name}?factory=Jupytext%20Notebook"
    root = f"--ServerApp.root_dir={ROOT}"
    return [sys.executable, "-m", "jupyterlab", root, f"--LabApp.default_url=/lab/tree/{page}", *lab_options]


def lab_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment in which kernels find lib and draw inline, and JupyterLab finds the project's settings."""
    added = {"PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_PATH": str(SETTINGS)}
    kept = {name: value for name, value in inherited.items() if name != "MPLBACKEND"}  # the kernel sets inline
    return kept | {name: os.pathsep.join(filter(None, [value, kept.get(name)])) for name, value in added.items()}


if __name__ == "__main__":
    end(main)
