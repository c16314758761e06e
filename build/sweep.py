"""Run a sweep: many runs of one notebook with different parameters, side by side, then one table and one page.

python -m build.sweep sweeps/front_end.yaml                              on the cores of this machine
python -m build.sweep sweeps/front_end.yaml --engine tcp://host:8786     on a Dask cluster
python -m build.sweep sweeps/front_end.yaml --dry                        only show what would run

The file's keys are in build/sweeps/config.py. The same command resumes an interrupted sweep: a run that has ended is
recognised by the fingerprint of notebook, lib, inputs and parameters. Failed ones are then tried again.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from build.cli.exit_codes import DONE, FAILED, Parser, end, tool
from build.notebooks.inputs import check_inputs
from build.project import ROOT
from build.sweeps.config import Sweep, read_sweep

if TYPE_CHECKING:
    from build.sweeps.runs import Place


@tool
def main(arguments: list[str] | None = None) -> int:
    """Run the sweep."""
    options = _options(arguments)
    sweep = read_sweep(options.file, options.sources)
    check_inputs(sweep.notebook, {"competition_dir": options.data, "inputs_dir": options.runs}, first=True)
    from build.sweeps.report import judge_folder, write_sweep_page  # late, like scipy: checks need not wait for them
    from build.sweeps.runs import place_of
    from build.sweeps.stages import run_sweep
    from build.sweeps.table import append_lines, write_table
    from lib.core.paths import ledger_path

    place = place_of(sweep, options.runs.resolve(), options.data.resolve())
    if options.dry:
        print(_describe_plan(sweep, place))
        return DONE
    records = run_sweep(sweep, place, options.engine)
    judged = judge_folder(place.folder)
    write_table(place.folder, judged)
    append_lines(ledger_path(place.runs), judged)
    page = write_sweep_page(place.folder, judged)
    failed = [record for record in records if record.status == "failed"]
    print(f"{len(records) - len(failed)} of {len(records)} runs are done, {len(failed)} failed\npage: {page}")
    return FAILED if failed else DONE


def _options(arguments: list[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = Parser(__doc__)
    parser.add_argument("file", type=Path, help="the sweep's file, such as sweeps/front_end.yaml")
    parser.add_argument(
        "--engine", default="", metavar="tcp://host:port", help="a Dask scheduler; default: this machine"
    )
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/mini", help="earlier outputs, and these")
    parser.add_argument("--data", type=Path, default=ROOT / "data/mini/public/birdclef-2026", help="competition files")
    parser.add_argument("--sources", type=Path, default=ROOT / "notebooks_src", help="where the percent scripts are")
    parser.add_argument("--dry", action="store_true", help="print the runs, execute none")
    return parser.parse_args(arguments)


def _describe_plan(sweep: Sweep, place: "Place") -> str:
    """The runs that would be executed, and which of them have ended before."""
    from build.sweeps.record import read_record
    from build.sweeps.runs import format_parameters
    from build.sweeps.stages import first_runs

    lines = [f"{sweep.question}?" if not sweep.question.endswith("?") else sweep.question]
    for run in first_runs(sweep, place):
        record = read_record(place.folder, run.id)
        state = f"{record.status} before" if record else "to run"
        lines.append(
            f"{run.number:4} {run.stage:6} {run.id}  {state:13} {format_parameters(run.parameters, sweep.varied)}"
        )
    if sweep.search:
        lines.append(f"and {sweep.search.runs} runs that the search chooses, over {', '.join(sweep.search.space)}")
    if sweep.promote:
        lines.append("and those that the replay promotes, in full")
    return "\n".join(lines)


if __name__ == "__main__":
    end(main)
