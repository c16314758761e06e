"""The rows a submission must have: from the test files, cross-checked against the sample submission."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.competition.row_ids import parse_soundscape, row_ids
from lib.competition.sound_files import soundscape_files
from lib.core.errors import BadInput, shorten
from lib.core.paths import in_rerun


@dataclass(frozen=True)
class RequiredRows:
    """The mode, the test soundscapes in name order, and the row ids to write."""

    mode: str
    soundscapes: tuple[Path, ...]
    row_ids: tuple[str, ...]
    alarms: tuple[str, ...]


def required_rows(competition: Path) -> RequiredRows:
    """The required rows in public mode (no test soundscapes: the sample's) or rerun mode (twelve a test soundscape)."""
    files = soundscape_files(competition, "test")
    sample = _sample_rows(competition / "sample_submission.csv")
    if not files:
        if in_rerun():
            raise BadInput(
                "the rerun has no test soundscapes",
                expected=f"*.ogg in {competition / 'test_soundscapes'}",
                got="none",
                do="check that the competition is attached",
            )
        if not sample:
            raise _unusable("a row_id for each row to submit", "a header alone")
        return RequiredRows("public", (), tuple(sample), ())
    for file in files:
        parse_soundscape(file.name)
    rows = [row for file in files for row in row_ids(file.stem)]
    if set(sample) == set(rows):
        return RequiredRows("rerun", tuple(files), tuple(sample), ())
    stems = {file.stem for file in files}
    if not any(row.rpartition("_")[0] in stems for row in sample):
        alarm = (
            f"sample_submission.csv names none of the test soundscapes ({len(sample)} rows); rows made from the files"
        )
        return RequiredRows("rerun", tuple(files), tuple(rows), (alarm,))
    without_sample, without_file = sorted(set(rows) - set(sample)), sorted(set(sample) - set(rows))
    raise BadInput(
        "test soundscapes and sample_submission.csv require different rows",
        expected="twelve rows for each file in test_soundscapes",
        got=f"not in the sample: {shorten(without_sample, 1) or 'none'}; "
        f"not from a file: {shorten(without_file, 1) or 'none'}",
        do="check that both come from the same mount",
    )


def _sample_rows(path: Path) -> list[str]:
    """The sample's row ids, each there once."""
    try:
        rows = pd.read_csv(path, usecols=["row_id"], dtype=str, keep_default_na=False).row_id.tolist()
    except (OSError, ValueError) as error:
        raise _unusable("a table with the column row_id", error) from error
    if repeated := [row for row, times in Counter(rows).items() if times > 1]:
        raise _unusable("each row once", f"twice or more: {shorten(repeated, 3)}")
    return rows


def _unusable(expected: str, got: object) -> BadInput:
    return BadInput(
        "sample_submission.csv is not usable",
        expected=expected,
        got=got,
        do="attach the competition as Kaggle provides it",
    )
