"""Run one notebook under papermill, in a process that reports each cell's start and end through a pipe.

Reports are needed because a saved notebook cannot be trusted: after a kernel is killed papermill 2.7.0 marks every cell
`completed`, even those that never ran (NotebookExecutionManager.notebook_complete).
"""

import json
import os
import re
import sys
from pathlib import Path

import papermill
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines


class Reporter:
    """Writes one JSON line per event."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def send(self, **event: object) -> None:
        """Write the event at once."""
        os.write(self._descriptor, (json.dumps(event) + "\n").encode())


class ReportingClient(PapermillNotebookClient):
    """papermill's client; a cell is reported `completed` only when the kernel reported that."""

    reporter: Reporter

    def execute_cell(self, cell, cell_index, **options):
        """Execute the cell, with a report before and after; none follows a cell that broke off."""
        own = cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
        self.reporter.send(what="started", cell=cell_index, own=own, heading=self._heading_before(cell_index))
        executed = super().execute_cell(cell, cell_index, **options)
        self.reporter.send(what="completed", cell=cell_index, own=own)
        return executed

    def _heading_before(self, cell_index: int) -> str:
        """The last markdown heading above the cell, or nothing."""
        prose = "\n".join(cell.source for cell in self.nb.cells[:cell_index] if cell.cell_type == "markdown")
        return (re.findall(r"^#+\s+(.+)$", prose, re.MULTILINE) or [""])[-1]


class ReportingEngine(NBClientEngine):
    """papermill's engine with the reporting client; time limits belong to the parent process."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, start_timeout=60, **_unused):
        """Run the cells of the notebook that the manager holds."""
        ReportingClient(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, timeout=None).execute()


def main(request_path: str, descriptor: str) -> int:
    """Run the notebook of the request file; 0 only when papermill met no error."""
    request = json.loads(Path(request_path).read_text())
    ReportingClient.reporter = Reporter(int(descriptor))
    papermill_engines.register("reporting", ReportingEngine)
    try:
        papermill.execute_notebook(
            request["notebook"],
            request["executed"],
            parameters=request["parameters"],
            cwd=request["cwd"],
            engine_name="reporting",
            progress_bar=False,
        )
    except Exception as error:
        ReportingClient.reporter.send(what="error", name=type(error).__name__, text=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
