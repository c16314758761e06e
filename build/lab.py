"""Open JupyterLab on the notebook sources: a double click shows a percent script as a notebook, saving keeps it one.

    python build/lab.py            browse notebooks_src
    python build/lab.py 02         open that notebook
    python build/lab.py --no-browser --port=9999    options other than --help go to JupyterLab

The sources hold no outputs, so closing a notebook drops them; `python build/run.py` keeps them, in dist/notebooks.
A double click on a module of lib also shows a notebook: choose "Open With, Editor" there.
"""

import argparse
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from project import ROOT

from lib.competition.errors import BadInput

# Holds labconfig/default_setting_overrides.json; JUPYTER_CONFIG_PATH adds it to, and puts it behind, the user's own.
SETTINGS = Path(__file__).with_name("lab_settings")


def main(arguments: list[str] | None = None) -> int:
    """Run JupyterLab until it is stopped, and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", nargs="?", default="", help="a number or name")
    options, lab_options = parser.parse_known_args(arguments)
    try:
        if find_spec("jupyterlab") is None:
            raise BadInput(
                "JupyterLab is not installed here",
                expected="the packages of requirements-lab.txt",
                got=sys.executable,
                do="pip install -r requirements-lab.txt",
            )
        asked = command(options.notebook, lab_options)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return subprocess.run(asked, env=environment(os.environ), cwd=ROOT).returncode


def command(notebook: str, lab_options: list[str]) -> list[str]:
    """What starts JupyterLab at the root, where it finds jupytext.toml, and shows the sources or one of them."""
    page = "notebooks_src"
    if notebook:
        found = sorted((ROOT / page).glob(f"{Path(notebook).stem}*.py"))
        if len(found) != 1:
            raise BadInput(
                f"{notebook} does not name one notebook",
                expected="one of " + ", ".join(path.stem for path in sorted((ROOT / page).glob("*.py"))),
                got=", ".join(path.stem for path in found) or "no such file",
                do="use its number",
            )
        page += f"/{found[0].name}?factory=Jupytext%20Notebook"
    root = f"--ServerApp.root_dir={ROOT}"
    return [sys.executable, "-m", "jupyterlab", root, f"--LabApp.default_url=/lab/tree/{page}", *lab_options]


def environment(inherited: dict[str, str]) -> dict[str, str]:
    """The environment in which kernels find lib and JupyterLab finds the project's settings."""
    added = {"PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_PATH": str(SETTINGS)}
    return {**inherited} | {
        name: os.pathsep.join(filter(None, [value, inherited.get(name)])) for name, value in added.items()
    }


if __name__ == "__main__":
    sys.exit(main())
