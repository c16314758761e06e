"""Run the whole chain on the miniature competition: data, six notebooks, kernels, the sealed rehearsal, the ladder.

python -m build.demo            what `make demo` runs
python -m build.demo --quick    the baselines on a tiny miniature, in runs/quick
"""

import subprocess
import sys
import time
from itertools import chain

from build.cli.exit_codes import Parser, end, tool
from build.project import ROOT
from lib.core.progress import format_duration

# Fewer folds, steps and heads than the notebooks' defaults, so that the demo ends within six minutes on two cores:
# longer runs add three heads, the leaky control, and a student that is trained long enough to be kept.
FULL = {
    "01:n_folds": "3",
    "02:epochs": "2",
    "02:steps_per_epoch": "50",
    "03:heads": "zero_shot,linear,proto_ssm",
    "04:leaky_folds": "",
    "04:overrides": "epochs=1,serve=folds",
    "04:steps_per_epoch": "15",
}
QUICK = {"01:n_folds": "3", "02:preset": "None"}


def stages(quick: bool) -> dict[str, list[list[str]]]:
    """The stages by title, each the arguments of Python processes that run side by side."""
    data, runs, settings = ("data/quick", "runs/quick", QUICK) if quick else ("data/mini", "runs/mini", FULL)
    # Without 03 and 04, whose outputs 06 reads too, the members come as a dataset.
    kernels = ["build.inline", "--from", "dataset"] if quick else ["build.inline"]

    def run(*notebooks: str, mode: str = "public") -> list[str]:
        given = [["-p", f"{name}={value}"] for name, value in settings.items() if name[:2] in notebooks]
        return [
            "build.run",
            *notebooks,
            "--runs",
            runs,
            "--data",
            f"{data}/{mode}/birdclef-2026",
            *chain.from_iterable(given),
        ]

    notebooks = (
        {"01, 02 and 05, on what a competitor sees": [run("01", "02", "05")]}
        if quick
        else {
            "01, on what a competitor sees": [run("01")],
            "02 and 03, side by side": [run("02"), run("03")],
            "04 and 05": [run("04", "05")],
        }
    )
    rehearsal = ["build.rehearse", "--data", data, "--outputs", runs, "--mode", "rerun"]
    return {
        "the miniature competition": [["build.miniature", data, *(["--preset", "tiny"] if quick else [])]],
        **notebooks,
        "06 on the hidden test, and six kernels": [run("06", mode="rerun"), kernels],
        "the submission kernel, sealed": [rehearsal],
        **({} if quick else {"the ladder": [["build.ladder", "--runs", runs]]}),
    }


@tool
def main(arguments: list[str] | None = None) -> int:
    """Run the stages in order; 0 when all are done, else the exit code of the first that failed."""
    parser = Parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="the baselines only")
    quick, start = parser.parse_args(arguments).quick, time.perf_counter()
    todo = stages(quick)
    for number, (title, commands) in enumerate(todo.items(), start=1):
        print(f"\n[{number}/{len(todo)}] {title}", flush=True)
        for command, code in zip(commands, _run_side_by_side(commands), strict=True):
            if code:
                print(f"\nstopped at {title!r}: python -m {' '.join(command)} gave {code}", file=sys.stderr)
                return code
    runs = "runs/quick" if quick else "runs/mini"
    print(f"\nDone in {format_duration(time.perf_counter() - start)}. See:")
    for path, content in (
        ("dist/notebooks/index.html", "the notebooks as pages"),
        *(() if quick else (("dist/ladder.html", "the ladder above"),)),
        (f"{runs}/06_submission/submission.csv", "the submission, and receipt.json beside it"),
        ("dist/kernels/", "six kernels, ready to push"),
        ("dist/rehearsal/", "the sealed rehearsal's outputs"),
    ):
        print(f"  {path:<42} {content}")
    return 0


def _run_side_by_side(commands: list[list[str]]) -> list[int]:
    """The exit codes of the Python processes; whatever happens here, none is left behind."""
    processes = [subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT) for command in commands]
    try:
        return [process.wait() for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


if __name__ == "__main__":
    end(main)
