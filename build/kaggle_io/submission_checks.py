"""What must be true before one of five submissions a day is spent on a version."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from build.kaggle_io.client import KaggleTrouble
from build.kaggle_io.push_log import kernel_folder, lines
from build.kaggle_io.submission_calls import FILE, limits
from build.kaggle_io.submissions import COMPLETE
from build.kaggle_io.versions import status_of
from lib.competition.classes import read_class_list
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.paths import SLUG, find_competition
from lib.core.records import read_json
from lib.submit.rows import asked_rows
from lib.submit.writer import check_submission, read_submission

RECEIPT = "receipt.json"
_NEEDED = ("submission", "recipe", "recipe_score", "recipe_interval", "lib_fingerprint", "alarms")
RULES_PAGE = f"https://www.kaggle.com/competitions/{SLUG}/rules"


def newest_complete(root: Path, kernel: str) -> int:
    """The newest version of owner/slug that was pushed from here and ran to its end."""
    versions = [line.version for line in lines(root) if line.kernel == kernel and line.status == COMPLETE]
    if not versions:
        raise BadInput(
            f"no version of {kernel} to submit",
            expected="one that was pushed from here and ran to its end",
            got="none in runs/kaggle/pushes.jsonl",
            do="push it first, or give --version",
        )
    return max(versions)


def check_run(api, root: Path, kernel: str, version: int, data: str) -> dict:
    """The receipt of a version that may be submitted: it ran to its end, and its submission is valid and its own."""
    slug, status = kernel.partition("/")[2], status_of(api, kernel, version)
    if status.name != COMPLETE:
        raise BadInput(
            f"{kernel} version {version} did not run to its end",
            expected=COMPLETE,
            got=f"{status.name} {status.failure}".strip(),
            do="wait for it, or push it again",
        )
    folder = kernel_folder(root, slug) / f"v{version}"
    if absent := [name for name in (FILE, RECEIPT) if not (folder / name).is_file()]:
        raise BadInput(
            f"the outputs of version {version} are not here",
            expected=f"{FILE} and {RECEIPT} in {folder}",
            got=f"no {', '.join(absent)}",
            do=f"fetch them: build/fetch.py outputs {slug} --version {version}",
        )
    receipt, competition = read_json(folder / RECEIPT), find_competition(data)
    if lacking := [name for name in _NEEDED if name not in receipt]:
        raise BadInput(
            f"{folder / RECEIPT} is not a receipt",
            expected=", ".join(_NEEDED),
            got=f"no {', '.join(lacking)}",
            do="push the kernel anew, as this version of the project builds it",
        )
    check_submission(read_submission(folder / FILE), asked_rows(competition).row_ids, read_class_list(competition))
    if receipt["submission"] != (written := fingerprint.of_file(folder / FILE)):
        raise BadInput(
            f"{RECEIPT} and {FILE} in {folder} do not belong together",
            expected=f"a submission {receipt['submission']}, as the receipt says",
            got=written,
            do=f"fetch them again: build/fetch.py outputs {slug} --version {version}",
        )
    return receipt


def check_allowance(api) -> None:
    """Refuse when no submission is left today; say how many are, where Kaggle tells."""
    try:
        told = limits(api)
    except KaggleTrouble as trouble:
        print(f"submissions left today: Kaggle does not say ({trouble.got})")
        return
    if told.num_allowed_now < 1:
        joined = told.num_total or told.num_today  # Kaggle answers zeros to those who are in no team
        raise BadInput(
            "no submission is left today" if joined else "no submission is allowed yet",
            expected="1 or more",
            got=f"0, after {told.num_today} today" if joined else "0, and none ever made",
            do=f"wait until {day_turn(datetime.now(UTC))}" if joined else f"accept the rules at {RULES_PAGE}",
        )
    print(f"submissions left today: {told.num_allowed_now}")


def day_turn(now: datetime) -> str:
    """When the next day of submissions begins, and in how long."""
    turn = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = int((turn - now).total_seconds()) // 60
    return f"{turn:%Y-%m-%d %H:%M} UTC, in {minutes // 60} h {minutes % 60} min"
