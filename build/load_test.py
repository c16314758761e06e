"""Run 06 on as many soundscapes as the competition has: the miniature's test files, repeated under other names.

python -m build.load_test                       600 soundscapes, the recipe safe
python -m build.load_test --soundscapes 60 --recipe bold --runtime openvino
"""

import shutil
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

import pandas as pd

from build.cli.exit_codes import Parser, end, tool
from build.notebooks.inputs import check_inputs
from build.notebooks.run_child import run_notebook
from build.notebooks.values import convert_parameters
from build.project import ROOT
from lib.competition.row_ids import row_ids
from lib.competition.sound_files import soundscape_files
from lib.core.errors import BadInput
from lib.core.records import read_json
from lib.submit.budget import CONTEST_SOUNDSCAPES

TABLES = ("taxonomy.csv", "train_soundscapes_labels.csv")


def repeat_soundscapes(competition: Path, folder: Path, count: int) -> Path:
    """Make a competition folder with so many test soundscapes, links to those of another, and a matching sample."""
    files = soundscape_files(competition, "test")
    if not files:
        raise BadInput(
            "there is no soundscape to repeat",
            expected=f"*.ogg in {competition / 'test_soundscapes'}",
            got="none",
            do="make the miniature competition: run `make demo`",
        )
    (folder / "test_soundscapes").mkdir(parents=True)
    for table in TABLES:
        shutil.copy(competition / table, folder)
    stems = []
    for number, file in enumerate(islice(cycle(files), count)):
        head, kind, _, *rest = file.stem.split("_")
        stems.append("_".join([head, kind, f"{number:04d}", *rest]))
        (folder / "test_soundscapes" / f"{stems[-1]}.ogg").symlink_to(file.resolve())
    sample = pd.read_csv(competition / "sample_submission.csv", nrows=1)
    rows = sample.loc[[0] * 12 * count].assign(row_id=[row for stem in stems for row in row_ids(stem)])
    rows.to_csv(folder / "sample_submission.csv", index=False)
    return folder


@tool
def main(arguments: list[str] | None = None) -> int:
    """Print the receipt's figures; 0 when the submission was made."""
    parser = Parser(__doc__)
    parser.add_argument("--soundscapes", type=int, default=CONTEST_SOUNDSCAPES, help="how many")
    parser.add_argument(
        "--competition", type=Path, default=ROOT / "data/mini/rerun/birdclef-2026", help="competition files"
    )
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/mini", help="the notebooks' outputs")
    parser.add_argument("--recipe", default="safe", help="by its name")
    parser.add_argument("--runtime", default="onnxruntime", help="onnxruntime or openvino")
    options = parser.parse_args(arguments)
    source, runs = ROOT / "notebooks_src/06_submission.py", str(options.runs.resolve())
    chosen = convert_parameters(source, {"recipe_name": options.recipe, "runtime": options.runtime})
    with tempfile.TemporaryDirectory() as aside:
        folder = repeat_soundscapes(options.competition, Path(aside) / "competition", options.soundscapes)
        output = Path(aside) / "output"
        parameters = {
            "competition_dir": str(folder),
            "inputs_dir": runs,
            "output_dir": str(output),
            **chosen,
        }
        check_inputs(source, parameters, first=True)
        result = run_notebook(source, parameters, Path(aside) / "06.ipynb")
        if not result.ok:
            print(result.failure, file=sys.stderr)
            return 1
        receipt = read_json(output / "receipt.json")
        rows = len(pd.read_csv(output / "submission.csv", usecols=["row_id"]))
    print(
        f"{receipt['scored']} of {options.soundscapes} soundscapes scored, {rows} rows, {len(receipt['alarms'])} alarms"
    )
    print(f"{receipt['minutes']:.1f} minutes in all, {receipt['workers']} soundscapes at once")
    print(
        f"at most {receipt['peak_memory_mib']:.0f} MiB; {receipt['overhead_ratio']:.2f} times the time inside sessions"
    )
    return 0


if __name__ == "__main__":
    end(main)
