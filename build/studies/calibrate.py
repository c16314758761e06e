"""Measure the coverage of the bootstrap intervals on simulated competitions whose true scores are known.

python -m build.studies.calibrate [--competitions 15] [--draws 30]
"""

import pandas as pd

from build.cli.exit_codes import Parser, end, tool
from lib.core.progress import progress
from lib.judge.bootstrap import LEVEL
from lib.judge.studies.coverage import interval_coverage

RECORDINGS = (30, 48, 66)
CLASSES = 40


@tool
def main(arguments: list[str] | None = None) -> int:
    """Print one line for each number of recordings."""
    parser = Parser(__doc__)
    parser.add_argument("--competitions", type=int, default=15, help="each with its own classes and models")
    parser.add_argument("--draws", type=int, default=30, help="sets of recordings drawn from each")
    given = parser.parse_args(arguments)
    rows = [
        {"recordings": count, "draws": given.competitions * given.draws}
        | interval_coverage(count, competitions=given.competitions, draws_each=given.draws, classes=CLASSES, seed=count)
        for count in progress(RECORDINGS, "simulating", len(RECORDINGS))
    ]
    print(f"coverage of {LEVEL:.0%} intervals, and their mean width; {CLASSES} classes")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    return 0


if __name__ == "__main__":
    end(main)
