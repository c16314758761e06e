"""Judging a run by what was reported while it ran, and saying where and why it stopped."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from build.notebooks.source import first_line, line_of_code_cell, shown

_MARKER, _INJECTED, _TAIL_LINES = "papermill-error-cell-tag", "injected-parameters", 15
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Watched:
    """What the parent saw of a run; cell numbers count all cells of the parameterised notebook from 0."""

    started: list[int] = field(default_factory=list)
    completed: list[int] = field(default_factory=list)
    own_completed: int = 0  # code cells of the source, papermill's injected cell not counted
    error: tuple[str, str] | None = None  # the child's exception: type and text
    timed_out: bool = False
    return_code: int = 0
    log: str = ""

    def see(self, event: dict) -> None:
        """Take in one report."""
        if event["what"] == "error":
            self.error = (event["name"], event["text"])
        elif event["what"] == "started":
            self.started.append(event["cell"])
        else:
            self.completed.append(event["cell"])
            self.own_completed += event["own"]

    @property
    def broken(self) -> int | None:
        """The cell that started and did not complete, if any."""
        return next((cell for cell in self.started if cell not in self.completed), None)


def _saved_cells(executed: Path) -> list[nbformat.NotebookNode]:
    """The cells of the saved notebook without papermill's error banners, or none where nothing was saved."""
    if not executed.exists():
        return []
    cells = nbformat.read(executed, as_version=4).cells
    return [cell for cell in cells if _MARKER not in cell.metadata.get("tags", [])]


def verdict(source: Path, executed: Path, watched: Watched, timeout_s: float | None) -> tuple[str, str]:
    """("done", "") only when the child ended well and every code cell completed; else the kind and the whole story."""
    cells = _saved_cells(executed)
    kind = _kind(cells, executed, watched)
    if kind == "done":
        return kind, ""
    cause = f"{kind} after {timeout_s:g} s" if watched.timed_out else kind
    lines = [f"{source.stem}: {cause}{_where(source, cells, watched)}"]
    tail = _tail(cells, watched)
    lines += ["  the end of what it said:", *(f"    {line}" for line in tail)] if tail else []
    lines.append(f"  up to there: {shown(executed)}; log: {shown(executed.with_suffix('.log'))}")
    return kind, "\n".join(lines)


def mend(notebook: nbformat.NotebookNode, executed: Path, watched: Watched) -> None:
    """Make the saved copy of a failed run say what truly happened to each cell; papermill may have said `completed`."""
    saved = nbformat.read(executed, as_version=4) if executed.exists() else notebook
    own = [cell for cell in saved.cells if _MARKER not in cell.metadata.get("tags", [])]
    for index, cell in enumerate(own):
        state = "failed" if index == watched.broken else "pending"
        if index in watched.completed:
            state = "completed"
        cell.metadata.setdefault("papermill", {}).update(status=state, exception=state == "failed")
    saved.metadata.setdefault("papermill", {})["exception"] = True
    nbformat.write(saved, executed)


def _kind(cells: list, executed: Path, watched: Watched) -> str:
    """How the run ended, in words."""
    if watched.timed_out:
        return "timed out"
    outputs = _outputs(cells, watched.broken)
    raised = [output.ename for output in outputs if output.output_type == "error"]
    if "SystemExit" in raised:
        return "stopped itself by sys.exit"
    if raised:
        return f"failed with {raised[-1]}"
    if watched.error and watched.error[0] == "DeadKernelError":
        return "lost its kernel (killed for memory, crashed, or os._exit)"
    if watched.return_code or watched.error:
        return f"could not be run: its process ended with code {watched.return_code}"
    unfinished = [cell for cell in cells if cell.cell_type == "code" and cell.metadata.papermill.status != "completed"]
    incomplete = unfinished or watched.broken is not None or not cells
    return "ended before its last cell" if incomplete or _flagged(executed) else "done"


def _flagged(executed: Path) -> bool:
    """Whether papermill marked the notebook as one with an exception."""
    return bool(nbformat.read(executed, as_version=4).metadata.papermill.exception)


def _where(source: Path, cells: list, watched: Watched) -> str:
    """The cell that broke: its number among the source's code cells, its line in the script, its first line."""
    if not cells or not watched.started:
        return " before its first cell"
    index = watched.started[-1] if watched.broken is None else watched.broken
    if _INJECTED in cells[index].metadata.get("tags", []):
        return " in the cell of injected parameters"
    number = sum(_is_own_code(cell) for cell in cells[: index + 1])
    line = line_of_code_cell(source, number)
    place = f"{shown(source)}, line {line}" if line else shown(source)
    total = sum(_is_own_code(cell) for cell in cells)
    return f" in code cell {number} of {total} ({place})\n  the cell begins: {first_line(cells[index].source)}"


def _tail(cells: list, watched: Watched) -> list[str]:
    """The last lines of the traceback; where there is none, of the cell's own output, of the error, of the log."""
    outputs = _outputs(cells, watched.broken)
    traceback = "\n".join("\n".join(output.traceback) for output in outputs if output.output_type == "error")
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    error = f"{watched.error[0]}: {watched.error[1]}" if watched.error else ""
    text = traceback or printed or error or watched.log
    lines = _COLOURS.sub("", text).strip("-\n ").splitlines()  # IPython draws a rule of dashes above
    return "\n".join(line.rstrip() for line in lines[-_TAIL_LINES:]).strip("\n").splitlines()


def _outputs(cells: list, index: int | None) -> list:
    """What the cell put out."""
    return cells[index].get("outputs", []) if index is not None and index < len(cells) else []


def _is_own_code(cell: nbformat.NotebookNode) -> bool:
    """Whether the cell is code of the source."""
    return cell.cell_type == "code" and _INJECTED not in cell.metadata.get("tags", [])
