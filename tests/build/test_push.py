"""A push with the real client against a Kaggle on loopback: every fault ends with the true status and advice."""

import json

import pytest

from build import push, rehearse
from build.kaggle_io import client
from build.kaggle_io import push as kaggle_push
from build.kaggle_io.client import connect
from build.kaggle_io.push_log import KERNELS, kernel_folder, last_push, read_runs
from build.kaggle_io.request import build_request
from build.kaggle_io.versions import latest, same_cells
from build.kernels import metadata
from lib.core.errors import BadInput
from tests.support.kaggle.loopback import TOKEN
from tests.support.kaggle.loopback_faults import changed, cut, hang, instead, page, refused, reset
from tests.support.kaggle.loopback_state import Run, whole_outputs
from tests.support.kaggle.project import NOTEBOOK
from tests.support.toytree import SUBMISSION, kernel, write

TRAIN = KERNELS["train"]
EXPIRED = "<?xml version='1.0'?><Error><Code>ExpiredToken</Code></Error>"


def test_a_push_that_completes_leaves_outputs_log_and_a_line(root, kaggle, capsys):
    kaggle.state.next_runs = [Run(outputs=whole_outputs(TRAIN, m=bytes(3000)))]
    assert push.main(["train"], root) == 0
    kept = kernel_folder(root, TRAIN) / "v1"
    files = {str(path.relative_to(kept)): path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    assert files == whole_outputs(TRAIN, m=bytes(3000)) | {f"{TRAIN}.log": b"hello\n"}
    (line,) = read_runs(root)
    assert (line.kernel, line.version, line.status) == (f"alice/{TRAIN}", 1, "COMPLETE")
    assert line.outputs == ["m", "member/a.csv", "member/manifest.json"]
    assert line.sha == last_push(root, TRAIN).sha
    printed = capsys.readouterr().out
    for shown in ("kB, sha", "visible      private", "internet     off", "none, CPU", "birdclef-2026", "RUNNING"):
        assert shown in printed


def test_what_is_on_kaggle_is_the_notebook_that_was_built(root, kaggle):
    assert push.main(["train", "--set", "n=5"], root) == 0
    slug = f"{TRAIN}-n5"
    folder = root / "dist/kernels" / slug
    there = latest(connect(), f"alice/{slug}")
    assert there.version == 1
    assert there.source == build_request(folder)["text"]
    assert same_cells(there.source, (folder / f"{slug}.ipynb").read_text())
    assert "n: int = 5" in there.source
    (sent,) = kaggle.calls_to("SaveKernel")
    assert sent == build_request(folder)
    assert (sent["slug"], sent["enableInternet"], sent["isPrivate"]) == (f"alice/{slug}", False, True)


def test_a_dry_run_shows_the_request_and_sends_nothing_at_all(root, kaggle, monkeypatch, capsys):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert push.main(["infer", "--dry", "--owner", "bob"], root) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["slug"] == f"bob/{SUBMISSION}"
    assert shown["enableInternet"] is False
    assert shown["text"].startswith("<")
    assert "bytes, sha" in shown["text"]
    assert kaggle.requests == []
    assert not (root / "runs").exists()


def test_gpus_are_requested_by_name_and_only_when_wanted(root, kaggle, capsys):
    assert push.main(["train", "--gpu"], root) == 0
    assert "accelerator  NvidiaTeslaT4" in capsys.readouterr().out
    assert push.main(["train"], root) == 0  # another request, so another version
    with_gpu, without = kaggle.calls_to("SaveKernel")
    assert (with_gpu["enableGpu"], with_gpu["machineShape"]) == (True, "NvidiaTeslaT4")
    assert (with_gpu.get("dockerImage"), without["dockerImage"]) == (None, metadata.IMAGE)
    assert not without.get("enableGpu")
    assert not without.get("machineShape")


def test_a_submission_on_a_gpu_is_refused_before_anything_is_sent(root, kaggle, rehearsed, capsys):
    assert push.main(["infer", "--gpu"], root) == 2
    assert "cannot have a GPU" in capsys.readouterr().err
    assert not rehearsed
    assert not kaggle.calls_to("SaveKernel")


@pytest.mark.parametrize("status", ["ERROR", "CANCEL_REQUESTED", "CANCEL_ACKNOWLEDGED"])
def test_a_run_that_fails_ends_with_1_its_reason_and_its_log_and_is_pushed_anew(root, kaggle, capsys, status):
    log = json.dumps([{"data": "line one\n"}, {"data": "ValueError: no birds\n"}])
    kaggle.state.next_runs = [Run(["RUNNING", status], "Your notebook stopped", log=log)]
    assert push.main(["prep"], root) == 1
    printed = capsys.readouterr().err
    assert f"version 1: {status}" in printed
    assert "ValueError: no birds" in printed
    assert "do this: fix it and push again" in printed
    assert ("Your notebook stopped" in printed) == (status == "ERROR")
    assert push.main(["prep"], root) == 0
    assert [(line.version, line.status) for line in read_runs(root)] == [(1, status), (2, "COMPLETE")]


def test_a_run_that_takes_too_long_is_not_known_and_the_second_call_goes_on_waiting(root, kaggle, capsys):
    kaggle.state.next_runs = [Run(["RUNNING"])]
    assert push.main(["prep", "--limit-s", "300"], root) == 3
    assert "run the same command again to go on waiting" in capsys.readouterr().err
    assert read_runs(root) == []
    kaggle.state.runs[f"alice/{KERNELS['prep']}", 1].statuses = ["COMPLETE"]
    assert push.main(["prep"], root) == 0
    assert len(kaggle.calls_to("SaveKernel")) == 1
    assert push.main(["prep"], root) == 0, "a finished push is no reason not to push again"
    assert len(kaggle.calls_to("SaveKernel")) == 2


def test_an_unfinished_push_of_other_code_is_not_taken_for_this_one(root, kaggle):
    assert push.main(["prep", "--no-wait"], root) == 0
    write(root, {metadata.source_of(KERNELS["prep"]): NOTEBOOK + "print(1)\n"})
    assert push.main(["prep"], root) == 0
    assert [line.version for line in read_runs(root)] == [2]


@pytest.mark.parametrize("kind", ["Tags", "DatasetSources", "CompetitionSources", "KernelSources", "ModelSources"])
def test_each_list_of_dropped_sources_is_a_failure_that_names_them(root, kaggle, capsys, kind):
    kaggle.fail("SaveKernel", changed(**{f"invalid{kind}": ["alice/nothing"]}))
    assert push.main(["train"], root) == 1
    printed = capsys.readouterr().err
    assert f"{kind.removesuffix('Sources').lower()}s: alice/nothing".replace("tagss", "tags") in printed
    assert "cancel it at https://www.kaggle.com/code/alice/" in printed
    assert [line.status for line in read_runs(root)] == ["SOURCES DROPPED"]
    assert push.main(["train"], root) == 0
    assert len(kaggle.calls_to("SaveKernel")) == 2


def test_an_answer_with_an_error_is_a_failure(root, kaggle, capsys):
    kaggle.fail("SaveKernel", instead(error="Notebook not found"))
    assert push.main(["train"], root) == 1
    printed = capsys.readouterr().err
    assert "Notebook not found" in printed
    assert "do this:" in printed


LIMIT = instead(error="Maximum batch CPU session count of 5 reached.")


def test_a_session_limit_is_waited_for(root, kaggle, faketime, capsys):
    kaggle.fail("SaveKernel", LIMIT, LIMIT)
    assert push.main(["train"], root) == 0
    assert faketime.slept[:4] == [0.0, kaggle_push.QUEUE_PAUSE_S] * 2
    assert "waits for a free session: Maximum batch CPU session count of 5" in capsys.readouterr().out
    assert [line.version for line in read_runs(root)] == [1]


def test_a_session_limit_that_stays_is_given_up_at_the_time_limit(root, kaggle, faketime, capsys):
    kaggle.fail("SaveKernel", *[LIMIT] * 99)
    assert push.main(["train", "--limit-s", "600"], root) == 3
    assert faketime.now_s <= 600
    assert "no session is free" in capsys.readouterr().err


@pytest.mark.parametrize("lost", [reset(done=True), hang(done=True), refused(504, "", done=True)])
def test_a_push_whose_answer_was_lost_is_found_and_not_repeated(root, kaggle, monkeypatch, lost):
    monkeypatch.setenv("PANTANAL_HTTP_TIMEOUT_S", "0.3")
    assert push.main(["train"], root) == 0
    kaggle.fail("SaveKernel", lost)
    assert push.main(["train"], root) == 0
    assert len(kaggle.calls_to("SaveKernel")) == 2, "the same notebook is there already, as version 1"
    assert [line.version for line in read_runs(root)] == [1, 2]


@pytest.mark.parametrize("fault", [reset(), page(), refused(500, "oops"), instead(url="https://kaggle.com")])
def test_a_push_that_did_not_arrive_is_not_known_and_sent_again_only_by_the_next_call(root, kaggle, fault, capsys):
    kaggle.fail("SaveKernel", fault)
    assert push.main(["train"], root) == 3
    assert [request.rpc for request in kaggle.requests][-5:] == ["SaveKernel"] + ["GetKernel"] * len(client.LOOKS_S)
    kaggle.requests.clear()
    assert push.main(["train"], root) == 0
    rpcs = [request.rpc for request in kaggle.requests]
    assert rpcs[1 : rpcs.index("SaveKernel")] == ["GetKernel"] * (len(client.LOOKS_S) + 1)
    assert len(kaggle.state.kernels[f"alice/{TRAIN}"]) == 1


def test_an_earlier_version_of_the_same_notebook_is_not_taken_for_the_lost_one(root, kaggle):
    assert push.main(["train"], root) == 0
    kaggle.fail("SaveKernel", reset())
    assert push.main(["train"], root) == 3
    assert push.main(["train"], root) == 0
    assert [line.version for line in read_runs(root)] == [1, 2]


def test_a_notebook_without_a_version_number_is_never_pushed_over(root, kaggle, capsys, monkeypatch):
    kaggle.fail("SaveKernel", reset(done=True))
    real = kaggle.state.GetKernel

    def unnumbered(request):
        answer = real(request)
        return answer | {"metadata": {"ref": answer["metadata"]["ref"]}}

    monkeypatch.setattr(kaggle.state, "GetKernel", unnumbered)
    assert push.main(["train"], root) == 3
    assert "this notebook, and no number" in capsys.readouterr().err
    assert push.main(["train"], root) == 3
    assert len(kaggle.calls_to("SaveKernel")) == 1


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_a_refused_push_gives_the_reason_and_is_not_repeated(root, kaggle, capsys, status, nested):
    kaggle.fail("SaveKernel", refused(status, "The kernel source must be less than 1 megabytes", nested))
    assert push.main(["train"], root) == 1
    printed = capsys.readouterr().err
    assert f"HTTP {status}, The kernel source must be less than 1 megabytes" in printed
    assert "do this:" in printed
    assert len(kaggle.calls_to("SaveKernel")) == 1


def test_a_push_is_repeated_when_kaggle_asks_to_wait(root, kaggle, faketime):
    kaggle.fail("SaveKernel", refused(429, "slow", headers={"Retry-After": "9"}))
    assert push.main(["train"], root) == 0
    assert faketime.slept[:2] == [0, 9]


def test_waiting_survives_whatever_passes(root, kaggle, monkeypatch):
    monkeypatch.setenv("PANTANAL_HTTP_TIMEOUT_S", "0.3")
    kaggle.fail("GetKernelSessionStatus", refused(404, "not yet"), refused(403, "not yet"))
    kaggle.fail("GetKernelSessionStatus", refused(503, ""), refused(429, ""), reset(), hang(), page(502))
    kaggle.fail("GetKernelSessionStatus", *[refused(500, "", nested=True)] * 20)
    assert push.main(["train"], root) == 0


def test_a_status_that_may_not_be_read_is_not_known(root, kaggle, capsys):
    kaggle.fail("GetKernelSessionStatus", *[refused(403, "Permission 'kernels.get' was denied")] * 9)
    assert push.main(["train"], root) == 3
    assert "the same command goes on waiting" in capsys.readouterr().err
    assert push.main(["train"], root) == 0
    assert len(kaggle.calls_to("SaveKernel")) == 1


@pytest.mark.parametrize("name", ["../evil.csv", "/etc/evil.csv", "a/../../evil.csv", "a\\b.csv", f"{TRAIN}.log", ""])
def test_names_that_lead_elsewhere_are_refused_and_nothing_is_written(root, kaggle, capsys, name):
    kaggle.state.next_runs = [Run(["COMPLETE"], outputs={"good.csv": b"1", name: b"2"})]
    assert push.main(["train"], root) == 1
    assert f"got:      {name!r}" in capsys.readouterr().err
    assert {path.name for path in (root / "runs").rglob("*")} == {"kaggle", "lock", TRAIN, "pushed.json"}
    assert kaggle.calls_to("GET") == []


@pytest.mark.parametrize(
    ("fault", "printed"),
    [(page(403, EXPIRED, "text/xml"), "HTTP 403"), (page(200, EXPIRED, "text/xml"), "is a page and no .csv file")],
)
def test_an_output_that_is_an_error_page_is_refused_and_fetched_by_the_next_call(root, kaggle, capsys, fault, printed):
    kaggle.state.next_runs = [Run(["COMPLETE"], outputs={"first.csv": b"row_id,a\n"} | whole_outputs(TRAIN))]
    kaggle.fail("GET", fault)
    assert push.main(["train"], root) == 1
    assert printed in capsys.readouterr().err
    assert not (kernel_folder(root, TRAIN) / "v1").exists()
    assert push.main(["train"], root) == 0
    assert (kernel_folder(root, TRAIN) / "v1/first.csv").read_bytes() == b"row_id,a\n"
    assert len(kaggle.calls_to("SaveKernel")) == 1


def test_an_output_cut_short_is_fetched_again_or_refused(root, kaggle, capsys):
    outputs = {"m.bin": bytes(5000)} | whole_outputs(TRAIN)
    kaggle.state.next_runs = [Run(["COMPLETE"], outputs=outputs) for _ in range(2)]
    kaggle.fail("GET", cut(3000), cut(0))
    assert push.main(["train"], root) == 0
    assert (kernel_folder(root, TRAIN) / "v1/m.bin").read_bytes() == bytes(5000)
    kaggle.fail("GET", *[cut(3000)] * 9)
    assert push.main(["train"], root) == 1
    assert "could not download the output m.bin" in capsys.readouterr().err
    assert not (kernel_folder(root, TRAIN) / "v2").exists()


def test_every_page_of_outputs_is_fetched(root, kaggle):
    files = {f"{number}.csv": b"x" for number in range(45)}
    kaggle.state.next_runs = [Run(["COMPLETE"], outputs=files | whole_outputs(TRAIN))]
    assert push.main(["train"], root) == 0
    assert len(list((kernel_folder(root, TRAIN) / "v1").glob("*.csv"))) == 45


def test_without_a_login_nothing_is_built_or_sent(root, kaggle, monkeypatch, capsys):
    kaggle.state.token_active = False
    assert push.main(["train"], root) == 2
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert push.main(["train"], root) == 2
    assert capsys.readouterr().err.count("settings/api") == 2
    assert {request.rpc for request in kaggle.requests} == {"IntrospectToken"}
    assert not (root / "dist").exists()


@pytest.mark.parametrize("changes", [{"title": "Another title altogether"}, {"enable_internt": False}])
def test_metadata_that_would_go_wrong_is_refused_before_anything_is_sent(root, kaggle, capsys, changes):
    write(root, kernel(TRAIN, **changes))
    assert push.main(["train"], root) == 2
    assert "NOTHING SENT" in capsys.readouterr().err
    assert kaggle.calls_to("SaveKernel") == []


def test_what_the_client_only_prints_is_an_error(root):
    push.main(["train", "--dry"], root)
    folder = root / "dist/kernels" / TRAIN
    described = json.loads((folder / "kernel-metadata.json").read_text())
    write(folder, {"kernel-metadata.json": json.dumps(described | {"title": "Another title altogether"})})
    with pytest.raises(BadInput, match="does not resolve to the specified id"):
        build_request(folder)


def test_the_submission_is_rehearsed_first_and_a_failure_stops_it(root, kaggle, capsys):
    assert push.main(["infer"], root) == 2
    printed = capsys.readouterr().err
    assert "REHEARSAL FAILED" in printed
    assert "NOTHING SENT" in printed
    assert kaggle.calls_to("SaveKernel") == []


def read_on_kaggle(kaggle, **manifests):
    """Let the next run of 06 read inputs with these manifests."""
    inputs = {name: {"path": f"/kaggle/input/{name}", "manifest": manifest} for name, manifest in manifests.items()}
    saved = kaggle.state.SaveKernel

    def save(request):
        answer = saved(request)
        made = kaggle.state.runs[request["slug"], answer["versionNumber"]].outputs
        made["receipt.json"] = json.dumps(json.loads(made["receipt.json"]) | {"inputs": inputs}).encode()
        return answer

    kaggle.state.SaveKernel = save


@pytest.mark.parametrize(("source", "status"), [("kernels", 0), ("dataset", 1)])
def test_other_weights_than_rehearsed_give_alarm_and_fail_for_a_dataset(
    root, kaggle, rehearsed, capsys, source, status
):
    read_on_kaggle(kaggle, l0="hash-l0", l1="another")
    assert push.main(["infer", "--from", source], root) == status
    printed = capsys.readouterr()
    assert "l0               /kaggle/input/l0  as rehearsed" in printed.out
    assert "l1               /kaggle/input/l1  ALARM another, rehearsed with hash-l1" in printed.out
    assert ("make push-weights" in printed.err) == bool(status)
    assert len(rehearsed) == 1


def test_the_same_weights_as_rehearsed_are_no_failure_whatever_the_competition(root, kaggle, rehearsed, capsys):
    read_on_kaggle(kaggle, l0="hash-l0", l1="hash-l1", competition="the real one")
    assert push.main(["infer", "--from", "dataset"], root) == 0
    assert capsys.readouterr().out.count("ALARM") == 1


def test_a_submission_that_is_waited_for_again_is_not_rehearsed_again(root, kaggle, rehearsed):
    assert push.main(["infer", "--no-wait"], root) == 0
    assert push.main(["infer"], root) == 0
    assert len(rehearsed) == 1
    assert rehearsed[0][:2] == ["--kernel", SUBMISSION]


def test_all_goes_in_order_stops_at_the_first_failure_and_goes_on_there(root, kaggle, rehearsed, monkeypatch):
    times = iter(f"2026-11-21T10:00:{second:02d}+00:00" for second in range(60))
    monkeypatch.setattr(push, "now", lambda: next(times))
    monkeypatch.setattr(kaggle_push, "now", lambda: next(times))
    kaggle.state.next_runs = [Run(), Run(), Run(["ERROR"])]
    assert push.main(["all"], root) == 1
    assert push.main(["all"], root) == 0
    slugs = [call["slug"].partition("/")[2] for call in kaggle.calls_to("SaveKernel")]
    names = list(KERNELS.values())
    assert slugs == [*names[:3], *names[2:]]
    write(root, {metadata.source_of(names[4]): NOTEBOOK + "print(1)\n"})
    assert push.main(["all"], root) == 0
    slugs = [call["slug"].partition("/")[2] for call in kaggle.calls_to("SaveKernel")]
    assert slugs[7:] == names[4:], "and what comes after a change is pushed again"


@pytest.mark.parametrize("more", [["--no-wait"], ["--set", "n=3"], ["--gpu"]])
def test_all_is_refused_where_it_cannot_work(root, kaggle, more):
    assert push.main(["all", *more], root) == 2
    assert kaggle.requests == []


def test_ctrl_c_says_that_the_run_goes_on(root, kaggle, monkeypatch, capsys):
    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "sleep", interrupt)
    assert push.main(["train"], root) == 130
    assert "version 1 runs on; the same command looks for it and waits" in capsys.readouterr().err


def test_ctrl_c_in_a_rehearsal_says_that_nothing_was_sent(root, kaggle, monkeypatch, capsys):
    def interrupt(arguments, root):
        raise KeyboardInterrupt

    monkeypatch.setattr(rehearse, "main", interrupt)
    assert push.main(["infer"], root) == 130
    assert "interrupted: nothing was sent" in capsys.readouterr().err


def test_the_token_is_in_nothing_that_is_said_or_written(root, kaggle, capsys):
    kaggle.state.next_runs = [Run(["ERROR"], f"bad token {TOKEN}")]
    kaggle.fail("GetKernelSessionStatus", refused(500, f"Bearer {TOKEN}"))
    assert push.main(["train"], root) == 1
    printed = capsys.readouterr()
    written = [path.read_text() for path in (root / "runs").rglob("*") if path.is_file()]
    assert TOKEN not in "".join([printed.out, printed.err, *written])
    assert "bad token [secret]" in printed.err
