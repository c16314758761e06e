"""Find the modules of lib that a notebook reaches, in an order that reads straight through; nothing is executed."""

import ast
import heapq
import sys
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from build.kernels.imports import Import, imports_of, parse_file, top_level_names
from lib.core.errors import BadInput, shorten

ROOMS = ("core", "competition", "sound", "judge", "models", "learn", "blend", "submit", "pseudo", "show")


@dataclass(frozen=True)
class Closure:
    """The lib files a notebook needs, dependencies first, and what they and it import from elsewhere."""

    files: tuple[str, ...]  # relative to the project, "lib/competition/row_ids.py"
    third_party: dict[str, tuple[str, ...]]  # top-level package -> every file:line that imports it


@dataclass(frozen=True)
class _Source:
    """One file: its label, its imports and its top-level names."""

    label: str
    tree: ast.Module

    @cached_property
    def imports(self) -> list[Import]:
        return imports_of(self.tree, self.label)

    @cached_property
    def names(self) -> set[str]:
        return top_level_names(self.tree)


def closure_of(root: Path, notebook: str) -> Closure:
    """The closure of one notebook source, given as a path relative to `root`."""
    start = _Source(notebook, parse_file(root / notebook, notebook))
    sources: dict[str, _Source] = {}
    edges: dict[str, dict[str, str]] = {}  # file -> {file it needs: file:line of the import}
    waiting = [start]
    while waiting:
        source = waiting.pop()
        needed = _needed(root, source, sources)
        edges[source.label] = needed
        waiting += [sources[label] for label in needed if label not in edges and sources[label] not in waiting]
    del edges[notebook]
    return Closure(tuple(_ordered(edges)), _third_party([start, *(sources[label] for label in sorted(edges))]))


def _needed(root: Path, source: _Source, sources: dict[str, _Source]) -> dict[str, str]:
    """The lib files that one file needs, package files included, with the first place that imports each."""
    needed: dict[str, str] = {}
    for item in source.imports:
        if item.module.partition(".")[0] == "lib":
            for label in _resolved(root, item, sources):
                needed.setdefault(label, item.where)
    for package in _packages(source.label):
        if source.label.startswith("lib/") and package != source.label:
            _load(root, package, sources)
            needed.setdefault(package, f"{source.label}:1")
    return needed


def _resolved(root: Path, item: Import, sources: dict[str, _Source]) -> list[str]:
    """The files that one import of lib loads: packages on the way, the module, and a submodule taken by name."""
    label = _file_of(root, item.module)
    if label is None:
        raise BadInput(
            f"{item.where}: no module {item.module}",
            expected=f"{item.module.replace('.', '/')}.py in this project, or a folder of that name with __init__.py",
            got=f"`{item.module}` has neither" + _neighbours(root, item.module),
            do="fix the name, or write `from lib.room.module import name`",
        )
    labels = [label]
    submodule = _file_of(root, f"{item.module}.{item.name}") if item.name else None
    if item.name and item.name not in _load(root, label, sources).names:
        if submodule is None:
            raise BadInput(
                f"{item.where}: {item.module} has no name {item.name!r} at its top level",
                expected=shorten(sorted(sources[label].names), 12) or "a module with names in it",
                got=f"from {item.module} import {item.name}",
                do="fix the name, or write `from lib.room.module import name` with the module that defines it",
            )
        labels.append(submodule)
    labels = [package for one in labels for package in _packages(one)] + labels
    for one in labels:
        _load(root, one, sources)
    return labels


def _load(root: Path, label: str, sources: dict[str, _Source]) -> _Source:
    """The parsed file, read once."""
    if label not in sources:
        if not (root / label).is_file():
            raise BadInput(
                f"{label} is missing",
                expected="an empty __init__.py in every folder of lib",
                got="a folder without one",
                do=f"create {label}",
            )
        sources[label] = _Source(label, parse_file(root / label, label))
    return sources[label]


def _file_of(root: Path, module: str) -> str | None:
    """The file of a module or package, relative to the project, or None."""
    stem = module.replace(".", "/")
    return next((label for label in (f"{stem}/__init__.py", f"{stem}.py") if (root / label).is_file()), None)


def _packages(label: str) -> list[str]:
    """The package files that Python runs before a file of lib, outermost first."""
    folders = Path(label).parent.parts
    return ["/".join((*folders[: depth + 1], "__init__.py")) for depth in range(len(folders))]


def _neighbours(root: Path, module: str) -> str:
    """The modules beside the missing one, for its error."""
    folder = root / Path(module.replace(".", "/")).parent
    near = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__") if folder.is_dir() else []
    return f"; {folder.name}/ has {shorten(near, 12)}" if near else ""


def _rank(label: str) -> tuple[int, int, str]:
    """The reading order among files that could come next: the contract's room first, a package file before the rest."""
    parts = Path(label).parts
    if len(parts) < 3:
        return -1, 0, label
    room = ROOMS.index(parts[1]) if parts[1] in ROOMS else len(ROOMS)
    return room, int(parts[-1] != "__init__.py"), label


def _ordered(edges: dict[str, dict[str, str]]) -> list[str]:
    """The files, each after all it needs; a cycle is an error that shows every import on it."""
    left = {label: set(needed) - {label} for label, needed in edges.items()}
    ready = [_rank(label) for label, needed in left.items() if not needed]
    heapq.heapify(ready)
    ordered = []
    while ready:
        label = heapq.heappop(ready)[2]
        ordered.append(label)
        del left[label]
        for other, needed in left.items():
            if label in needed:
                needed.remove(label)
                if not needed:
                    heapq.heappush(ready, _rank(other))
    if left:
        raise _cycle(left, edges)
    return ordered


def _cycle(left: dict[str, set[str]], edges: dict[str, dict[str, str]]) -> BadInput:
    """The error that shows one cycle among the files that could not be ordered."""
    path = [min(left)]
    while path[-1] not in path[:-1]:
        path.append(min(left[path[-1]]))
    path = path[path.index(path[-1]) :]
    steps = [f"{edges[one][other]} imports {other}" for one, other in pairwise(path)]
    return BadInput(
        "import cycle: " + " -> ".join(path),
        expected="every module after those it imports; package files without imports",
        got="; ".join(steps),
        do="move what both need into a module of its own, and keep __init__.py empty",
    )


def _third_party(sources: list[_Source]) -> dict[str, tuple[str, ...]]:
    """The packages imported from outside lib and the standard library, with the places, both sorted."""
    places: dict[str, list[str]] = {}
    for source in sources:
        for item in source.imports:
            top = item.module.partition(".")[0]
            if top != "lib" and top not in sys.stdlib_module_names:
                places.setdefault(top, []).append(item.where)
    return {top: tuple(dict.fromkeys(places[top])) for top in sorted(places)}
