"""Submissions: the real client against a Kaggle on loopback, and the table that judges the judge."""

import re
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from build import submit
from build.kaggle_io import client, submissions
from build.kaggle_io.push_log import KaggleRun, append_run, kernel_folder
from build.kaggle_io.submissions import (
    COMPLETE,
    PENDING,
    SENDING,
    Submission,
    agreement,
    describe_changes,
    input_fingerprints,
    next_day,
    read_submissions,
    table,
)
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.records import read_json, write_json
from lib.submit.rows import required_rows
from lib.submit.writer import write_submission
from tests.support.kaggle.loopback_faults import again, changed, hang, instead, page, refused, reset
from tests.support.kaggle.loopback_services import Competition, Run
from tests.support.kaggle.project import fork, join, killed_at

SLUG = "pantanal-06-submission"
INPUTS = {"recipes": {"path": "/kaggle/input/x", "manifest": "aaaa"}, "l0_prior": {"path": "p", "manifest": "bbbb"}}


@pytest.fixture
def home(kaggle, public, classes, tmp_path, monkeypatch):
    """A project folder with one pushed version whose outputs are here; Kaggle knows it, and the competition."""
    monkeypatch.setenv("PANTANAL_DATA", str(public))
    kaggle.state.competitions["birdclef-2026"] = Competition()
    add_version(kaggle, tmp_path, public, classes)
    return tmp_path


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses requested, none of them taken."""
    taken = []
    monkeypatch.setattr(client, "sleep", taken.append)
    return taken


@pytest.fixture
def contest(kaggle, home):
    return kaggle.state.competitions["birdclef-2026"]


def add_version(kaggle, root, public, classes, status="COMPLETE", score=0.68, **receipt):
    """One more version on Kaggle and in the ledger of pushes, with its outputs; its number."""
    kaggle.state.next_runs.append(Run([status]))
    version = kaggle.state.SaveKernel({"slug": f"alice/{SLUG}", "text": "{}"})["versionNumber"]
    folder = kernel_folder(root, SLUG) / f"v{version}"
    folder.mkdir(parents=True)
    rows = required_rows(public).row_ids
    values = np.linspace(0, 1, len(rows) * len(classes)).reshape(len(rows), -1)
    write_submission(folder / "submission.csv", Scores(values, rows, classes.labels, "rank"), rows, classes)
    facts = {"recipe": "safe", "recipe_score": score, "recipe_interval": [score - 0.03, score + 0.02], "alarms": []}
    facts |= {"submission": fingerprint.of_file(folder / "submission.csv"), "lib_fingerprint": "cccc", "inputs": INPUTS}
    write_json(folder / "receipt.json", facts | receipt)
    times = {"pushed_at": "2026-11-21T10:00:00+00:00", "ended_at": "2026-11-21T10:09:00+00:00"}
    append_run(
        root,
        KaggleRun(f"alice/{SLUG}", version, "5ea1", status, "", outputs=["submission.csv"], url="https://x", **times),
    )
    return version


def stated(root, text):
    """Let version 1 hold this submission, with a receipt that states it."""
    folder = kernel_folder(root, SLUG) / "v1"
    (folder / "submission.csv").write_text(text)
    receipt = {"submission": fingerprint.of_file(folder / "submission.csv")}
    write_json(folder / "receipt.json", read_json(folder / "receipt.json") | receipt)


def send(root, message="first try", *more):
    return submit.main(["send", "--message", message, *more], root)


def sent(kaggle):
    return kaggle.calls_to("CreateCodeSubmission")


def test_a_version_is_submitted_scored_and_kept_beside_the_judges_score(kaggle, home, contest, pauses, capsys):
    contest.statuses, contest.private_score = ["PENDING", "PENDING", "COMPLETE"], "0.700"
    assert send(home) == 0
    assert sent(kaggle) == [
        {
            "competitionName": "birdclef-2026",
            "kernelOwner": "alice",
            "kernelSlug": SLUG,
            "kernelVersion": 1,
            "fileName": "submission.csv",
            "submissionDescription": "first try",
        }
    ]
    (one,) = read_submissions(home)
    assert replace(one, date="") == Submission(
        date="",
        message="first try",
        kernel=f"alice/{SLUG}",
        version=1,
        ref=50001,
        status=COMPLETE,
        recipe="safe",
        offline_score=0.68,
        offline_interval=[0.65, 0.7000000000000001],
        inputs={"lib": "cccc", "recipes": "aaaa", "l0_prior": "bbbb"},
        public_score=0.712,
        private_score=0.7,
        counted_before=0,
    )
    printed = capsys.readouterr().out
    assert "submissions left today: 5" in printed
    assert "accepted as number 50001" in printed
    assert "pending for 0 of at most 180 minutes" in printed
    assert re.search(r"first try\s+0.680 \[0.650, 0.700\]\s+0.712\s+0.700\s+the first", printed)
    assert len(pauses) == 2


def test_without_waiting_the_list_brings_the_score_later(kaggle, home, contest, capsys):
    contest.statuses = ["PENDING", "COMPLETE"]
    assert send(home, "first try", "--no-wait") == 0
    assert read_submissions(home)[0].status == PENDING
    assert submit.main(["list"], home) == 0
    assert "pending" in capsys.readouterr().out
    assert submit.main(["list"], home) == 0
    assert "0.712" in capsys.readouterr().out
    assert len(sent(kaggle)) == 1


def test_a_failed_scoring_is_an_error_with_its_reason(home, contest, pauses, capsys):
    contest.statuses, contest.error = ["PENDING", "ERROR"], "Submission Scoring Error"
    assert send(home) == 1
    assert "Submission Scoring Error" in capsys.readouterr().err
    assert read_submissions(home)[0].status == "ERROR"


def test_the_time_limit_ends_the_waiting_and_the_same_command_goes_on_with_it(kaggle, home, contest, capsys):
    contest.statuses = ["PENDING"]
    assert send(home, "first try", "--limit-s", "0") == 3
    assert "was not scored in time" in capsys.readouterr().err
    contest.submissions[0]["statuses"] = ["COMPLETE"]
    assert send(home) == 0
    assert len(sent(kaggle)) == 1
    assert read_submissions(home)[0].public_score == 0.712


def test_trouble_while_waiting_does_not_end_it(kaggle, home, contest, pauses, capsys):
    contest.statuses = ["PENDING", "PENDING", "COMPLETE"]
    assert send(home, "first try", "--no-wait") == 0
    kaggle.fail("ListSubmissions", refused(200, "{}"), *[refused(503, "busy")] * 8)
    assert send(home) == 0
    assert "so does the waiting" in capsys.readouterr().out
    assert read_submissions(home)[0].status == COMPLETE


def test_no_submission_left_is_refused_with_the_hour_of_the_next_day(kaggle, home, contest, capsys):
    contest.allowed_now, contest.submissions = 0, [{"ref": 1, "description": "x", "statuses": ["COMPLETE"]}]
    assert send(home) == 2
    printed = capsys.readouterr().err
    assert "0, after 1 today" in printed
    assert re.search(r"00:00 UTC, in \d+ h \d+ min", printed)
    assert sent(kaggle) == []
    assert read_submissions(home) == []


def test_who_never_joined_is_told_to_accept_the_rules(kaggle, home, contest, capsys):
    contest.allowed_now = 0
    assert send(home) == 2
    assert "birdclef-2026/rules" in capsys.readouterr().err
    contest.rules_accepted = False
    assert send(home) == 1
    assert "HTTP 403, You must accept" in capsys.readouterr().err


def test_unknown_allowance_is_said_and_does_not_stop(kaggle, home, capsys, pauses):
    kaggle.fail("GetSubmissionLimits", refused(404, "Not found"))
    assert send(home) == 0
    assert "submissions left today: unknown (HTTP 404, Not found)" in capsys.readouterr().out


def test_the_day_turns_at_midnight_utc():
    assert next_day(datetime(2026, 5, 31, 21, 58, tzinfo=UTC)) == "2026-06-01 00:00 UTC, in 2 h 2 min"


@pytest.mark.parametrize("status", ["RUNNING", "ERROR", "CANCEL_ACKNOWLEDGED"])
def test_a_version_that_did_not_complete_is_refused(kaggle, home, status, capsys):
    kaggle.state.runs[f"alice/{SLUG}", 1].statuses = [status]
    assert send(home) == 2
    assert f"got:      {status}" in capsys.readouterr().err
    assert sent(kaggle) == []


def test_the_newest_complete_version_is_taken_and_another_can_be_named(kaggle, home, public, classes):
    add_version(kaggle, home, public, classes)
    add_version(kaggle, home, public, classes, status="ERROR")
    assert send(home, "newest", "--no-wait") == 0
    assert send(home, "named", "--no-wait", "--version", "1") == 0
    assert [one["kernelVersion"] for one in sent(kaggle)] == [2, 1]


def test_without_a_push_there_is_nothing_to_submit(kaggle, home, capsys):
    assert send(home, "x", "--kernel", "blend") == 2
    assert "no version of alice/pantanal-05-blend to submit" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["submission.csv", "receipt.json"])
def test_outputs_that_are_not_here_are_refused(kaggle, home, name, capsys):
    (kernel_folder(home, SLUG) / "v1" / name).unlink()
    assert send(home) == 2
    assert f"build/fetch.py outputs {SLUG} --version 1" in capsys.readouterr().err
    assert sent(kaggle) == []


def test_a_submission_that_the_writer_refuses_is_not_sent(kaggle, home, capsys):
    stated(home, (kernel_folder(home, SLUG) / "v1" / "submission.csv").read_text().replace("1.0", "1.5"))
    assert send(home) == 2
    assert "a value lies outside [0, 1]" in capsys.readouterr().err
    stated(home, "")
    assert send(home) == 2
    assert "is no table" in capsys.readouterr().err
    assert sent(kaggle) == []


def test_a_receipt_of_another_submission_is_refused(kaggle, home, capsys):
    path = kernel_folder(home, SLUG) / "v1" / "submission.csv"
    path.write_text(path.read_text().replace("1.0", "0.99"))
    assert send(home) == 2
    assert "as receipt.json states" in capsys.readouterr().err


def test_what_is_no_receipt_is_refused(kaggle, home, capsys):
    folder = kernel_folder(home, SLUG) / "v1"
    write_json(folder / "receipt.json", {"submission": fingerprint.of_file(folder / "submission.csv")})
    assert send(home) == 2
    assert "no recipe, recipe_score, recipe_interval, lib_fingerprint, alarms" in capsys.readouterr().err


def test_ctrl_c_while_waiting_loses_nothing(kaggle, home, contest, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "sleep", interrupted)
    assert send(home) == 130
    assert send(home) == 0
    assert len(sent(kaggle)) == 1


def test_alarms_in_the_receipt_are_shown(kaggle, home, public, classes, capsys):
    add_version(kaggle, home, public, classes, alarms=["a corrupt file"])
    assert send(home) == 0
    assert "ALARM in the receipt: a corrupt file" in capsys.readouterr().out


def test_the_same_version_is_not_submitted_twice(kaggle, home, capsys):
    assert send(home) == 0
    assert send(home, "once more") == 2
    assert "was submitted already" in capsys.readouterr().err
    assert len(sent(kaggle)) == 1


@pytest.mark.parametrize("message", ["", " ", "two  spaces", "two\nlines", "trailing "])
def test_a_message_that_could_not_be_found_again_is_refused(kaggle, home, message, capsys):
    assert send(home, message) == 2
    assert "the message is not usable" in capsys.readouterr().err
    assert sent(kaggle) == []


def test_a_message_is_used_once(kaggle, home, contest, public, classes, capsys):
    assert send(home) == 0
    add_version(kaggle, home, public, classes)
    assert send(home) == 2
    assert "'first try' is number 50001" in capsys.readouterr().err
    assert len(sent(kaggle)) == 1


@pytest.mark.parametrize("fault", [reset(done=True), hang(3, done=True), instead(message="Successfully submitted")])
def test_a_lost_answer_is_found_in_the_list_and_not_repeated(kaggle, home, contest, pauses, fault, capsys):
    if fault.status:  # accepted, but without a number
        facts = {"competitionName": "birdclef-2026", "kernelOwner": "alice", "kernelSlug": SLUG, "kernelVersion": 1}
        kaggle.state.CreateCodeSubmission(facts | {"fileName": "submission.csv", "submissionDescription": "first try"})
        kaggle.fail("ListSubmissions", refused(200, "{}"))
    kaggle.fail("CreateCodeSubmission", fault)
    assert send(home) == 0
    assert "in Kaggle's list, as number 50001" in capsys.readouterr().out
    assert len(sent(kaggle)) == 1
    assert read_submissions(home)[0].public_score == 0.712


def test_a_lost_order_is_an_error_and_can_be_sent_again(kaggle, home, contest, pauses, capsys):
    kaggle.fail("CreateCodeSubmission", reset())
    assert send(home) == 3
    assert "could not submit" in capsys.readouterr().err
    assert read_submissions(home)[0].status == SENDING
    assert contest.submissions == []
    assert send(home) == 0
    assert len(contest.submissions) == 1
    assert [one.status for one in read_submissions(home)] == [COMPLETE]


@pytest.mark.parametrize("rpc", ["ListSubmissions", "CreateCodeSubmission", "GetSubmissionLimits"])
@pytest.mark.parametrize("step", ["come", "done"])
def test_a_call_killed_anywhere_spends_one_submission(kaggle, home, contest, rpc, step):
    assert killed_at(kaggle, rpc, step, lambda: send(home)) == -signal.SIGKILL
    assert send(home) == 0
    assert len(contest.submissions) == 1
    assert [(one.ref, one.status) for one in read_submissions(home)] == [(50001, COMPLETE)]


def test_two_calls_at_once_spend_one_submission(kaggle, home, contest):
    contest.statuses = ["PENDING"]
    calls = [fork(lambda: send(home, "first try", "--no-wait")) for _ in range(2)]
    assert sorted(map(join, calls)) in ([0, 0], [0, 2])
    assert len(contest.submissions) == len(read_submissions(home)) == 1


HIDDEN = changed(submissions=[])


def test_a_list_that_is_late_spends_no_second_submission(kaggle, home, contest, capsys):
    kaggle.fail("CreateCodeSubmission", reset(done=True))
    kaggle.fail("ListSubmissions", *[HIDDEN] * 8)
    assert send(home) == 3
    for message in ("first try", "another message"):
        assert send(home, message) == 3
        assert "'first try' may have been submitted" in capsys.readouterr().err
    assert len(sent(kaggle)) == 1
    kaggle.faults["ListSubmissions"].clear()
    assert send(home) == 0
    assert len(contest.submissions) == len(read_submissions(home)) == 1


def test_without_a_count_an_hour_passes_before_a_submission_is_repeated(kaggle, home, contest, monkeypatch):
    kaggle.fail("CreateCodeSubmission", reset())
    kaggle.fail("GetSubmissionLimits", *[refused(404, "no")] * 2)
    assert send(home) == 3
    assert send(home) == 3
    assert len(sent(kaggle)) == 1
    monkeypatch.setattr(submissions, "_LIST_IS_COMPLETE_AFTER", timedelta(0))
    kaggle.fail("GetSubmissionLimits", refused(404, "no"))
    assert send(home) == 0
    assert len(contest.submissions) == 1


def test_a_refusal_for_what_was_made_is_found_out_by_the_count(kaggle, home, contest):
    kaggle.fail("CreateCodeSubmission", refused(403, "no", done=True))
    kaggle.fail("ListSubmissions", *[HIDDEN] * 5)
    assert send(home) == 3
    kaggle.faults["ListSubmissions"].clear()
    assert send(home) == 0
    assert len(contest.submissions) == 1


def test_a_list_that_may_not_be_read_is_borne_for_a_while(kaggle, home, contest):
    contest.statuses = ["PENDING", "PENDING", "COMPLETE"]
    assert send(home, "first try", "--no-wait") == 0
    kaggle.fail("ListSubmissions", changed(plain=1), *[refused(404, "no")] * 9)
    assert send(home) == 3
    kaggle.fail("ListSubmissions", changed(plain=1), refused(404, "no"))
    assert send(home) == 0


def test_an_answer_for_another_submission_is_none(kaggle, home, contest, public, classes):
    assert send(home) == 0
    add_version(kaggle, home, public, classes)
    kaggle.fail("CreateCodeSubmission", again())
    assert send(home, "second try") == 0
    assert [one.ref for one in read_submissions(home)] == [50001, 50002]
    assert len(contest.submissions) == 2


@pytest.mark.parametrize("score", ["n/a", "NaN", "inf", ""])
def test_a_score_that_is_no_number_is_not_known_yet(home, contest, score, capsys):
    contest.public_score = score
    assert send(home) == 3
    assert "without a public score" in capsys.readouterr().err
    contest.public_score = "0.7"
    assert send(home) == 0
    assert read_submissions(home)[0].public_score == 0.7


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refused(400, "Submission not allowed: your team is banned"), "your team is banned"),
        (refused(403, "Permission denied", nested=True), "Permission denied"),
        (refused(404, "Competition not found"), "Competition not found"),
        (instead(message="Submission not allowed: Notebook exceeded"), "Notebook exceeded"),
    ],
)
def test_a_refusal_is_an_error_with_its_reason_and_leaves_no_trace(kaggle, home, pauses, fault, reason, capsys):
    kaggle.fail("CreateCodeSubmission", fault)
    assert send(home) == 1
    assert reason in capsys.readouterr().err
    assert read_submissions(home) == []


def test_too_many_requests_are_waited_out_since_nothing_was_done(kaggle, home, contest, pauses):
    kaggle.fail("CreateCodeSubmission", refused(429, "slow", headers={"Retry-After": "7"}))
    assert send(home) == 0
    assert 7.0 in pauses
    assert len(contest.submissions) == 1


@pytest.mark.parametrize("fault", [refused(500, "oops"), page(502)])
def test_a_server_error_is_not_repeated_blindly(kaggle, home, contest, pauses, fault):
    kaggle.fail("CreateCodeSubmission", fault)
    assert send(home) == 3
    assert len(sent(kaggle)) == 1


def test_no_or_expired_credentials_are_errors(kaggle, home, monkeypatch, capsys):
    kaggle.state.token_active = False
    assert send(home) == 2
    assert "does not accept" in capsys.readouterr().err
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert send(home) == 2
    assert "not logged in" in capsys.readouterr().err


def test_many_submissions_are_listed_page_by_page(kaggle, home, contest, public, classes, monkeypatch):
    monkeypatch.setattr("build.kaggle_io.submissions._PAGE", 2)
    assert send(home) == 0
    for number in range(4):
        add_version(kaggle, home, public, classes)
        assert send(home, f"try {number}") == 0
    assert [one.ref for one in read_submissions(home)] == [50001, 50002, 50003, 50004, 50005]


def test_a_torn_or_foreign_line_in_the_ledger_is_named(kaggle, home, capsys):
    submissions.ledger(home).parent.mkdir(parents=True, exist_ok=True)
    submissions.ledger(home).write_text('{"date": "x"}\n')
    assert submit.main(["list"], home) == 2
    assert "line 1 is not a valid Submission" in capsys.readouterr().err
    submissions.ledger(home).write_text("{\n")
    assert submit.main(["list"], home) == 2
    assert "is torn" in capsys.readouterr().err


def one(score=0.7, public=None, recipe="safe", **inputs):
    """A submission as the ledger keeps it."""
    return Submission(
        "2026-05-01T10:00:00+00:00",
        f"try {score}",
        "alice/k",
        1,
        1,
        COMPLETE,
        recipe,
        score,
        [score - 0.1, score + 0.1],
        inputs,
        public,
    )


def test_what_changed_names_recipe_and_inputs_by_their_manifests():
    before = one(lib="1", recipes="1", l0="1", l1="1")
    assert describe_changes(None, before) == "the first"
    assert describe_changes(before, before) == "nothing"
    after = one(recipe="bold", lib="2", recipes="1", l1="1", l2="1")
    assert describe_changes(before, after) == "safe → bold, -l0, +l2, lib"


def test_receipts_before_inputs_were_named_still_tell_of_lib():
    receipt = {"lib_fingerprint": "cccc"}
    assert input_fingerprints(receipt) == {"lib": "cccc"}
    assert input_fingerprints(receipt | {"inputs": INPUTS}) == {"lib": "cccc", "recipes": "aaaa", "l0_prior": "bbbb"}


def test_the_verdict_says_when_there_is_too_little_and_whether_the_ranks_agree():
    assert "too few" in agreement([one(0.7, 0.8), one(0.8, 0.9), one(0.9)])
    assert "2 scored submissions" in agreement([one(0.7, 0.8), one(0.8, 0.9), one(0.9)])
    assert "by 1.00: so far the judge predicts the board" in agreement([one(0.7, 0.8), one(0.8, 0.81), one(0.9, 0.99)])
    assert "by -1.00: so far the judge does not predict it" in agreement([one(0.7, 0.9), one(0.8, 0.8), one(0.9, 0.7)])
    assert "by 0.50: so far the judge hints at the board" in agreement([one(0.7, 0.8), one(0.8, 0.9), one(0.9, 0.85)])
    assert "all with the same public score" in agreement([one(0.7, 0.9), one(0.8, 0.9), one(0.9, 0.9)])


def test_the_table_shows_what_is_not_scored_yet_by_its_status():
    rows = table([one(0.7, 0.8), replace(one(0.8), status=PENDING)]).splitlines()
    assert rows[1].split()[-4:] == ["0.800", "–", "the", "first"]
    assert "pending" in rows[2]
    assert "[0.600, 0.800]" in rows[1]
