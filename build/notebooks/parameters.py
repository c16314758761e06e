"""The parameters cell of a percent script, read from its text alone, within milliseconds.

A parameter's type stands where papermill 2.7 itself finds it, so that `papermill --help-notebook` lists every one.
Its pattern takes no quotes and no `|` in an annotation: choices and None stand in a type comment, without spaces.
Names of a registry stand in the next lines, as `one of`, or as `any of` where commas join several.

    n_folds: int = 5  # folds, at least 2
    runtime = "onnxruntime"  # type: Literal["onnxruntime","openvino"]  # which runtime opens the networks
    preset = "small_sed"  # type: str|None  # the network; None trains none
    # one of: small_sed, s3
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from build.project import display_path
from lib.core.errors import BadInput

STANDARD_PARAMETERS = ("competition_dir", "inputs_dir", "output_dir")
_COMMENT = re.compile(r"\s*#\s*(?:type:\s*(\S+)\s*(?:#\s*)?)?(.*)")
_CHOICES = re.compile(r"(one|any) of: (.+)")


@dataclass(frozen=True)
class Parameter:
    """One assignment of the parameters cell."""

    name: str
    kind: str  # the annotation or type comment, or the type of the default where there is neither
    default: str
    help: str
    names: tuple[str, ...] = ()  # of a registry: the choices
    several: bool = False  # any of the names, not only one

    @property
    def base(self) -> str:
        """The scalar type behind `kind`: str, int, float or bool."""
        return accepted_values(self.kind)[0]

    @property
    def value(self) -> object:
        """The default, as Python reads it."""
        return ast.literal_eval(self.default)

    @property
    def choices(self) -> str:
        """Its names of a registry as a line of help."""
        how = "any of" if self.several else "one of"
        return f"\n      {how}: {', '.join(self.names)}" if self.names else ""

    @property
    def least(self) -> float | None:
        """The smallest number that it takes, where its help names one."""
        found = re.search(r"at least ([\d.]*\d)", self.help)
        return float(found[1]) if found and self.base in ("int", "float") else None


def parameters_of(source: Path) -> dict[str, Parameter]:
    """The parameters of the script, by name, as Python itself reads its cell."""
    cell = _parameters_cell(source)
    lines = cell.splitlines()
    try:
        body = ast.parse(cell).body
    except SyntaxError as error:
        raise BadInput(
            f"the parameters cell of {display_path(source)} does not parse",
            expected="lines `name: type = value  # help`",
            got=f"{error.msg}: {error.text}",
            do="fix the line",
        ) from error
    found = {}
    for node in body:
        if not isinstance(node, ast.AnnAssign | ast.Assign) or node.value is None:
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        rest = lines[(node.value.end_lineno or 0) - 1].encode()[node.value.end_col_offset :].decode()
        comment = _COMMENT.match(rest)
        type_comment, text = comment.groups() if comment else (None, "")
        kind = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else type_comment
        kind = kind or type(getattr(node.value, "value", None)).__name__
        name, default = ast.unparse(target), ast.get_source_segment(cell, node.value) or ""
        names, several = _names_below(lines[node.end_lineno :])
        found[name] = Parameter(name, kind, default, text.strip(), names, several)
    return found


def _names_below(lines: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """The names that the comment below an assignment lists, and True where several of them may be given."""
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    found = _CHOICES.fullmatch(" ".join(comment))
    return (tuple(re.split(r",\s*", found[2])), found[1] == "any") if found else ((), False)


def source_text(source: Path) -> str:
    """The text of the percent script."""
    try:
        return source.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{source} cannot be read", expected="a percent script", got=error, do="check the name"
        ) from error


def _parameters_cell(source: Path) -> str:
    """The source of the first cell tagged `parameters`, or nothing; papermill uses only the first."""
    found = re.search(
        r"^# %%[^\n]*\btags=\[[^\]\n]*\"parameters\"[^\n]*\n(.*?)(?=^# %%|\Z)", source_text(source), re.M | re.S
    )
    return found[1] if found else ""


def is_called(source: Path, name: str) -> bool:
    """True when the number, the stem or the file name is this source's."""
    return name in (source.stem, source.name, source.stem.split("_")[0])


def accepted_values(kind: str) -> tuple[str, tuple, bool]:
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
