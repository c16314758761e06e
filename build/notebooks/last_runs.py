"""The files that runs of a notebook leave: those of the last good run, and beside them those of a later one.

01_data_prep.ipynb, .log, .html, .json     the last good run
01_data_prep.failed.ipynb, …               the last run, if it failed; without .json it was interrupted, or runs now
"""

import os
from dataclasses import replace
from pathlib import Path

from build.notebooks.pages import FAILED, write_page, write_record
from build.notebooks.run_child import RunResult

_SUFFIXES = (".ipynb", ".log", ".html", ".json")  # the record comes last: with it the others are whole


def begin_run(dist: Path, name: str) -> Path:
    """The path to execute the notebook at, beside the last good run's; what an earlier failed run left is removed."""
    for suffix in reversed(_SUFFIXES):
        (dist / f"{name}{FAILED}{suffix}").unlink(missing_ok=True)
    return dist / f"{name}{FAILED}.ipynb"


def end_run(result: RunResult, dist: Path) -> None:
    """Write page and record of a run; those of a good one take the place of the last good one's."""
    if result.ok:
        for suffix in _SUFFIXES[:2]:
            os.replace(dist / f"{result.name}{FAILED}{suffix}", dist / f"{result.name}{suffix}")
        result = replace(result, executed=str(dist / f"{result.name}.ipynb"))
    write_page(result)  # in its final place, under which the other pages link it
    write_record(result, dist)
