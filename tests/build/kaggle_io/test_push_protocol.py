"""A push that cannot be fooled: outputs are checked, a call sends nothing twice, killed and doubled calls agree."""

import json
import os
import signal

import pytest

from build import push
from build.kaggle_io.lock import kaggle_lock
from build.kaggle_io.push_log import KERNELS, kernel_folder, last_push, read_runs
from build.kernels import metadata
from tests.support.kaggle.loopback import LEGACY_KEY
from tests.support.kaggle.loopback_faults import again, changed, cut, instead, late, refused, reset
from tests.support.kaggle.loopback_state import Run, whole_outputs
from tests.support.kaggle.project import NOTEBOOK, fork, join, killed_at
from tests.support.toytree import write

TRAIN, INFER = KERNELS["train"], KERNELS["infer"]
NOT_WHOLE = "is COMPLETE, and its outputs are not here"


def versions(kaggle, slug=TRAIN):
    """The number of versions on Kaggle."""
    return len(kaggle.state.kernels.get(f"alice/{slug}", []))


def without(slug, name):
    return {one: data for one, data in whole_outputs(slug).items() if one != name}


@pytest.mark.parametrize(
    ("kernel", "outputs", "printed"),
    [
        ("infer", {}, "no submission.csv, receipt.json"),
        ("infer", without(INFER, "submission.csv"), "no submission.csv"),
        ("infer", without(INFER, "receipt.json"), "no receipt.json"),
        ("infer", whole_outputs(INFER) | {"submission.csv": b"row_id,a\nT_5,0"}, "cut or changed"),
        ("infer", whole_outputs(INFER) | {"submission.csv": b""}, "cut or changed"),
        ("infer", whole_outputs(INFER) | {"receipt.json": b'{"submission": "'}, "cannot be read"),
        ("infer", whole_outputs(INFER) | {"receipt.json": b"[]"}, "receipt.json"),
        ("infer", whole_outputs(INFER), "one of lib None"),  # of another build
        ("train", {}, "0 sealed folders"),
        ("train", without(TRAIN, "member/a.csv"), "changed or damaged"),
        ("train", whole_outputs(TRAIN) | {"member/a.csv": b"1,"}, "changed or damaged"),
        ("train", whole_outputs(TRAIN) | {"member/manifest.json": b"{"}, "cannot be read"),
        ("train", whole_outputs(TRAIN) | {"member/manifest.json": b"[]"}, "manifest.json"),
        ("blend", whole_outputs(TRAIN), "a sealed folder of kind recipes"),
    ],
)
def test_a_push_is_closed_only_with_its_whole_outputs(root, kaggle, rehearsed, capsys, kernel, outputs, printed):
    slug = KERNELS[kernel]
    kaggle.state.next_runs = [Run(["COMPLETE"], outputs=dict(outputs))]
    assert push.main([kernel], root) == 1
    shown = capsys.readouterr().err
    assert NOT_WHOLE in shown
    assert printed in shown
    assert not (kernel_folder(root, slug) / "v1").exists()
    assert read_runs(root) == []
    pushed = kaggle.state.kernels[f"alice/{slug}"][0]
    kaggle.state.runs[f"alice/{slug}", 1].outputs = whole_outputs(slug, pushed["text"])
    assert push.main([kernel], root) == 0
    assert versions(kaggle, slug) == 1
    assert [line.version for line in read_runs(root)] == [1]


@pytest.mark.parametrize(
    ("rpc", "fault"),
    [("GET", cut(20, unsized=True)), ("GET", cut(0, unsized=True)), ("ListKernelSessionOutput", changed(files=[]))],
)
def test_a_download_or_a_list_cut_short_without_a_word_is_noticed(root, kaggle, rehearsed, capsys, rpc, fault):
    kaggle.state.next_runs = [Run(["COMPLETE"])]
    kaggle.fail(rpc, fault)
    assert push.main(["infer"], root) == 1
    assert NOT_WHOLE in capsys.readouterr().err
    assert push.main(["infer"], root) == 0
    assert versions(kaggle, INFER) == 1


@pytest.mark.parametrize("fault", [*[refused(code, "no") for code in (400, 401, 403)], instead(error="Not allowed")])
def test_a_refused_push_leaves_nothing_behind_and_the_next_is_rehearsed(root, kaggle, rehearsed, fault):
    assert push.main(["infer"], root) == 0
    before = last_push(root, INFER)
    kaggle.fail("SaveKernel", fault)
    assert push.main(["infer"], root) == 1
    assert last_push(root, INFER) == before
    assert push.main(["infer"], root) == 0
    assert len(rehearsed) == 3


def test_only_a_version_that_exists_saves_the_rehearsal(root, kaggle, rehearsed):
    kaggle.fail("SaveKernel", reset())
    assert push.main(["infer"], root) == 3
    assert push.main(["infer"], root) == 0
    assert len(rehearsed) == 2
    kaggle.fail("SaveKernel", late(5))
    assert push.main(["infer"], root) == 3
    assert push.main(["infer"], root) == 0
    assert len(rehearsed) == 3
    assert versions(kaggle, INFER) == 2


def test_an_accepted_push_without_waiting_is_0_and_taken_up_later(root, kaggle):
    for _ in range(2):
        assert push.main(["train", "--no-wait"], root) == 0
    assert push.main(["train"], root) == 0
    assert versions(kaggle) == 1


@pytest.mark.parametrize("after", [1, 3, 5, 9])
def test_a_push_that_is_stored_late_is_not_sent_again(root, kaggle, after):
    kaggle.fail("SaveKernel", late(after))
    assert push.main(["train"], root) == 0 or push.main(["train"], root) == 0
    assert len(kaggle.calls_to("SaveKernel")) == versions(kaggle) == 1


@pytest.mark.parametrize("fault", [refused(429, "slow", done=True), refused(409, "busy", done=True), late(1, 429)])
def test_an_error_for_what_was_done_is_found_out(root, kaggle, fault):
    kaggle.fail("SaveKernel", fault)
    assert push.main(["train"], root) == 0
    assert len(kaggle.calls_to("SaveKernel")) == versions(kaggle) == 1


def test_two_calls_at_once_make_one_version_and_one_line(root, kaggle):
    kaggle.state.next_runs = [Run(["RUNNING"])]
    calls = [fork(lambda: push.main(["train", "--limit-s", "60"], root)) for _ in range(2)]
    assert sorted(map(join, calls)) in ([2, 3], [3, 3])  # refused by the lock, or waiting for the same version
    assert versions(kaggle) == 1
    kaggle.state.runs[f"alice/{TRAIN}", 1].statuses = ["COMPLETE"]
    calls = [fork(lambda: push.main(["train", "--no-wait"], root)) for _ in range(2)]
    assert 0 in map(join, calls)
    assert push.main(["train"], root) == 0
    assert [line.version for line in read_runs(root)] == [1]


def test_a_second_call_says_who_is_at_work(root, kaggle, capsys):
    with kaggle_lock(root):
        for arguments in (["train"], ["infer"]):
            assert push.main(arguments, root) == 2
            printed = capsys.readouterr().err
            assert f"process {os.getpid()}, `" in printed
            assert ", since 20" in printed
    assert kaggle.calls_to("SaveKernel") == []
    assert push.main(["train"], root) == 0


def test_sources_dropped_by_a_push_whose_answer_was_lost_are_named(root, kaggle, capsys):
    write(root, {f"kernel-metadata/{TRAIN}/kernel-metadata.json": with_sources(root)})
    real = kaggle.state.GetKernel
    kaggle.fail("SaveKernel", reset(done=True))
    kaggle.state.GetKernel = lambda request: drop(real(request), competitionDataSources=[])
    assert push.main(["train"], root) == 1
    assert "not attached by Kaggle: competitions: birdclef-2026" in capsys.readouterr().err
    assert [line.status for line in read_runs(root)] == ["SOURCES DROPPED"]
    kaggle.state.GetKernel = lambda request: drop(
        real(request), competitionDataSources=["competitions/BirdCLEF-2026"], kernelDataSources=["code/alice/x/3"]
    )
    kaggle.fail("SaveKernel", reset(done=True))
    assert push.main(["train"], root) == 1
    assert f"kernels: alice/{KERNELS['prep']}" in capsys.readouterr().err
    kaggle.state.GetKernel = real
    kaggle.fail("SaveKernel", reset(done=True))
    assert push.main(["train"], root) == 0


def with_sources(root):
    """The kernel's metadata, reading one kernel more."""
    path = root / f"kernel-metadata/{TRAIN}/kernel-metadata.json"
    return json.dumps(json.loads(path.read_text()) | {"kernel_sources": [f"OWNER/{KERNELS['prep']}"]})


def drop(answer, **sources):
    return answer | {"metadata": answer["metadata"] | sources}


def test_sources_dropped_are_remembered_when_the_call_is_killed(root, kaggle):
    kaggle.fail("SaveKernel", changed(invalidDatasetSources=["alice/x"]))
    assert killed_at(kaggle, "GetKernelSessionStatus", "come", lambda: push.main(["train"], root)) == 1
    assert killed_at(kaggle, "SaveKernel", "done", lambda: push.main(["train"], root)) == -signal.SIGKILL
    assert push.main(["train"], root) == 0
    assert versions(kaggle) == 2


@pytest.mark.parametrize("fault", [again(), changed(versionNumber=1), changed(versionNumber=7)])
def test_a_version_number_that_is_not_the_next_is_no_answer(root, kaggle, fault):
    kaggle.state.next_runs = [Run(outputs=whole_outputs(TRAIN, old=b"1")), Run(outputs=whole_outputs(TRAIN, new=b"2"))]
    assert push.main(["train"], root) == 0
    write(root, {metadata.source_of(TRAIN): NOTEBOOK + "print(1)\n"})
    kaggle.fail("SaveKernel", fault)
    assert push.main(["train"], root) == 0
    assert (kernel_folder(root, TRAIN) / "v2/new").read_bytes() == b"2"
    assert versions(kaggle) == 2


LIMIT = {"error": "Maximum batch CPU session count of 5 reached."}


def test_a_session_limit_does_not_hold_who_will_not_wait(root, kaggle, faketime):
    kaggle.fail("SaveKernel", instead(**LIMIT))
    assert push.main(["train", "--no-wait"], root) == 3
    assert faketime.now_s < 10
    assert last_push(root, TRAIN) is None
    assert push.main(["train", "--no-wait"], root) == 0


@pytest.mark.parametrize("number", [0, 1])
def test_a_limit_for_a_version_that_was_made_is_found_out(root, kaggle, number):
    kaggle.fail("SaveKernel", changed(**LIMIT, versionNumber=number))
    assert push.main(["train"], root) == 0
    assert len(kaggle.calls_to("SaveKernel")) == 1


def test_a_limit_with_a_number_and_no_version_is_not_known(root, kaggle):
    kaggle.fail("SaveKernel", instead(**LIMIT, versionNumber=1))
    assert push.main(["train"], root) == 3
    assert len(kaggle.calls_to("SaveKernel")) == 1


@pytest.mark.parametrize("step", ["come", "done"])
@pytest.mark.parametrize("rpc", ["GetKernel", "SaveKernel", "GetKernelSessionStatus", "ListKernelSessionOutput", "GET"])
def test_a_call_killed_anywhere_is_taken_up_by_the_next(root, kaggle, rpc, step):
    kaggle.state.next_runs = [Run(["RUNNING", "COMPLETE"], outputs=whole_outputs(TRAIN))]
    assert killed_at(kaggle, rpc, step, lambda: push.main(["train"], root)) == -signal.SIGKILL
    assert push.main(["train"], root) == 0
    assert versions(kaggle) == 1
    assert [line.version for line in read_runs(root)] == [1]
    assert {path.name for path in kernel_folder(root, TRAIN).iterdir() if path.name[0] != "."} == {"pushed.json", "v1"}


def test_the_owner_is_checked_before_anything_is_built_or_rehearsed(root, kaggle, rehearsed, capsys):
    assert push.main(["infer", "--owner", "bob"], root) == 2
    assert "OWNER=alice" in capsys.readouterr().err
    assert not rehearsed
    assert not (root / "dist").exists()
    assert push.main(["infer", "--owner", "Alice"], root) == 0


def test_new_lines_of_the_log_are_shown_while_it_runs(root, kaggle, capsys):
    run = Run(["QUEUED", "RUNNING", "RUNNING", "RUNNING", "COMPLETE"], outputs=whole_outputs(TRAIN))
    kaggle.state.next_runs = [run]
    lines = iter(["fold 0", "fold 0\nfold 1", "fold 0\nfold 1"])
    real = kaggle.state.ListKernelSessionOutput

    def growing(request):
        run.log = json.dumps([{"data": f"{next(lines, 'end')}\n"}])
        return real(request)

    kaggle.state.ListKernelSessionOutput = growing
    kaggle.fail("ListKernelSessionOutput", refused(404, "no log yet"))
    assert push.main(["train"], root) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "|" in line] == ["    | fold 0", "    | fold 1"]


@pytest.mark.parametrize("names", [("a", "a/b"), ("a" * 256,), ("b/" + "ä" * 200,)])
def test_outputs_that_no_disk_takes_are_an_error(root, kaggle, capsys, names):
    kaggle.state.next_runs = [Run(["COMPLETE"], outputs=whole_outputs(TRAIN) | dict.fromkeys(names, b"1"))]
    assert push.main(["train"], root) == 1
    assert "names of outputs that cannot be kept" in capsys.readouterr().err


def test_a_full_disk_is_an_error_and_the_next_call_goes_on(root, kaggle, monkeypatch, capsys):
    real = os.replace

    def full(source, target):
        if str(target).endswith("pushes.jsonl"):
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        assert push.main(["train"], root) == 1
    assert "got:      No space left on device" in capsys.readouterr().err
    assert push.main(["train"], root) == 0
    assert versions(kaggle) == 1


def test_no_secret_is_printed_by_names_of_sources_or_by_the_log(root, kaggle, capsys, monkeypatch):
    from base64 import b64encode

    monkeypatch.delenv("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_USERNAME", "alice")
    monkeypatch.setenv("KAGGLE_KEY", LEGACY_KEY)
    basic = b64encode(f"alice:{LEGACY_KEY}".encode()).decode()
    kaggle.fail("SaveKernel", changed(invalidDatasetSources=[f"alice/{LEGACY_KEY}"]))
    assert push.main(["train"], root) == 1
    kaggle.state.next_runs = [Run(["ERROR"], basic, log=json.dumps([{"data": f"key {LEGACY_KEY}, sent {basic}\n"}]))]
    assert push.main(["train"], root) == 1
    printed = capsys.readouterr()
    written = [path.read_text() for path in (root / "runs").rglob("*") if path.is_file()]
    assert not any(secret in text for secret in (LEGACY_KEY, basic) for text in (printed.out, printed.err, *written))
    assert "key [secret], sent [secret]" in printed.err
