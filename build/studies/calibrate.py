"""Do the intervals hold what they promise? Their coverage on simulated competitions whose truth is known.

python -m build.studies.calibrate [--worlds 15] [--draws 30]
"""

import argparse
import sys

import pandas as pd

from lib.core.progress import progress
from lib.judge.bootstrap import LEVEL
from lib.judge.studies.coverage import interval_coverage

RECORDINGS = (30, 48, 66)
CLASSES = 40


def main(arguments: list[str] | None = None) -> int:
    """Print one line for each number of recordings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=15, help="simulated contests with their own classes and models")
    parser.add_argument("--draws", type=int, default=30, help="competitions drawn from each")
    given = parser.parse_args(arguments)
    rows = [
        {"recordings": count, "competitions": given.worlds * given.draws}
        | interval_coverage(count, worlds=given.worlds, draws_a_world=given.draws, classes=CLASSES, seed=count)
        for count in progress(RECORDINGS, "simulating", len(RECORDINGS))
    ]
    print(f"share of {LEVEL:.0%} intervals that hold the truth, and their mean width; {CLASSES} classes")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
