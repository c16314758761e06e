"""Pair percent scripts with notebooks that keep outputs, in notebooks/; edits are copied back only on request.

python -m build.notebooks.pairing                make or renew notebooks/*.ipynb; unchanged cells keep their outputs
python -m build.notebooks.pairing --back 02      show the edits in the notebook of 02, and write them into the script
python -m build.notebooks.pairing --back --dry   only show them, for all notebooks

The changed side is found by content alone: made_of.json holds a fingerprint of each script when both sides last agreed.
Times of modification are not used: git sets them as it likes. Where both sides changed, neither is touched.
"""

import json
import os
from dataclasses import dataclass
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path

import jupytext
import nbformat
from jupytext.config import load_jupytext_config

from build.cli.exit_codes import Parser, end, tool
from build.notebooks.source import KERNELSPEC, read_notebook
from build.project import ROOT
from lib.core.errors import BadInput

SOURCES, FOLDER = "notebooks_src", "notebooks"


@dataclass(frozen=True)
class Pair:
    """A percent script and the notebook made from it, with the fingerprint of both when they last agreed."""

    script: Path
    notebook: Path
    agreed: str

    @property
    def changed(self) -> str:
        """The side changed since both agreed: "nothing", "script" (or no notebook yet), "notebook" or "both"."""
        if not self.notebook.is_file():
            return "script"
        script, notebook = _as_script(read_notebook(self.script), self.script), self.as_script()
        if script == notebook:
            return "nothing"
        if self.agreed == _fingerprint(notebook):
            return "script"
        return "notebook" if self.agreed == _fingerprint(script) else "both"

    def as_script(self) -> str:
        """The notebook as a percent script."""
        return _as_script(_read(self.notebook), self.script)

    def edits(self) -> str:
        """The diff from the script to the notebook as a script."""
        old, new = self.script.read_text(encoding="utf-8"), self.as_script()
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
        return "".join(unified_diff(before, after, f"{SOURCES}/{self.script.name}", f"{FOLDER}/{self.notebook.name}"))


def pair(root: Path) -> list[str]:
    """Renew the notebooks from the scripts, and return a line for each; on a clash write nothing."""
    pairs = pairs_of(root)
    _refuse_clashes(pairs)
    lines = []
    for one in pairs:
        if one.changed == "notebook":
            lines.append(f"{one.notebook.name}: kept; its edits are not in the script yet, `make unpair` brings them")
            continue
        if one.changed == "script":
            lines.append(f"{one.notebook.name}: {'renewed' if one.notebook.is_file() else 'made'} of {one.script.name}")
            _write(one.notebook, nbformat.writes(_with_outputs(one)))
        _agree(one)
    return lines


def bring_back(root: Path, names: list[str], dry: bool = False) -> list[str]:
    """Write the edits of the notebooks named, or of all, into their scripts, unless `dry`; return the diffs."""
    named = [source_named(root, name) for name in names]
    pairs = [one for one in pairs_of(root) if one.notebook.is_file() and (not named or one.script in named)]
    _refuse_clashes(pairs)
    edited = [(one, one.edits()) for one in pairs if one.changed == "notebook"]
    for one, _edits in edited if not dry else []:
        _write(one.script, one.as_script())
        _agree(one)
    return [edits for _one, edits in edited]


def pairs_of(root: Path) -> list[Pair]:
    """Every script with the place of its notebook, in order."""
    agreed = _agreed(root / FOLDER)
    scripts = sorted((root / SOURCES).glob("*.py"))
    return [Pair(path, root / FOLDER / f"{path.stem}.ipynb", agreed.get(path.stem, "")) for path in scripts]


def source_named(root: Path, name: str) -> Path:
    """The one percent script with this number or name; none or several are an error."""
    sources = sorted((root / SOURCES).glob("*.py"))
    found = [path for path in sources if path.name.startswith(Path(name).stem)]
    if len(found) != 1:
        raise BadInput(
            f"{name} does not name one notebook",
            expected="one of " + ", ".join(path.stem for path in sources),
            got=", ".join(path.stem for path in found) or "no such file",
            do="use its number",
        )
    return found[0]


def _refuse_clashes(pairs: list[Pair]) -> None:
    """Raise, with the diff, where script and notebook both changed since they agreed."""
    if clash := next((one for one in pairs if one.changed == "both"), None):
        raise BadInput(
            f"{clash.script.stem} was edited in the script and in the notebook; nothing was written",
            expected="edits on one side",
            got=f"from script to notebook\n{clash.edits()}",
            do=f"copy the edits to keep into the script, then delete {FOLDER}/{clash.notebook.name}: it is made anew",
        )


def _with_outputs(one: Pair) -> nbformat.NotebookNode:
    """The script as a notebook; cells that its notebook has to the letter come with their outputs."""
    made = read_notebook(one.script)
    run: dict[tuple[str, str], list[nbformat.NotebookNode]] = {}
    for cell in _read(one.notebook).cells if one.notebook.is_file() else []:
        run.setdefault((cell.cell_type, cell.source), []).append(cell)
    for cell in made.cells:
        if same := run.get((cell.cell_type, cell.source)):
            before = same.pop(0)
            cell |= {name: before[name] for name in ("id", "outputs", "execution_count") if name in before}
    del made.metadata["jupytext"]  # else JupyterLab would write scripts by itself
    return made


def _as_script(notebook: nbformat.NotebookNode, script: Path) -> str:
    """The notebook as JupyterLab would save it at the script's place, by the settings of jupytext.toml."""
    notebook.metadata["kernelspec"] = dict(KERNELSPEC)
    return jupytext.writes(notebook, fmt="py:percent", config=load_jupytext_config(str(script)))


def _read(notebook: Path) -> nbformat.NotebookNode:
    """The notebook file; one that is none is an error."""
    try:
        return nbformat.read(notebook, as_version=4)
    except nbformat.reader.NotJSONError as error:
        raise BadInput(
            f"{notebook} cannot be read", expected="a notebook", got=error, do="delete it: it is made anew"
        ) from error


def _agreed(folder: Path) -> dict[str, str]:
    """Stem of a script → its fingerprint when its notebook last agreed with it."""
    note = folder / "made_of.json"
    return json.loads(note.read_text()) if note.is_file() else {}


def _agree(one: Pair) -> None:
    """Record that both sides agree."""
    folder = one.notebook.parent
    known = _agreed(folder) | {one.script.stem: _fingerprint(one.as_script())}
    _write(folder / "made_of.json", json.dumps(known, indent=1, sort_keys=True))


def _fingerprint(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    """Replace the file in one step; a new folder is one that git does not see."""
    if not path.parent.is_dir():
        path.parent.mkdir()
        (path.parent / ".gitignore").write_text("*\n")
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(text, encoding="utf-8", newline="\n")
    os.replace(scratch, path)


@tool
def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = Parser(__doc__)
    parser.add_argument("names", nargs="*", help="with --back: numbers or names (default: all)")
    parser.add_argument("--back", action="store_true", help="from the notebooks into the scripts")
    parser.add_argument("--dry", action="store_true", help="with --back: only show the edits")
    options = parser.parse_args(arguments)
    if options.back:
        lines = bring_back(ROOT, options.names, options.dry) or ["no edits in notebooks/ that the scripts lack"]
    else:
        lines = pair(ROOT)
    print(*lines, sep="\n")
    return 0


if __name__ == "__main__":
    end(main)
