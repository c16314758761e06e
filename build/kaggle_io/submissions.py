"""The submissions sent from here: their inputs, offline and public scores, what changed, and what may be sent next."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from kagglesdk.competitions.types import competition_api_service as calls
from scipy.stats import spearmanr

from build.kaggle_io.client import KaggleError, call_kaggle
from build.kaggle_io.outputs import RECEIPT, read_receipt
from build.kaggle_io.outputs import SUBMISSION as FILE
from build.kaggle_io.push_log import kernel_folder, read_runs
from build.kaggle_io.versions import status_of
from lib.competition.classes import read_class_list
from lib.core.errors import BadInput
from lib.core.paths import SLUG, find_competition
from lib.core.records import from_json, to_json, write_text
from lib.submit.rows import required_rows
from lib.submit.writer import check_submission, read_submission

SENDING, PENDING, COMPLETE, ERROR = "SENDING", "PENDING", "COMPLETE", "ERROR"
RULES_PAGE = f"https://www.kaggle.com/competitions/{SLUG}/rules"
_NEEDED = ("submission", "recipe", "recipe_score", "recipe_interval", "lib_fingerprint", "alarms")  # of a receipt
_PAGE = 100
_LIST_IS_COMPLETE_AFTER = timedelta(hours=1)
_ENOUGH = 3
_PREDICTS, _HINTS = 0.7, 0.3  # least rank correlations for these verdicts


@dataclass(frozen=True)
class Submission:
    """One line of `submissions.jsonl`; written before it is sent, and again whenever Kaggle reports more."""

    date: str
    message: str
    kernel: str  # owner/slug
    version: int
    ref: int  # Kaggle's number; 0 until it responds
    status: str
    recipe: str
    offline_score: float
    offline_interval: list[float]
    inputs: dict[str, str]  # manifest by input, and the fingerprint of lib
    public_score: float | None = None
    private_score: float | None = None
    error: str = ""
    counted_before: int = -1  # submissions of that day when it was sent, by Kaggle's count; -1 where unknown
    listed_before: int = 0  # submissions in Kaggle's list then

    def updated(self, shown) -> "Submission":
        """This submission with the number, status, scores and error that Kaggle now shows."""
        return replace(
            self,
            ref=shown.ref,
            status=shown.status.name,
            public_score=_score(shown.public_score),
            private_score=_score(shown.private_score),
            error=shown.error_description or "",
        )


def _score(text: str | None) -> float | None:
    """The score that Kaggle gives as text, None where it gives no number."""
    try:
        score = float(text or "nan")
    except ValueError:
        return None
    return score if math.isfinite(score) else None


def input_fingerprints(receipt: Mapping) -> dict[str, str]:
    """The submission's inputs, each with a fingerprint; receipts without `inputs` name lib only."""
    inputs = {name: found["manifest"] for name, found in receipt.get("inputs", {}).items()}
    return {"lib": receipt["lib_fingerprint"], **inputs}


def ledger(root: Path) -> Path:
    """The file of all submissions."""
    return root / "runs" / "kaggle" / "submissions.jsonl"


def read_submissions(root: Path) -> list[Submission]:
    """All submissions sent from here, oldest first; a torn or foreign line is an error that gives its number."""
    path = ledger(root)
    texts = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    try:
        return [from_json(Submission, json.loads(text), f"{path} line {n}") for n, text in enumerate(texts, start=1)]
    except json.JSONDecodeError as error:
        raise BadInput(
            f"{path} is torn", expected="one JSON object a line", got=error, do="fix or delete the line"
        ) from error


def _write(root: Path, known: list[Submission]) -> None:
    """Write all submissions, in one step."""
    lines = [json.dumps(to_json(one), sort_keys=True, allow_nan=False, ensure_ascii=False) for one in known]
    write_text(ledger(root), "".join(f"{line}\n" for line in lines))


def save_submission(root: Path, submission: Submission) -> Submission:
    """Save the submission in the ledger in place of the one with its message, and return it."""
    known = {one.message: one for one in read_submissions(root)} | {submission.message: submission}
    _write(root, list(known.values()))
    return submission


def remove_submission(root: Path, submission: Submission) -> None:
    """Remove a submission from the ledger that was certainly not made."""
    _write(root, [one for one in read_submissions(root) if one.message != submission.message])


def describe_changes(before: Submission | None, after: Submission) -> str:
    """The differences of two submissions: the recipe's name, and inputs with other manifests, + new, - gone."""
    if before is None:
        return "the first"
    parts = [f"{before.recipe} → {after.recipe}"] if before.recipe != after.recipe else []
    for name in sorted(before.inputs.keys() | after.inputs.keys()):
        old, new = before.inputs.get(name), after.inputs.get(name)
        if old != new:
            parts.append(f"+{name}" if old is None else f"-{name}" if new is None else name)
    return ", ".join(parts) or "nothing"


def table(known: list[Submission]) -> str:
    """The submissions as a printed table, oldest first."""
    rows = [
        {
            "date": one.date[:16].replace("T", " "),
            "message": one.message,
            "offline": f"{one.offline_score:.3f}",
            "90 % interval": "[{:.3f}, {:.3f}]".format(*one.offline_interval),
            "public": _shown(one.public_score) or one.status.lower(),
            "private": _shown(one.private_score) or "–",
            "what changed": describe_changes(before, one),
        }
        for before, one in zip([None, *known], known, strict=False)
    ]
    return pd.DataFrame(rows).to_string(index=False)


def _shown(score: float | None) -> str:
    """A score with three decimals; empty where there is none."""
    return "" if score is None else f"{score:.3f}"


def agreement(known: list[Submission]) -> str:
    """One sentence on the agreement of offline and public scores: the rank correlation, and what it means."""
    pairs = [(one.offline_score, one.public_score) for one in known if one.public_score is not None]
    count = f"{len(pairs)} scored submission{'' if len(pairs) == 1 else 's'}"
    if len(pairs) < _ENOUGH:
        return f"{count}: too few to show that the judge predicts the board; {_ENOUGH} are the least."
    offline, public = zip(*pairs, strict=True)
    if len(set(offline)) == 1 or len(set(public)) == 1:
        return f"{count}, all with the same {'offline' if len(set(offline)) == 1 else 'public'} score: nothing to rank."
    rho = float(spearmanr(offline, public).statistic)
    verdict = (
        "predicts the board" if rho >= _PREDICTS else "hints at the board" if rho >= _HINTS else "does not predict it"
    )
    return f"Over {count} the ranks of offline and public scores correlate by {rho:.2f}: so far the judge {verdict}."


def list_submissions(api) -> dict[int, calls.ApiSubmission]:
    """All submissions of the team as Kaggle shows them now, by number, newest first."""
    request = calls.ApiListSubmissionsRequest()
    request.competition_name, request.page_size = SLUG, _PAGE
    found: dict[int, calls.ApiSubmission] = {}

    def send():
        with api.build_kaggle_client() as kaggle:
            return kaggle.competitions.competition_api_client.list_submissions(request)

    while True:
        response = call_kaggle("list the submissions", send, repeatable=True)
        found |= {shown.ref: shown for shown in response.submissions}
        if not response.next_page_token:
            return found
        request.page_token = response.next_page_token


def submission_limits(api) -> calls.ApiSubmissionLimits:
    """The numbers of submissions made, and allowed now."""
    return call_kaggle("get the submissions left", lambda: api.competition_get_submission_limits(SLUG), repeatable=True)


def surely_not_made(api, sent: Submission, shown: dict[int, calls.ApiSubmission]) -> bool:
    """True when a submission that Kaggle's list lacks was not made: the day's count did not grow beyond that list.

    Where Kaggle gives no count of that day, an hour must pass: the list may be late.
    """
    sent_at, now = datetime.fromisoformat(sent.date), datetime.now(UTC)
    try:
        counted = submission_limits(api).num_today
    except KaggleError:
        counted = -1
    if counted < 0 or sent.counted_before < 0 or sent_at.date() != now.date():
        return now - sent_at > _LIST_IS_COMPLETE_AFTER
    return counted - sent.counted_before <= len(shown) - sent.listed_before


def newest_complete(root: Path, kernel: str) -> int:
    """The newest version of owner/slug that was pushed from here and ran to its end."""
    versions = [line.version for line in read_runs(root) if line.kernel == kernel and line.status == COMPLETE]
    if not versions:
        raise BadInput(
            f"no version of {kernel} to submit",
            expected="one that was pushed from here and ran to its end",
            got="none in runs/kaggle/pushes.jsonl",
            do="push it first, or give --version",
        )
    return max(versions)


def check_run(api, root: Path, kernel: str, version: int, data: str) -> dict:
    """The receipt of a version that may be submitted: COMPLETE, its submission valid and the one in the receipt."""
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
    receipt, competition = read_receipt(folder), find_competition(data)
    if lacking := [name for name in _NEEDED if name not in receipt]:
        raise BadInput(
            f"{folder / RECEIPT} is not a receipt",
            expected=", ".join(_NEEDED),
            got=f"no {', '.join(lacking)}",
            do="push the kernel anew, as this version of the project builds it",
        )
    try:
        submission = read_submission(folder / FILE)
    except ValueError as error:  # of pandas, for what is no table
        raise BadInput(f"{folder / FILE} is no table", expected="CSV", got=error, do="push the kernel anew") from None
    check_submission(submission, required_rows(competition).row_ids, read_class_list(competition))
    return receipt


def check_allowance(api) -> int:
    """The number of submissions made today, -1 where Kaggle does not give it; none left today is an error."""
    try:
        limits = submission_limits(api)
    except KaggleError as error:
        print(f"submissions left today: unknown ({error.got})")
        return -1
    if limits.num_allowed_now < 1:
        joined = limits.num_total or limits.num_today  # Kaggle returns zeros for users without a team
        raise BadInput(
            "no submission is left today" if joined else "no submission is allowed yet",
            expected="1 or more",
            got=f"0, after {limits.num_today} today" if joined else "0, and none ever made",
            do=f"wait until {next_day(datetime.now(UTC))}" if joined else f"accept the rules at {RULES_PAGE}",
        )
    print(f"submissions left today: {limits.num_allowed_now}")
    return limits.num_today


def next_day(now: datetime) -> str:
    """The time at which the next day of submissions begins, and the wait until then."""
    turn = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = int((turn - now).total_seconds()) // 60
    return f"{turn:%Y-%m-%d %H:%M} UTC, in {minutes // 60} h {minutes % 60} min"
