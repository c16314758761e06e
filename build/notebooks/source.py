"""A percent script read as a notebook: its cells, its parameters with their types, its title, its line numbers.

A parameter's type stands where papermill 2.7 itself finds it, so that `papermill --help-notebook` lists every one.
Its pattern takes no quotes and no `|` in an annotation: choices and None stand in a type comment, without spaces.

    seed: int = 1  # of the network
    runtime = "onnxruntime"  # type: Literal["onnxruntime","openvino"]  # which runtime opens the networks
    epochs = None  # type: int|None  # passes; None: as in the preset
"""

import ast
import logging
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
import papermill

from build.project import ROOT
from lib.core.errors import BadInput, shorten

STANDARD_PARAMETERS = ("competition_dir", "inputs_dir", "output_dir")
# As ipykernel names it: JupyterLab writes this into a source's header on saving, so the sources carry it already.
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_EXAMPLES = {"str": "text", "bool": "true", "int": "3", "float": "0.5"}
_BOOLEANS = {"true": True, "True": True, "false": False, "False": False}
_WHOLE = r"[+-]?\d+"
_DECIMAL = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?inf"


@dataclass(frozen=True)
class Parameter:
    """One assignment of the parameters cell."""

    name: str
    kind: str  # the annotation or type comment, or the type of the default where there is neither
    default: str
    help: str

    @property
    def base(self) -> str:
        """The scalar type behind `kind`: str, int, float or bool."""
        return _accepted(self.kind)[0]


def read_notebook(source: Path) -> nbformat.NotebookNode:
    """The percent script as a notebook for the python3 kernel; papermill itself cannot read scripts."""
    try:
        text = source.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{source} cannot be read", expected="a percent script", got=error, do="check the name"
        ) from error
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata["kernelspec"] = dict(KERNELSPEC)
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def parameters_of(source: Path) -> dict[str, Parameter]:
    """The parameters that papermill infers from the script, by name; one that it overlooks is an error."""
    notebook = read_notebook(source)
    assigned = _assigned(_parameters_cell(notebook))
    logging.getLogger("papermill").setLevel(logging.ERROR)  # what it would warn of is an error below
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inspected.ipynb"
        nbformat.write(notebook, path)
        found = papermill.inspect_notebook(str(path))
    hidden = sorted(set(assigned) - set(found))
    if hidden:
        raise BadInput(
            f"papermill cannot see the parameter {shorten(hidden)} of {display_path(source)}",
            expected='lines `name: type = value  # help`, or `name = value  # type: Literal["a","b"]|None  # help`',
            got=f"a second `=` in the line, or quotes or `|` in the annotation of {shorten(hidden)}: it skips these",
            do="write such a type as a comment without spaces, reword the help, or compute the value in the next cell",
        )
    return {
        name: Parameter(
            name,
            assigned.get(name, "str") if seen["inferred_type_name"] == "None" else seen["inferred_type_name"],
            seen["default"],
            seen["help"].removeprefix("#").strip(),
        )
        for name, seen in found.items()
    }


def convert_parameters(source: Path, values: Mapping[str, object]) -> dict[str, object]:
    """The values in their parameters' types; text is parsed strictly, an unknown name or a misfit is an error."""
    known = parameters_of(source)
    for name in values:
        if name not in known:
            raise BadInput(
                f"{display_path(source)} has no parameter {name}",
                expected=f"one of {', '.join(known) or '(it has no parameters cell)'}",
                got=name,
                do=f"fix the name, or see `python -m build.run --help-notebook {source.stem}`",
            )
    return {name: _in_kind(source, known[name], value) for name, value in values.items()}


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
    blocks = [f"  {p.name}: {p.kind} = {p.default}\n      {p.help or '(no description)'}" for p in known]
    body = "\n".join(blocks) or "  (none: no cell is tagged `parameters`)"
    return f"{source.stem}: {title}\n{summary}\n\nparameters, each set by -p name=value:\n{body}"


def display_path(path: Path) -> str:
    """The path as printed: relative to the project where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _parameters_cell(notebook: nbformat.NotebookNode) -> str:
    """The source of the first cell tagged `parameters`, or nothing; papermill uses only the first."""
    tagged = (cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    return next(tagged, "")


def _assigned(cell_source: str) -> dict[str, str]:
    """Name and kind of each plain assignment in the cell, as Python itself reads them."""
    kinds = {}
    for node in ast.parse(cell_source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            kinds[node.target.id] = ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constant = node.value.value if isinstance(node.value, ast.Constant) else None
            kinds[node.targets[0].id] = type(constant).__name__
    return kinds


def _in_kind(source: Path, parameter: Parameter, value: object) -> object:
    """The value in the type that the parameter declares, one of its choices where it has some."""
    base, choices, optional = _accepted(parameter.kind)
    if optional and (value is None or value in ("", "None")):
        return None
    found = _as_scalar(base, value)
    if found is None or (choices and found not in choices):
        raise BadInput(
            f"the parameter {parameter.name} of {display_path(source)} cannot take this value",
            expected=_expected(parameter.kind, base, choices) + (", or None" if optional else ""),
            got=repr(value),
            do=f"set {parameter.name}={choices[0] if choices else _EXAMPLES.get(base, '…')}, for instance",
        )
    return found


def _accepted(kind: str) -> tuple[str, tuple, bool]:
    """The scalar type, the choices (empty: any value) and True where None is accepted, of `Literal["a","b"]|None`."""
    try:
        parts = _members_of(ast.parse(kind, mode="eval").body)
    except SyntaxError as error:
        raise BadInput(
            f"a parameter's type does not parse: {kind}",
            expected='int, int|None or Literal["a","b"]',
            got=error.msg,
            do="fix the type in the notebook's parameters cell; a type comment has no spaces",
        ) from error
    base, optional = "", False
    choices: tuple = ()
    for part in parts:
        if isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name) and part.value.id == "Literal":
            listed = ast.literal_eval(part.slice)
            choices = listed if isinstance(listed, tuple) else (listed,)
            base = type(choices[0]).__name__
        elif isinstance(part, ast.Constant) and part.value is None:
            optional = True
        else:
            base = ast.unparse(part)
    return base, choices, optional


def _members_of(node: ast.expr) -> list[ast.expr]:
    """The types joined by `|`, with Optional[X] as X | None."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _members_of(node.left) + _members_of(node.right)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Optional":
        return [*_members_of(node.slice), ast.Constant(None)]
    return [node]


def _as_scalar(base: str, value: object) -> str | int | float | bool | None:
    """The value as a str, int, float or bool; text is parsed; None where it does not fit."""
    if base == "str" or value is None:
        return value if isinstance(value, str) else None
    if isinstance(value, str):
        return _parse(base, value)
    if isinstance(value, bool):
        return value if base == "bool" else None
    if base == "int":
        return value if isinstance(value, int) else None
    return float(value) if base == "float" and isinstance(value, int | float) else None


def _parse(base: str, text: str) -> int | float | bool | None:
    """The text as a bool, int or float; None where it is not exactly one."""
    if base == "bool":
        return _BOOLEANS.get(text)
    if base == "int":
        return int(text) if re.fullmatch(_WHOLE, text, re.ASCII) else None
    return float(text) if base == "float" and re.fullmatch(_DECIMAL, text, re.ASCII) else None


def _expected(kind: str, base: str, choices: tuple) -> str:
    """The values that a parameter of this kind takes, in words."""
    if choices:
        return "one of " + ", ".join(map(str, choices))
    words = {"str": "text", "bool": "true or false", "int": "a whole number", "float": "a number, such as 0.5 or 1e-3"}
    return f"{base}: {words[base]}" if base in words else f"{kind}: only str, int, float and bool can be set"
