"""Submit a pushed version to the competition, wait for its score, and record it beside the offline score.

python -m build.submit send --message "…" [--kernel infer] [--version N] [--owner NAME] [--no-wait] [--limit-s S]
python -m build.submit list       the table: does the judge predict the board?

send: 0 scored, or accepted with --no-wait; 1 an error; 2 refused before anything was sent; 3 the time limit passed;
130 Ctrl-C. The same command a second time goes on waiting and sends nothing.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from build.kaggle_io import client
from build.kaggle_io.cli_exit import run_cli
from build.kaggle_io.client import KaggleError, OutcomeUnknown, ResponseLost, connect, username
from build.kaggle_io.push_log import KERNELS, now
from build.kaggle_io.submissions import (
    COMPLETE,
    ERROR,
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
    submit_version,
    table,
)
from build.project import ROOT
from lib.core.errors import BadInput
from lib.core.paths import SLUG

LIMIT_S = 3 * 3600.0  # ninety minutes on the hidden test, and the queue
PAGE = f"https://www.kaggle.com/competitions/{SLUG}/submissions"
_REFUSED = (400, 401, 403, 404)  # errors that waiting does not end
_POLL_EVERY_S, _PRINT_EVERY_S, _POLLS_AFTER_LOSS = 30.0, 300.0, 4


def plan(api, root: Path, kernel: str, version: int, message: str, data: str) -> Submission:
    """Check everything, and return the submission to send; or the one that is under way already for this version."""
    if not message or message != " ".join(message.split()):
        raise BadInput(
            "the message is not usable",
            expected="one line, single spaces: Kaggle may trim others, and by it a submission is found",
            got=repr(message),
            do='describe what you tried: MESSAGE="…"',
        )
    refresh(api, root)
    for one in read_submissions(root):
        if (one.kernel, one.version) != (kernel, version) or one.status not in (PENDING, COMPLETE):
            continue
        if one.status == PENDING or one.message == message:
            print(f"version {version} was submitted already, as {one.message!r}: nothing more is sent", flush=True)
            return one
        raise BadInput(
            f"{kernel} version {version} was submitted already",
            expected="a version that was not: it would get the same score",
            got=f"{one.message!r}, public score {one.public_score}",
            do="push what you changed, then submit that",
        )
    if used := [shown.ref for shown in list_submissions(api).values() if shown.description == message]:
        raise BadInput(
            "the message is used already",
            expected="a message of its own: it is how a lost submission is found again",
            got=f"{message!r} is number {used[0]}",
            do="choose another message",
        )
    receipt = check_run(api, root, kernel, version, data)
    for alarm in receipt["alarms"]:
        print(f"ALARM in the receipt: {alarm}")
    check_allowance(api)
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
    )


def refresh(api, root: Path) -> None:
    """Bring every submission in the ledger up to date; one whose sending was cut off is found by its message."""
    known = read_submissions(root)
    if not known:
        return
    shown = list_submissions(api)
    by_message = {one.description: one for one in shown.values()}
    for one in known:
        if found := shown.get(one.ref) or by_message.get(one.message):
            save_submission(root, one.updated(found))


def send(api, root: Path, planned: Submission) -> Submission:
    """Send the submission once, and return it as accepted; after a lost response Kaggle's list is searched for it."""
    save_submission(root, planned)
    lost = None
    try:
        response = submit_version(api, planned.kernel, planned.version, planned.message)
        ref, reason = response.ref, response.message
    except ResponseLost as error:
        ref, reason, lost = 0, str(error.got), error
    except KaggleError:
        remove_submission(root, planned)
        raise
    if ref:
        print(f"accepted as number {ref}: {reason}", flush=True)
        return save_submission(root, replace(planned, ref=ref, status=PENDING))
    for _ in range(_POLLS_AFTER_LOSS):
        refresh(api, root)
        found = next(one for one in read_submissions(root) if one.message == planned.message)
        if found.ref:
            print(f"{reason}; but it is in the list, as number {found.ref}", flush=True)
            return found
        client.sleep(_POLL_EVERY_S)
    if lost:
        raise lost
    remove_submission(root, planned)
    raise BadInput("Kaggle refused the submission", expected="a number for it", got=reason, do="fix what Kaggle names")


def wait(api, root: Path, submission: Submission, limit_s: float) -> Submission:
    """Wait for the submission's score and return it with that; an error in scoring, or the time limit, is an error."""
    start = printed_at = client.clock()
    while submission.status == PENDING:
        try:
            refresh(api, root)
        except KaggleError as error:
            if error.status in _REFUSED:
                raise
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
        raise BadInput(
            f"{submission.message!r} was not scored",
            expected="a score",
            got=submission.error or "an error without a reason",
            do=f"see {PAGE}; fix it, push, submit the new version",
        )
    return submission


def show(root: Path) -> None:
    """Print the table, and the agreement of offline and public scores."""
    known = read_submissions(root)
    print(table(known) if known else "nothing was submitted from here yet")
    print(agreement(known))


def main(arguments: list[str], root: Path = ROOT) -> int:
    """The command line; the exit codes are those above."""
    options = _parser().parse_args(arguments)
    return run_cli(lambda: _list(root) if options.what == "list" else _send(options, root))


def _list(root: Path) -> int:
    """Refresh the scores and print the table."""
    refresh(connect(), root)
    show(root)
    return 0


def _send(options: argparse.Namespace, root: Path) -> int:
    """Submit a version, unless it was, and wait for its score; 2 for one that may not be sent."""
    api = connect()
    kernel = f"{options.owner or username(api)}/{KERNELS.get(options.kernel, options.kernel)}"
    try:
        version = options.version or newest_complete(root, kernel)
        planned = plan(api, root, kernel, version, options.message, options.data)
    except KaggleError:
        raise
    except BadInput as error:
        print(f"{error}\nnothing was sent", file=sys.stderr)
        return 2
    submission = planned if planned.ref else send(api, root, planned)
    if not options.no_wait:
        wait(api, root, submission, options.limit_s)
        show(root)
    return 0


def _parser() -> argparse.ArgumentParser:
    """The two commands and their options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    sys.exit(main(sys.argv[1:]))
