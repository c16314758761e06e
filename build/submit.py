"""Submit a pushed version to the competition, wait for its score, and record it beside the offline score.

python -m build.submit send --message "…" [--kernel infer] [--version N] [--owner NAME] [--no-wait] [--limit-s S]
python -m build.submit list       the table: does the judge predict the board?

Exit codes are those of build/cli/exit_codes.py; send: 0 scored, or accepted with --no-wait. The same command a second
time goes on waiting and sends nothing. Late submissions are sent like any other: Kaggle scores them without a rank.
"""

from dataclasses import replace
from pathlib import Path

from kagglesdk.competitions.types.competition_api_service import ApiSubmission

from build.cli.exit_codes import DONE, Failed, Parser, end, tool
from build.kaggle_io import client
from build.kaggle_io.client import KaggleError, OutcomeUnknown, call_once, connect, search, username
from build.kaggle_io.failures import redact
from build.kaggle_io.lock import kaggle_lock
from build.kaggle_io.push_log import KERNELS, now
from build.kaggle_io.submissions import (
    ERROR,
    FILE,
    PENDING,
    SENDING,
    Submission,
    agreement,
    check_allowance,
    check_run,
    input_fingerprints,
    list_submissions,
    newest_complete,
    read_submissions,
    remove_submission,
    save_submission,
    surely_not_made,
    table,
)
from build.kaggle_io.versions import REFUSALS_BORNE
from build.project import ROOT
from lib.core.errors import BadInput
from lib.core.paths import SLUG

LIMIT_S = 3 * 3600.0  # ninety minutes on the hidden test, and the queue
PAGE = f"https://www.kaggle.com/competitions/{SLUG}/submissions"
_POLL_EVERY_S, _PRINT_EVERY_S = 30.0, 300.0


def plan(api, root: Path, kernel: str, version: int, message: str, data: str) -> Submission:
    """Check everything, and return the submission to send; or the one that is under way already for this version."""
    if not message or message != " ".join(message.split()):
        raise BadInput(
            "the message is not usable",
            expected="one line, single spaces: Kaggle may trim others, and by it a submission is found",
            got=repr(message),
            do='describe what you tried: MESSAGE="…"',
        )
    shown = refresh(api, root)
    for one in read_submissions(root):
        if (one.kernel, one.version) != (kernel, version) or one.status == ERROR:
            continue
        if one.status == SENDING:
            _settle(api, root, one, shown)
        elif one.status == PENDING or one.message == message:
            print(f"version {version} was submitted already, as {one.message!r}: nothing more is sent", flush=True)
            return one
        else:
            raise BadInput(
                f"{kernel} version {version} was submitted already",
                expected="a version that was not: it would get the same score",
                got=f"{one.message!r}, public score {one.public_score}",
                do="push what you changed, then submit that",
            )
    if used := [ref for ref, one in shown.items() if one.description == message]:
        raise BadInput(
            "the message is used already",
            expected="a message of its own: it is how a lost submission is found again",
            got=f"{message!r} is number {used[0]}",
            do="choose another message",
        )
    receipt = check_run(api, root, kernel, version, data)
    for alarm in receipt["alarms"]:
        print(f"ALARM in the receipt: {alarm}")
    return Submission(
        date=now(),
        message=message,
        kernel=kernel,
        version=version,
        ref=0,
        status=SENDING,
        recipe=receipt["recipe"],
        offline_score=receipt["recipe_score"],
        offline_interval=receipt["recipe_interval"],
        inputs=input_fingerprints(receipt),
        counted_before=check_allowance(api),
        listed_before=len(shown),
    )


def refresh(api, root: Path) -> dict[int, ApiSubmission]:
    """Bring every submission in the ledger up to date, one of a lost response by its message; return Kaggle's list."""
    shown = list_submissions(api)
    by_message = {one.description: one for one in shown.values()}
    for one in read_submissions(root):
        if found := by_message.get(one.message) or shown.get(one.ref):
            save_submission(root, one.updated(found))
    return shown


def _settle(api, root: Path, one: Submission, shown: dict[int, ApiSubmission]) -> None:
    """Remove a submission that was certainly not made from the ledger; one that may have been is an error."""
    if not surely_not_made(api, one, shown):
        raise OutcomeUnknown(
            f"{one.message!r} may have been submitted at {one.date}",
            expected="it in Kaggle's list, or a count of the day's submissions that did not grow",
            got=f"neither: Kaggle lists {len(shown)}",
            do=f"run the same command in some minutes: it looks again before it sends; or see {PAGE}",
        )
    print(f"{one.message!r} of {one.date} did not arrive", flush=True)
    remove_submission(root, one)


def send(api, root: Path, planned: Submission) -> Submission:
    """Send the submission once, and return it as accepted; after any trouble Kaggle's list is searched for it."""
    known = {0, *list_submissions(api), *(one.ref for one in read_submissions(root))}
    save_submission(root, planned)

    def find() -> ApiSubmission | None:
        """The submission in Kaggle's list, by its message."""
        return next((one for one in list_submissions(api).values() if one.description == planned.message), None)

    def submit():
        return api.competition_submit_code(FILE, planned.message, SLUG, planned.kernel, planned.version, quiet=True)

    try:
        response = call_once(f"submit {planned.kernel} version {planned.version}", submit, find)
    except OutcomeUnknown:
        raise
    except KaggleError:
        if planned.counted_before >= 0:
            _settle(api, root, planned, list_submissions(api))
        remove_submission(root, planned)
        raise
    if not isinstance(response, ApiSubmission) and response.ref in known:
        print(f"no new number: {redact(response.message)}; searching Kaggle's list", flush=True)
        found, _ = search(find)
        if not found:
            _settle(api, root, planned, list_submissions(api))
            raise Failed("Kaggle refused it", expected="a number", got=redact(response.message), do="fix what it names")
        response = found
    where = "in Kaggle's list, as number" if isinstance(response, ApiSubmission) else "accepted as number"
    print(f"{where} {response.ref}", flush=True)
    return save_submission(root, replace(planned, ref=response.ref, status=PENDING))


def wait(api, root: Path, submission: Submission, limit_s: float) -> Submission:
    """Wait for the submission's score and return it with that; an error in scoring, or the time limit, is an error."""
    start = printed_at = client.clock()
    refusals = 0
    while submission.status == PENDING:
        try:
            with kaggle_lock(root, waits=True):
                refresh(api, root)
            refusals = 0
        except KaggleError as error:
            refusals = refusals + 1 if 400 <= (error.status or 0) < 500 else 0
            if refusals > REFUSALS_BORNE:
                raise OutcomeUnknown(error.what, expected="the list", got=error.got, do=error.do) from None
            print(f"{error.what}: {error.got}; the scoring goes on, so does the waiting", flush=True)
        submission = next(one for one in read_submissions(root) if one.message == submission.message)
        waited_s = client.clock() - start
        if submission.status != PENDING:
            break
        if waited_s > limit_s:
            raise OutcomeUnknown(
                f"{submission.message!r} was not scored in time",
                expected=f"a score within {limit_s:.0f} s",
                got=f"{submission.status} after {waited_s:.0f} s",
                do="run the same command to wait again, or `python -m build.submit list` to check once",
            )
        if printed_at == start or client.clock() - printed_at >= _PRINT_EVERY_S:
            printed_at = client.clock()
            print(f"pending for {waited_s / 60:.0f} of at most {limit_s / 60:.0f} minutes", flush=True)
        client.sleep(_POLL_EVERY_S)
    if submission.status == ERROR:
        raise Failed(
            f"{submission.message!r} was not scored",
            expected="a score",
            got=submission.error or "an error without a reason",
            do=f"see {PAGE}; fix it, push, submit the new version",
        )
    if submission.public_score is None:
        raise OutcomeUnknown(
            f"{submission.message!r} is {submission.status} without a public score",
            expected="a number",
            got="none",
            do=f"see {PAGE}; the same command looks again",
        )
    return submission


def show(root: Path) -> None:
    """Print the table, and the agreement of offline and public scores."""
    known = read_submissions(root)
    print(table(known) if known else "nothing was submitted from here yet")
    print(agreement(known))


@tool
def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    options = _parser().parse_args(arguments)
    if options.what == "list":
        api = connect()
        with kaggle_lock(root, waits=True):
            refresh(api, root)
        show(root)
        return DONE
    api = connect()
    kernel = f"{options.owner or username(api)}/{KERNELS.get(options.kernel, options.kernel)}"
    with kaggle_lock(root):
        version = options.version or newest_complete(root, kernel)
        planned = plan(api, root, kernel, version, options.message, options.data)
        submission = planned if planned.ref else send(api, root, planned)
    if not options.no_wait:
        wait(api, root, submission, options.limit_s)
        show(root)
    return DONE


def _parser() -> Parser:
    """The two commands and their options."""
    parser = Parser(__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("list", help="refresh the scores and print the table")
    one = commands.add_parser("send", help="submit a version")
    one.add_argument("--message", required=True, help="what you tried; every submission has its own")
    one.add_argument("--kernel", default="infer", help="infer, or the slug of a variant")
    one.add_argument("--version", type=int, help="the newest that ran to its end, unless given")
    one.add_argument("--owner", help="whose kernel; yours unless given")
    one.add_argument("--data", default="", help="the competition's folder, to check the rows against")
    one.add_argument("--no-wait", action="store_true", help="do not wait for the score")
    one.add_argument("--limit-s", type=float, default=LIMIT_S, help="how long to wait for the score")
    return parser


if __name__ == "__main__":
    end(main)
