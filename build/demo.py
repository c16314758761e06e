"""The whole chain on the miniature competition: data, six notebooks, the ladder, six kernels, the sealed rehearsal.

python -m build.demo    what `make demo` runs
"""

import subprocess
import sys
import time

from build.notebooks.meter import clock
from build.project import ROOT

RERUN = "data/mini/rerun/birdclef-2026"
# What is left to longer runs: the residual head, and a student that learns: this one shows how.
SHORT = [
    "-p",
    "03:heads=zero_shot linear mlps sequence proto_ssm",
    "-p",
    "04:claimed_folds=",
    "-p",
    "04:steps_per_epoch=10",
]
STAGES = {
    "the miniature competition": ["-m", "build.miniature", "data/mini"],
    "five notebooks on what a competitor sees": ["-m", "build.run", "01", "02", "03", "04", "05", *SHORT],
    "the submission on the hidden test": ["-m", "build.run", "06", "--data", RERUN],
    "six kernels": ["-m", "build.inline"],
    "the submission kernel, sealed": ["-m", "build.rehearse", "--data", "data/mini", "--outputs", "runs/mini"],
    "the ladder": ["-m", "build.ladder"],
}


def main() -> int:
    """Run the stages in order; 0 when all were done, else the first failing stage's exit code."""
    start = time.perf_counter()
    for number, (what, command) in enumerate(STAGES.items(), start=1):
        print(f"\n[{number}/{len(STAGES)}] {what}", flush=True)
        done = subprocess.run([sys.executable, *command], cwd=ROOT)
        if done.returncode:
            print(f"\nstopped at {what!r}: {' '.join(command)} gave {done.returncode}", file=sys.stderr)
            return done.returncode
    print(f"\nDone in {clock(time.perf_counter() - start)}. Look at:")
    for path, what in (
        ("dist/notebooks/index.html", "the notebooks as pages"),
        ("dist/ladder.html", "the ladder above"),
        ("runs/mini/06_submission/submission.csv", "the submission, and receipt.json beside it"),
        ("dist/kernels/", "six kernels, ready to push"),
        ("dist/rehearsal/", "what the sealed rehearsal wrote"),
    ):
        print(f"  {path:<42} {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
