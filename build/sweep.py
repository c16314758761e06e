"""Run a sweep: many runs of one notebook with different parameters, side by side, then one table and one page.

python -m build.sweep sweeps/front_end.yaml                              on the cores of this machine
python -m build.sweep sweeps/front_end.yaml --engine tcp://host:8786     on a Dask cluster
python -m build.sweep sweeps/front_end.yaml --dry                        only show what would run

The file's keys are in build/sweeps/config.py. The same command resumes an interrupted sweep: a run that has ended is
recognised by the fingerprint of notebook, lib, inputs and parameters. Failed ones are then tried again.
"""

import argparse
import sys
from pathlib import Path

from build.project import ROOT
from build.sweeps.config import Sweep, read_sweep
from build.sweeps.record import read_record
from build.sweeps.report import judge_folder, write_sweep_page
from build.sweeps.runs import Place, format_parameters, place_of
from build.sweeps.stages import first_runs, run_sweep
from build.sweeps.table import append_lines, write_table
from lib.core.errors import BadInput
from lib.core.paths import ledger_path

INTERRUPTED = 130  # the exit code of shells


def main(arguments: list[str] | None = None) -> int:
    """Run the sweep; 0 when every run is done, 1 when one failed, 2 for bad input, 130 when interrupted."""
    options = _options(arguments)
    try:
        sweep = read_sweep(options.file, options.sources)
        place = place_of(sweep, options.runs.resolve(), options.data.resolve())
        if options.dry:
            print(_describe_plan(sweep, place))
            return 0
        records = run_sweep(sweep, place, options.engine)
        judged = judge_folder(place.folder)
        write_table(place.folder, judged)
        append_lines(ledger_path(place.runs), judged)
        page = write_sweep_page(place.folder, judged)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; ended runs are kept: the same command resumes the sweep", file=sys.stderr)
        return INTERRUPTED
    failed = [record for record in records if record.status == "failed"]
    print(f"{len(records) - len(failed)} of {len(records)} runs are done, {len(failed)} failed\npage: {page}")
    return 1 if failed else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the sweep's file, such as sweeps/front_end.yaml")
    parser.add_argument(
        "--engine", default="", metavar="tcp://host:port", help="a Dask scheduler; default: this machine"
    )
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/mini", help="earlier outputs, and these")
    parser.add_argument("--data", type=Path, default=ROOT / "data/mini/public/birdclef-2026", help="competition files")
    parser.add_argument("--sources", type=Path, default=ROOT / "notebooks_src", help="where the percent scripts are")
    parser.add_argument("--dry", action="store_true", help="print the runs, execute none")
    return parser.parse_args(arguments)


def _describe_plan(sweep: Sweep, place: Place) -> str:
    """The runs that would be executed, and which of them have ended before."""
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
    sys.exit(main())
