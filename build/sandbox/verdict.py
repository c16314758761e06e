"""Check the files of a rehearsal: executed notebook, submission against its rows, receipt; and score it."""

from dataclasses import dataclass
from pathlib import Path

import nbformat
import pandas as pd

from lib.competition.classes import read_class_list
from lib.core.errors import BadInput, shorten
from lib.core.records import read_json
from lib.judge.metric import official_score
from lib.submit.writer import check_submission, read_submission

ROW = "row_id"
RECEIPT_KEYS: dict[str, type | tuple[type, ...]] = {
    "mode": str,
    "soundscapes": int,
    "seconds_per_soundscape": (int, float),
    "projected_minutes_600": (int, float),
    "alarms": list,
}


@dataclass(frozen=True)
class RerunScore:
    """The official score of a rerun, and the number of classes scored."""

    value: float
    classes: int


def check_notebook(executed: Path, return_code: int, log_tail: str) -> None:
    """Raise unless papermill succeeded and every cell completed: neither alone is enough."""
    if return_code:
        raise BadInput(
            "the kernel failed",
            expected="papermill's exit status 0",
            got=f"{return_code}; the end of its log:\n{log_tail}",
            do=f"open {executed.name} in the rehearsal's folder; without an error in it the kernel was killed",
        )
    cells = nbformat.read(executed, as_version=4).cells
    unfinished = [
        f"cell {index} ({(cell.source.splitlines() or [''])[0][:60]})"
        for index, cell in enumerate(cells)
        if cell.cell_type == "code" and cell.metadata.get("papermill", {}).get("status") != "completed"
    ]
    if unfinished:
        raise BadInput(
            "the kernel ended before its last cell",
            expected="every cell completed",
            got=shorten(unfinished),
            do="remove sys.exit and quit: Kaggle would take this run for a success",
        )


def load_submission(path: Path, competition: Path) -> pd.DataFrame:
    """Read the submission, checked against the sample of its competition folder as the writer does."""
    if not path.is_file():
        raise BadInput("no submission", expected="submission.csv in the working folder", got="none", do="write one")
    sample = pd.read_csv(competition / "sample_submission.csv", usecols=[ROW], dtype=str)
    submission = read_submission(path)
    check_submission(submission, tuple(sample[ROW]), read_class_list(competition))
    return submission


def load_receipt(path: Path, mode: str, limit_minutes: float) -> dict:
    """Read the receipt; one of another mode, or projecting more than the limit for 600 soundscapes, is an error."""
    if not path.is_file():
        raise BadInput("no receipt", expected="receipt.json in the working folder", got="none", do="write one")
    receipt = read_json(path)
    wrong = [key for key, kind in RECEIPT_KEYS.items() if not isinstance(receipt.get(key), kind)]
    if wrong or receipt["mode"] != mode:
        raise BadInput(
            "the receipt is incomplete or of another mode",
            expected=f"mode {mode!r}, and {', '.join(RECEIPT_KEYS)}",
            got=", ".join(f"{key}={receipt.get(key)!r}" for key in wrong or ["mode"]),
            do="fix the notebook's receipt, or its test for a rerun",
        )
    if not receipt["projected_minutes_600"] <= limit_minutes:
        raise BadInput(
            "the submission would run out of time",
            expected=f"at most {limit_minutes:g} minutes for 600 soundscapes",
            got=f"{receipt['projected_minutes_600']:.1f} minutes",
            do="leave members out of the recipe, or raise --minutes if this machine is slower than Kaggle's",
        )
    return receipt


def score_rerun(solution_path: Path, submission: pd.DataFrame) -> RerunScore:
    """The official score; rows that the solution and the submission do not share are an error."""
    solution = pd.read_csv(solution_path, dtype={ROW: str})
    if set(submission[ROW]) != set(solution[ROW]):
        raise BadInput(
            "solution and submission have other rows",
            expected=f"the {len(solution)} rows of {solution_path.name}",
            got=f"not in both: {shorten(sorted(set(submission[ROW]) ^ set(solution[ROW])), 3)}",
            do="give the solution of the same competition folder",
        )
    aligned = submission.set_index(ROW).loc[solution[ROW]].copy().reset_index()
    classes = [column for column in solution.columns if column in set(submission.columns) - {ROW}]
    solution = solution[[ROW, *classes]]
    scored = int((solution[classes].sum(axis=0) > 0).sum())
    return RerunScore(official_score(solution, aligned, ROW), scored)
