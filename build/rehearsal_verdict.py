"""What a rehearsal left behind, judged: executed notebook, submission against its rows, receipt, score."""

import json
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import project  # noqa: F401

from lib.competition.errors import BadInput, shortened
from lib.judge.metric import official_score

ROW = "row_id"
RECEIPT_KEYS = {
    "mode": str,
    "soundscapes": int,
    "seconds_per_soundscape": (int, float),
    "projected_minutes_600": (int, float),
    "alarms": list,
}


@dataclass(frozen=True)
class Score:
    """The official score of a rerun, and over how many classes."""

    value: float
    classes: int


def check_notebook(executed: Path, return_code: int, log_tail: str) -> None:
    """Raise unless papermill succeeded and every cell completed: it alone tells neither."""
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
            got=shortened(unfinished),
            do="remove sys.exit and quit: Kaggle would take this run for a success",
        )


def checked_submission(path: Path, competition: Path) -> pd.DataFrame:
    """The submission, after all its faults against the competition's sample were looked for."""
    if not path.is_file():
        raise BadInput("no submission", expected="submission.csv in the working folder", got="none", do="write one")
    sample = pd.read_csv(competition / "sample_submission.csv", dtype={ROW: str})
    submission = pd.read_csv(path, dtype={ROW: str})
    columns = [f"{len(sample.columns)} columns, in the sample's order"]
    if list(submission.columns) != list(sample.columns):
        pairs = zip(sample.columns, submission.columns, strict=False)
        got = next((f"{b!r} where {a!r} belongs" for a, b in pairs if a != b), f"{len(submission.columns)} columns")
        raise _bad_submission([f"columns differ: {got}"], columns)
    faults = _row_faults(submission[ROW], sample[ROW]) + _value_faults(submission.drop(columns=ROW))
    if faults:
        raise _bad_submission(faults, [*columns, f"{len(sample)} rows, once each, numbers in [0, 1]"])
    return submission


def _bad_submission(faults: list[str], expected: list[str]) -> BadInput:
    """One error for all faults of a submission."""
    return BadInput(
        "the submission would not be scored", expected="; ".join(expected), got="; ".join(faults), do="mend the writer"
    )


def _row_faults(rows: pd.Series, expected: pd.Series) -> list[str]:
    """Rows missing, too many, or twice there."""
    found = {
        "missing": sorted(set(expected) - set(rows)),
        "not asked for": sorted(set(rows.fillna("")) - set(expected)),
        "there twice": rows[rows.duplicated()].unique().tolist(),
    }
    return [f"{len(names)} rows {fault}: {shortened(names, 3)}" for fault, names in found.items() if names]


def _value_faults(values: pd.DataFrame) -> list[str]:
    """Columns that hold something else than numbers in [0, 1]."""
    words = [column for column in values if not pd.api.types.is_numeric_dtype(values[column])]
    numbers = values.drop(columns=words).to_numpy(dtype=np.float64)
    found = [f"no numbers in column {shortened(words, 3)}"] if words else []
    if bad := int((~np.isfinite(numbers)).sum()):
        found.append(f"{bad} values are NaN or infinite")
    if bad := int(((numbers < 0) | (numbers > 1)).sum()):
        found.append(f"{bad} values lie outside [0, 1]")
    return found


def checked_receipt(path: Path, mode: str, limit_minutes: float) -> dict:
    """The receipt, when it is of this mode and says that 600 soundscapes fit the limit."""
    if not path.is_file():
        raise BadInput("no receipt", expected="receipt.json in the working folder", got="none", do="write one")
    receipt = json.loads(path.read_text(encoding="utf-8"))
    wrong = [key for key, kind in RECEIPT_KEYS.items() if not isinstance(receipt.get(key), kind)]
    if wrong or receipt["mode"] != mode:
        raise BadInput(
            "the receipt does not say what it must",
            expected=f"mode {mode!r}, and {', '.join(RECEIPT_KEYS)}",
            got=", ".join(f"{key}={receipt.get(key)!r}" for key in wrong or ["mode"]),
            do="mend the notebook's receipt, or the way it tells a rerun from other runs",
        )
    if not receipt["projected_minutes_600"] <= limit_minutes:
        raise BadInput(
            "the submission would run out of time",
            expected=f"at most {limit_minutes:g} minutes for 600 soundscapes",
            got=f"{receipt['projected_minutes_600']:.1f} minutes",
            do="leave members out of the recipe, or raise --minutes if this machine is slower than Kaggle's",
        )
    return receipt


def score(solution_path: Path, submission: pd.DataFrame) -> Score:
    """The official score; rows that the solution and the submission do not share are an error."""
    solution = pd.read_csv(solution_path, dtype={ROW: str})
    if faults := _row_faults(submission[ROW], solution[ROW]):
        raise BadInput(
            "solution and submission have other rows",
            expected=f"the {len(solution)} rows of {solution_path.name}",
            got="; ".join(faults),
            do="give the solution of the same competition folder",
        )
    aligned = submission.set_index(ROW).loc[solution[ROW]].reset_index()
    classes = [column for column in solution.columns if column in set(submission.columns) - {ROW}]
    solution = solution[[ROW, *classes]]
    scored = int((solution[classes].sum(axis=0) > 0).sum())
    return Score(official_score(solution, aligned, ROW), scored)
