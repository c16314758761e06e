"""A percent script read as a notebook: its cells, its title, its line numbers, and a help text."""

import re
from pathlib import Path

import jupytext
import nbformat

from build.notebooks.parameters import parameters_of, source_text

# As ipykernel names it: JupyterLab writes this into a source's header on saving, so the sources carry it already.
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def read_notebook(source: Path) -> nbformat.NotebookNode:
    """The percent script as a notebook for the python3 kernel; papermill itself cannot read scripts."""
    notebook = jupytext.reads(source_text(source), fmt="py:percent")
    notebook.metadata["kernelspec"] = dict(KERNELSPEC)
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def title_and_summary(notebook: nbformat.NotebookNode, otherwise: str) -> tuple[str, str]:
    """The first markdown heading (or `otherwise`) and the first plain paragraph after it (or nothing)."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^#+\s+(.+?)\s*#*$", text, re.MULTILINE)
    rest = text[heading.end() :] if heading else text
    paragraphs = (block.strip() for block in re.split(r"\n\s*\n", rest))
    plain = next((block for block in paragraphs if block and not re.match(r"[#>|<!*\-`]|\d+\.", block)), "")
    return (heading.group(1) if heading else otherwise), " ".join(plain.split())


def line_of_code_cell(source: Path, number: int) -> int | None:
    """The line of the script where its code cell with this number (from 1) begins; None where magics hide it."""
    lines, at = source.read_text(encoding="utf-8").splitlines(), 0
    cells = [cell for cell in read_notebook(source).cells if cell.cell_type == "code"]
    for cell in cells[:number]:
        first = first_line(cell.source)
        found = next((n for n, line in enumerate(lines[at:], start=at) if line.strip() == first), None)
        if found is None:
            return None
        at, start = found + 1, found + 1
    return start if cells[:number] else None


def first_line(cell_source: str) -> str:
    """The cell's first line that is not blank."""
    return next((line.strip() for line in cell_source.splitlines() if line.strip()), "(empty cell)")


def help_text(source: Path) -> str:
    """The notebook's title and one block per parameter: name, type, default, description."""
    title, summary = title_and_summary(read_notebook(source), source.stem)
    known = parameters_of(source).values()
    blocks = [f"  {p.name}: {p.kind} = {p.default}\n      {p.help or '(no description)'}{p.choices}" for p in known]
    body = "\n".join(blocks) or "  (none: no cell is tagged `parameters`)"
    return f"{source.stem}: {title}\n{summary}\n\nparameters, each set by -p name=value:\n{body}"
