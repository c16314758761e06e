"""Read the imports of one Python file from its syntax tree; nothing is executed."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib.core.errors import BadInput


@dataclass(frozen=True)
class Import:
    """One imported module, the name taken from it if any, and the place of the import."""

    module: str
    name: str | None
    where: str


def parse_file(path: Path, label: str) -> ast.Module:
    """The syntax tree of a file; a syntax error names file and line."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=label)
    except SyntaxError as error:
        raise BadInput(
            f"{label}:{error.lineno}: not Python",
            expected="a file that parses",
            got=error.msg,
            do="fix the syntax there; magics belong behind `# ` in a percent script",
        ) from error


def imports_of(tree: ast.Module, label: str) -> list[Import]:
    """Every import at any depth, lazy and TYPE_CHECKING ones included, by line; forbidden forms are errors."""
    aliases = _import_module_names(tree)
    found = []
    for node in ast.walk(tree):
        where = f"{label}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            found += [Import(alias.name, None, where) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += _from_import(node, where)
        elif isinstance(node, ast.Call) and _is_dynamic(node.func, aliases):
            found.append(Import(_literal_target(node, where), None, where))
    return sorted(found, key=lambda item: (int(item.where.rpartition(":")[2]), item.module, item.name or ""))


def top_level_names(tree: ast.Module) -> set[str]:
    """The names a module binds at its top level, also inside its `if`, `try`, `with` and `for` blocks."""
    return {name for statement in _unnested(tree.body) for name in _bound_names(statement)}


def _from_import(node: ast.ImportFrom, where: str) -> list[Import]:
    """The imports of one `from … import …` statement."""
    if node.level:
        raise BadInput(
            f"{where}: relative import",
            expected="`from lib.room.module import name`",
            got=f"from {'.' * node.level}{node.module or ''} import {', '.join(a.name for a in node.names)}",
            do="write the module's full name, from lib on",
        )
    if any(alias.name == "*" for alias in node.names):
        raise BadInput(
            f"{where}: star import",
            expected="`from lib.room.module import name`, every name written",
            got=f"from {node.module} import *",
            do="list the names that are used",
        )
    return [Import(node.module or "", alias.name, where) for alias in node.names]


def _import_module_names(tree: ast.Module) -> set[str]:
    """The names under which this file can call `importlib.import_module` or `__import__`."""
    renamed = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "importlib"
        for alias in node.names
        if alias.name == "import_module" and alias.asname
    }
    return renamed | {"__import__", "import_module"}


def _is_dynamic(function: ast.expr, names: set[str]) -> bool:
    """True for a call of `import_module` or `__import__`, bare or as an attribute."""
    if isinstance(function, ast.Name):
        return function.id in names
    return isinstance(function, ast.Attribute) and function.attr in {"import_module", "__import__"}


def _literal_target(call: ast.Call, where: str) -> str:
    """The module named by a dynamic import whose name is written out."""
    target = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "name"), None)
    if isinstance(target, ast.Constant) and isinstance(target.value, str) and not target.value.startswith("."):
        return target.value
    raise BadInput(
        f"{where}: dynamic import",
        expected='`from lib.room.module import name`, or import_module("lib.room.module") with the name written out',
        got=ast.unparse(call),
        do="write the import out, inside the function if it must be lazy; the build cannot follow a computed name",
    )


def _unnested(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body and of the blocks in it that do not open a scope."""
    for statement in body:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for block in ("body", "orelse", "finalbody"):
                yield from _unnested(getattr(statement, block, []))
            for handler in getattr(statement, "handlers", []) + getattr(statement, "cases", []):
                yield from _unnested(handler.body)


def _bound_names(statement: ast.stmt) -> Iterator[str]:
    """The names that one statement binds, not counting those of the blocks in it."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        for alias in statement.names:
            yield alias.asname or alias.name.partition(".")[0]
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For | ast.With):
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        targets += [item.optional_vars for item in getattr(statement, "items", [])]
        for target in filter(None, targets):
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
