"""Status, log and outputs of kernels on Kaggle, of the requested version."""

import pytest

from build import watch
from build.kaggle_io.push_log import KERNELS
from tests.support.kaggle.loopback_faults import refused
from tests.support.kaggle.loopback_services import Run

PREP = KERNELS["prep"]


@pytest.fixture
def two_versions(kaggle):
    """The first kernel in two versions, the second of which failed."""
    first = Run(["COMPLETE"], outputs={"a.csv": b"old"}, log='[{"data":"first\\n"}]')
    second = Run(["ERROR"], "out of memory", {"a.csv": b"new"}, '[{"data":"second\\n"}]')
    kaggle.state.next_runs = [first, second]
    for _ in range(2):
        kaggle.state.SaveKernel({"slug": f"alice/{PREP}", "text": '{"cells":[]}'})
    return kaggle


def test_status_gives_a_line_for_each_kernel(two_versions, capsys):
    assert watch.main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].split() == ["prep", f"alice/{PREP}", "v2", "ERROR:", "out", "of", "memory"]
    assert lines[5].endswith("not on Kaggle")


@pytest.mark.parametrize(("more", "printed"), [([], "second\n"), (["--version", "1"], "first\n")])
def test_logs_are_those_of_the_requested_version(two_versions, capsys, more, printed):
    assert watch.main(["logs", "prep", *more]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(("more", "kept", "data"), [([], "v2", b"new"), (["--version", "1"], "v1", b"old")])
def test_outputs_land_in_the_folder_of_their_version(two_versions, tmp_path, more, kept, data):
    assert watch.main(["outputs", PREP, *more], tmp_path) == 0
    assert (tmp_path / "runs/kaggle" / PREP / kept / "a.csv").read_bytes() == data


def test_a_kernel_that_is_not_there_says_what_to_do(kaggle, capsys):
    assert watch.main(["logs", "infer"]) == 2
    assert "push it first" in capsys.readouterr().err


def test_an_owner_may_be_named(two_versions, capsys):
    assert watch.main(["status", "--owner", "bob"]) == 0
    assert f"bob/{PREP}" in capsys.readouterr().out
    assert {call["userName"] for call in two_versions.calls_to("GetKernel")} == {"bob"}


def test_trouble_ends_with_1_and_its_reason(two_versions, capsys):
    two_versions.fail("GetKernel", refused(401, "Unauthenticated"))
    assert watch.main(["status"]) == 1
    assert "HTTP 401, Unauthenticated" in capsys.readouterr().err
