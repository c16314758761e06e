"""Run notebook sources in order, with parameters, and write readable pages of them.

python -m build.run                            all notebooks on the miniature competition
python -m build.run 02 04 -p seed=7            two of them, with a parameter that both have
python -m build.run -p "02:epochs=1 seed=3"    one for 02, and one for each that has it
python -m build.run --help-notebook 02         the parameters of one
"""

import argparse
import sys
from pathlib import Path

from build.cli.exit_codes import Parser, end, tool
from build.notebooks.assignments import assign
from build.notebooks.inputs import check_inputs, resolve_paths
from build.notebooks.parameters import is_called
from build.notebooks.values import convert_parameters
from build.project import ROOT
from lib.core.errors import BadInput
from lib.core.progress import format_duration
from lib.core.staging import describe_output


@tool
def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks of the command line."""
    options = _options(arguments)
    if options.help_notebook:
        from build.notebooks.source import help_text

        print(help_text(_chosen(options.sources, [options.help_notebook])[0]))
        return 0
    plan = _plan(options)
    try:
        return _run_in_order(plan, options.dist.resolve(), options.timeout_s)
    finally:
        from build.notebooks.pages import write_index

        index = write_index(options.dist.resolve(), _all_sources(options.sources))
        print(f"index: {index}")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = Parser(__doc__)
    parser.add_argument("notebooks", nargs="*", default=["all"], help="numbers or names, in the order to run, or all")
    parser.add_argument("-p", "--set", action="append", default=[], metavar="'[NN:]NAME=VALUE …'", help="parameters")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/mini", help="where each notebook gets its folder")
    parser.add_argument("--data", type=Path, default=ROOT / "data/mini/public/birdclef-2026", help="competition files")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist/notebooks", help="where the pages go")
    parser.add_argument("--sources", type=Path, default=ROOT / "notebooks_src", help="where the percent scripts are")
    parser.add_argument("--timeout-s", type=float, help="longest time for one notebook, kernel start included")
    parser.add_argument("--help-notebook", metavar="NN", help="list a notebook's parameters and stop")
    return parser.parse_args(arguments)


def _plan(options: argparse.Namespace) -> list[tuple[Path, dict]]:
    """The notebooks to run, each with its parameters, all checked before the first one starts."""
    chosen = _chosen(options.sources, options.notebooks)
    given = assign(chosen, " ".join(options.set))
    plan = []
    for source in chosen:
        folders: dict[str, object] = {
            "competition_dir": str(options.data),
            "inputs_dir": str(options.runs),
            "output_dir": str(options.runs / source.stem),
        }
        values = convert_parameters(source, resolve_paths(folders | given[source]))
        check_inputs(source, values, first=source == chosen[0])
        plan.append((source, values))
    return plan


def _run_in_order(plan: list[tuple[Path, dict]], dist: Path, timeout_s: float | None) -> int:
    """Run the plan until one fails; each leaves notebook, page and record, a failed one beside the last good one."""
    from build.notebooks.last_runs import begin_run, end_run  # late, like papermill: checks need not wait for them
    from build.notebooks.run_child import run_notebook

    for done, (source, values) in enumerate(plan):
        print(f"{source.stem}: writes {describe_output(Path(str(values['output_dir'])))}", flush=True)
        result = run_notebook(source, values, begin_run(dist, source.stem), timeout_s=timeout_s)
        end_run(result, dist)
        if not result.ok:
            print(result.failure, file=sys.stderr)
            left = [later.stem for later, _values in plan[done + 1 :]]
            if left:
                print(f"not started: {', '.join(left)}", file=sys.stderr)
            return 1
        print(f"{source.stem}: done in {format_duration(result.duration_s)}")
    return 0


def _chosen(folder: Path, names: list[str]) -> list[Path]:
    """The sources with these numbers or names, in the order given; `all` means all in order."""
    sources = _all_sources(folder)
    chosen = []
    for name in names:
        found = sources if name == "all" else [source for source in sources if is_called(source, name)]
        if not found:
            raise BadInput(
                f"there is no notebook {name} in {folder}",
                expected=f"all, or one of {', '.join(source.stem for source in sources) or '(none are there)'}",
                got=name,
                do="use a notebook's number or name",
            )
        chosen += [source for source in found if source not in chosen]
    return chosen


def _all_sources(folder: Path) -> list[Path]:
    """The percent scripts of the folder in order."""
    return sorted(folder.resolve().glob("[0-9]*.py"))


if __name__ == "__main__":
    end(main)
