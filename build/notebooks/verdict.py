"""Judge a run by the reports of its cells, and describe where and why it stopped."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from build.notebooks.source import first_line, line_of_code_cell
from build.project import display_path

_MARKER, _INJECTED, _TAIL_LINES = "papermill-error-cell-tag", "injected-parameters", 15
_OUTPUT = "  the end of its output:"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class RunEvents:
    """The reports of a run; cell numbers count all cells of the parameterised notebook from 0."""

    started: list[int] = field(default_factory=list)
    completed: list[int] = field(default_factory=list)
    own_completed: int = 0  # code cells of the source, papermill's injected cell not counted
    error: tuple[str, str] | None = None  # the child's exception: type and text
    timed_out: bool = False
    return_code: int = 0
    log: str = ""

    def update(self, event: dict) -> None:
        """Add one report."""
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


def judge_run(source: Path, executed: Path, events: RunEvents, timeout_s: float | None) -> tuple[str, str]:
    """("done", "") only when the child ended well and every code cell completed; else the status and the failure."""
    cells = _saved_cells(executed)
    kind = _kind(cells, executed, events)
    if kind == "done":
        return kind, ""
    cause = f"{kind} after {timeout_s:g} s" if events.timed_out else kind
    lines = [f"{source.stem}: {cause}{_where(source, cells, events)}"]
    tail = _tail(cells, events)
    lines += [_OUTPUT, *(f"    {line}" for line in tail)] if tail else []
    lines.append(f"  up to there: {display_path(executed)}; log: {display_path(executed.with_suffix('.log'))}")
    return kind, "\n".join(lines)


def short_failure(failure: str) -> str:
    """A failure's text without the traceback: where it was, then the exception's message, whole.

    Where nothing was raised, the last line of the output.
    """
    first, *lines = failure.split("\n")
    if _OUTPUT not in lines:
        return failure
    tail = [line[4:] for line in lines[lines.index(_OUTPUT) + 1 :] if line.startswith("    ")]
    name = re.search(r": failed with (\w+)", first)
    raised = [at for at, line in enumerate(tail) if name and re.match(rf"{name[1]}(:|$)", line)]
    return "\n".join([first, *(f"  {line}" for line in tail[raised[-1] if raised else -1 :])])


def correct_cell_states(notebook: nbformat.NotebookNode, executed: Path, events: RunEvents) -> None:
    """Correct the state of each cell in the saved copy of a failed run; papermill may have marked all `completed`."""
    saved = nbformat.read(executed, as_version=4) if executed.exists() else notebook
    own = [cell for cell in saved.cells if _MARKER not in cell.metadata.get("tags", [])]
    for index, cell in enumerate(own):
        state = "failed" if index == events.broken else "pending"
        if index in events.completed:
            state = "completed"
        cell.metadata.setdefault("papermill", {}).update(status=state, exception=state == "failed")
    saved.metadata.setdefault("papermill", {})["exception"] = True
    nbformat.write(saved, executed)


def _kind(cells: list, executed: Path, events: RunEvents) -> str:
    """The status of the run, in words."""
    if events.timed_out:
        return "timed out"
    outputs = _outputs(cells, events.broken)
    raised = [output.ename for output in outputs if output.output_type == "error"]
    if "SystemExit" in raised:
        return "stopped itself by sys.exit"
    if raised:
        return f"failed with {raised[-1]}"
    if events.error and events.error[0] == "DeadKernelError":
        return "lost its kernel (killed for memory, crashed, or os._exit)"
    if events.return_code or events.error:
        return f"could not be run: its process ended with code {events.return_code}"
    unfinished = [cell for cell in cells if cell.cell_type == "code" and cell.metadata.papermill.status != "completed"]
    incomplete = unfinished or events.broken is not None or not cells
    return "ended before its last cell" if incomplete or _flagged(executed) else "done"


def _flagged(executed: Path) -> bool:
    """True when papermill marked the notebook as one with an exception."""
    return bool(nbformat.read(executed, as_version=4).metadata.papermill.exception)


def _where(source: Path, cells: list, events: RunEvents) -> str:
    """The cell that broke: its number among the source's code cells, its line in the script, its first line."""
    if not cells or not events.started:
        return " before its first cell"
    index = events.started[-1] if events.broken is None else events.broken
    if _INJECTED in cells[index].metadata.get("tags", []):
        return " in the cell of injected parameters"
    number = sum(_is_own_code(cell) for cell in cells[: index + 1])
    line = line_of_code_cell(source, number)
    place = f"{display_path(source)}, line {line}" if line else display_path(source)
    total = sum(_is_own_code(cell) for cell in cells)
    return f" in code cell {number} of {total} ({place})\n  the cell begins: {first_line(cells[index].source)}"


def _tail(cells: list, events: RunEvents) -> list[str]:
    """The last lines of the traceback; where there is none, of the cell's own output, of the error, of the log."""
    outputs = _outputs(cells, events.broken)
    traceback = "\n".join("\n".join(output.traceback) for output in outputs if output.output_type == "error")
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    error = f"{events.error[0]}: {events.error[1]}" if events.error else ""
    text = traceback or printed or error or events.log
    lines = _COLOURS.sub("", text).strip("-\n ").splitlines()  # IPython draws a rule of dashes above
    return "\n".join(line.rstrip() for line in lines[-_TAIL_LINES:]).strip("\n").splitlines()


def _outputs(cells: list, index: int | None) -> list:
    """The cell's outputs."""
    return cells[index].get("outputs", []) if index is not None and index < len(cells) else []


def _is_own_code(cell: nbformat.NotebookNode) -> bool:
    """True for a code cell of the source."""
    return cell.cell_type == "code" and _INJECTED not in cell.metadata.get("tags", [])
