"""Random sequences of faults: one version, submission or dataset a call, 0 only with the whole truth, and recovery.

A sequence is some calls of one tool in which answers are lost, late, doubled, out of turn, cut or of a wrong status,
calls are killed, or two run at once; then the faults stop. Its seed is printed before it runs.
"""

import random
import shutil
from collections import Counter
from datetime import timedelta

import pytest
from urllib3.util.retry import Retry

from build import push, ship, submit
from build.kaggle_io import submissions
from build.kaggle_io.push_log import KERNELS, kernel_folder, last_push, read_runs
from build.kernels import metadata
from lib.core.records import write_json
from tests.support.kaggle.loopback import TOKEN, USER
from tests.support.kaggle.loopback_faults import again, changed, cut, instead, late, page, refused, reset
from tests.support.kaggle.loopback_services import Competition, Kaggle
from tests.support.kaggle.loopback_state import Run, whole_outputs
from tests.support.kaggle.project import fork, join, killed_at

SLUG = KERNELS["infer"]
LIMIT = "Maximum batch CPU session count of 5 reached."
CALLS_TO_RECOVER = 4
SENDING = {"push": "SaveKernel", "submit": "CreateCodeSubmission", "ship": "CreateDatasetVersion"}
READING = {
    "push": ("GetKernel", "GetKernelSessionStatus", "ListKernelSessionOutput", "GET"),
    "submit": ("ListSubmissions", "GetSubmissionLimits", "GetKernelSessionStatus"),
    "ship": ("GetDataset", "GetDatasetStatus", "ListDatasetFiles", "StartBlobUpload", "PUT"),
}


def sending_fault(dice, fair):
    """What may go wrong with a request that must not be made twice; where it is fair, the count of the day tells."""
    done, status = dice.random() < 0.6, dice.choice([400, 403, 404, 409, 500, 502, 504])
    if fair:
        return dice.choice([reset(done), refused(max(status, 500), "no", done=done), page(), cut(9), again(done)])
    return dice.choice(
        [
            reset(done),
            late(dice.randint(1, 12), dice.choice([0, 500, 504])),
            refused(status, "no", nested=dice.random() < 0.5, done=done),
            refused(429, "slow"),
            again(done),
            page(),
            cut(dice.randint(0, 60), unsized=dice.random() < 0.5),
            instead(error=LIMIT),
            changed(error=LIMIT),
            changed(versionNumber=dice.randint(0, 9), ref=dice.choice([0, 50001])),
            changed(versionNumber=0, ref=0, status=""),
        ]
    )


def reading_fault(dice, rpc):
    """What may go wrong with a question, an upload or a download."""
    faults = [reset(), refused(503, "busy"), refused(429, "slow"), refused(dice.choice([403, 404]), "no"), page(502)]
    faults += [cut(dice.randint(0, 200), unsized=rpc != "PUT" and dice.random() < 0.5)]
    if rpc in ("GetKernel", "GetKernelSessionStatus", "ListSubmissions", "GetSubmissionLimits", "GetDataset"):
        faults += [again()]
    if rpc == "ListSubmissions":
        faults += [changed(submissions=[])]
    if rpc == "ListKernelSessionOutput":
        faults += [changed(files=[])]
    return dice.choice(faults)


class Sequence:
    """One sequence: the tool, the server, and what has been called."""

    def __init__(self, seed, kaggle, root):
        self.dice, self.kaggle, self.root = random.Random(seed), kaggle, root
        self.tool, self.fair = self.dice.choice(["push", "push", "submit", "ship"]), self.dice.random() < 0.5
        self.calls: list[int] = []  # the number of requests before each call
        self.stored: list[dict] = []  # the requests that were carried out
        self.ends: Counter = Counter()
        shutil.rmtree(root / "runs", ignore_errors=True)
        kaggle.state = Kaggle(kaggle.base, USER, TOKEN)
        kaggle.state.competitions["birdclef-2026"] = Competition()
        for log in (kaggle.requests, kaggle.late, kaggle.first, kaggle.faults):
            log.clear()
        if self.tool == "submit":
            assert push.main(["infer"], root) == 0
        if self.tool == "ship":
            self.change_files()
            assert ship.main(["wheels"], root) == 0
            self.change_files()
        real = getattr(kaggle.state, SENDING[self.tool])

        def store(request):
            answer = real(request)
            self.stored.append(request)
            return answer

        setattr(kaggle.state, SENDING[self.tool], store)

    def change_files(self):
        folder = self.root / "dist" / "wheels"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.whl").write_bytes(self.dice.randbytes(50))
        write_json(folder / ship.METADATA, metadata.dataset_metadata("pantanal-wheels"))

    def work(self):
        if self.tool == "ship":
            return ship.main(["wheels", "--limit-s", "100"], self.root)
        if self.tool == "submit":
            return submit.main(["send", "--message", "a try", "--limit-s", "300"], self.root)
        return push.main(["infer", "--limit-s", "300"], self.root)

    def faulty_call(self):
        """One call with faults, perhaps killed at a random request; or two calls at once, while nothing ends."""
        how = self.dice.choice(["plain", "plain", "killed", "two"])
        two, state, sending = how == "two", self.kaggle.state, SENDING[self.tool]
        statuses = self.dice.choice([["COMPLETE"], ["RUNNING", "COMPLETE"], ["RUNNING", "RUNNING", "ERROR"]])
        state.next_runs = [Run(["RUNNING"] if two else list(statuses))] if self.tool == "push" else []
        state.competitions["birdclef-2026"].statuses = ["PENDING"] if two else ["PENDING", "COMPLETE"]
        self.kaggle.faults.clear()
        if not two:
            faults = [sending_fault(self.dice, self.fair) for _ in range(self.dice.randint(0, 2))]
            self.kaggle.fail(sending, *faults)
        for rpc in READING[self.tool] if not two else ():
            if not (self.fair and rpc == "GetSubmissionLimits"):
                number, faults = self.dice.choice([0, 0, 1, 3, 9]), [reading_fault(self.dice, rpc) for _ in range(9)]
                self.kaggle.fail(rpc, *(faults[:1] * number if self.dice.random() < 0.5 else faults[:number]))
        self.calls.append(len(self.kaggle.requests))
        rpcs = (sending, *READING[self.tool])
        if how == "plain":
            codes = [self.work()]
        elif how == "killed":
            codes = [killed_at(self.kaggle, self.dice.choice(rpcs), self.dice.choice(["come", "done"]), self.work)]
        else:
            codes = [join(child) for child in [fork(self.work) for _ in range(2)]]
        self.ends.update(codes)
        assert set(codes) <= {0, 1, 2, 3, -9}, codes
        if 0 in codes:
            self.check_truth()

    def check_truth(self):
        """What stands behind a 0: the outputs of the version, the score of the submission, the files sent."""
        state = self.kaggle.state
        if self.tool == "push":
            sent = last_push(self.root, SLUG)
            assert sent.status == "COMPLETE"
            kept = kernel_folder(self.root, SLUG) / f"v{sent.version}"
            run = state.runs[f"{USER}/{SLUG}", sent.version]
            for name, data in run.outputs.items():
                assert (kept / name).read_bytes() == data
        elif self.tool == "submit":
            (one,) = submissions.read_submissions(self.root)
            assert one.ref in {shown["ref"] for shown in state.competitions["birdclef-2026"].submissions}
            assert (one.status, one.public_score) == ("COMPLETE", 0.712)
        else:
            newest = state.datasets[f"{USER}/pantanal-wheels"].versions[-1]
            assert newest == {"a.whl": (self.root / "dist/wheels/a.whl").read_bytes()}

    def check_sent_once(self):
        """No call had more than one of its requests carried out, and the ledger holds each run once."""
        requests = self.kaggle.requests
        for start, stop in zip(self.calls, [*self.calls[1:], len(requests)], strict=True):
            carried_out = [one for one in requests[start:stop] if any(one.data is data for data in self.stored)]
            assert len(carried_out) <= 1, f"{len(carried_out)} of one call, or of two at once"
        if self.tool == "submit" and self.fair:
            assert len(self.stored) <= 1, f"{len(self.stored)} of one version"
        versions = [line.version for line in read_runs(self.root)]
        assert len(versions) == len(set(versions))

    def run(self):
        for _ in range(self.dice.randint(1, 3)):
            self.faulty_call()
        self.kaggle.faults.clear()
        self.kaggle.state.next_runs = []
        for one in self.kaggle.state.competitions["birdclef-2026"].submissions:
            one["statuses"] = ["COMPLETE"]
        for key, run in self.kaggle.state.runs.items():
            run.statuses = [run.statuses[-1].replace("RUNNING", "COMPLETE")]
            run.outputs = run.outputs or whole_outputs(key[0])
        for _ in range(CALLS_TO_RECOVER):
            self.calls.append(len(self.kaggle.requests))
            code = self.work()
            self.ends[code] += 1
            if code == 0:
                break
        assert code == 0, "it did not recover"
        self.check_truth()
        self.check_sent_once()


@pytest.fixture
def play(root, kaggle, rehearsed, monkeypatch, capsys):
    """Play the sequences of these seeds; return the count of each way in which calls ended."""
    monkeypatch.setattr(submissions, "_LIST_IS_COMPLETE_AFTER", timedelta(0))
    monkeypatch.setattr(Retry, "_sleep_backoff", lambda self: None)  # of the client's own uploads
    monkeypatch.setattr(submit, "check_run", lambda *known: RECEIPT)

    def play(seeds):
        ends: Counter = Counter()
        for seed in seeds:
            with capsys.disabled():
                print(seed, end=" ", flush=True)
            sequence = Sequence(seed, kaggle, root)
            try:
                sequence.run()
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, {sequence.tool}: {error}") from error
            ends[sequence.tool] += 1
            ends.update(sequence.ends)
            capsys.readouterr()
        return ends

    return play


RECEIPT = {"recipe": "safe", "recipe_score": 0.7, "recipe_interval": [0.6, 0.8], "lib_fingerprint": "c", "alarms": []}


def test_a_handful_of_sequences(play):
    assert play(range(6)).total()


@pytest.mark.slow
def test_three_hundred_sequences(play, capsys):
    ends = play(range(1000, 1300))
    with capsys.disabled():
        print(f"seeds 1000 to 1299: {dict(ends)}")
