"""Run the whole chain on the miniature competition: data, six notebooks, kernels, the sealed rehearsal, the ladder.

python -m build.demo            what `make demo` runs
python -m build.demo --quick    the baselines alone, one sealed rehearsal, in runs/quick
"""

import argparse
import subprocess
import sys
import time

from build.notebooks.meter import clock
from build.project import ROOT

RERUN = "data/mini/rerun/birdclef-2026"
# Fewer folds, steps and heads than the notebooks' defaults, so that the demo ends within six minutes on two cores:
# longer runs add two heads, the leaky control, and a student that is trained long enough to be kept.
FULL = {
    "01:n_folds": "4",
    "02:epochs": "2",
    "02:steps_per_epoch": "45",
    "03:heads": "zero_shot linear mlps proto_ssm",
    "04:leaky_folds": "",
    "04:overrides": "epochs=1,serve=folds",
    "04:steps_per_epoch": "15",
}
QUICK = {"02:preset": ""}


def stages(quick: bool) -> dict[str, list[str]]:
    """The stages by title, each the arguments of a Python process."""
    runs, settings = ("runs/quick", QUICK) if quick else ("runs/mini", FULL)
    given = [part for name, value in settings.items() for part in ("-p", f"{name}={value}")]
    notebooks = ["01", "02", "05"] if quick else ["01", "02", "03", "04", "05"]
    rehearse = ["--data", "data/mini", "--outputs", runs]
    found = {
        "the miniature competition": ["-m", "build.miniature", "data/mini"],
        "notebooks, on what a competitor sees": ["-m", "build.run", *notebooks, "--runs", runs, *given],
        "the submission, on the hidden test": ["-m", "build.run", "06", "--runs", runs, "--data", RERUN],
        "six kernels": ["-m", "build.inline"],
        "the submission kernel, sealed": ["-m", "build.rehearse", *rehearse, "--mode", "rerun"],
    }
    return found if quick else found | {"the ladder": ["-m", "build.ladder", "--runs", runs]}


def main(arguments: list[str]) -> int:
    """Run the stages in order; 0 when all are done, else the first failing stage's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the baselines only")
    quick, start = parser.parse_args(arguments).quick, time.perf_counter()
    todo = stages(quick)
    for number, (title, command) in enumerate(todo.items(), start=1):
        print(f"\n[{number}/{len(todo)}] {title}", flush=True)
        done = subprocess.run([sys.executable, *command], cwd=ROOT)
        if done.returncode:
            print(f"\nstopped at {title!r}: {' '.join(command)} gave {done.returncode}", file=sys.stderr)
            return done.returncode
    runs = "runs/quick" if quick else "runs/mini"
    print(f"\nDone in {clock(time.perf_counter() - start)}. See:")
    for path, content in (
        ("dist/notebooks/index.html", "the notebooks as pages"),
        *(() if quick else (("dist/ladder.html", "the ladder above"),)),
        (f"{runs}/06_submission/submission.csv", "the submission, and receipt.json beside it"),
        ("dist/kernels/", "six kernels, ready to push"),
        ("dist/rehearsal/", "the sealed rehearsal's outputs"),
    ):
        print(f"  {path:<42} {content}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
