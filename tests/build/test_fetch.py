"""Fetching what a home machine needs: the real client against a Kaggle on loopback."""

import os
import shutil
import signal
import tarfile
import time
import zipfile

import pytest

from build import fetch
from build.cli.exit_codes import Failed
from build.kaggle_io import client, downloads
from build.kaggle_io.failures import TIMEOUT_VARIABLE
from lib.core.errors import BadInput
from lib.core.paths import MARKERS
from tests.support.kaggle import loopback
from tests.support.kaggle.loopback_faults import cut, hang, page, refused, reset
from tests.support.kaggle.loopback_services import Competition, Dataset, Run
from tests.support.kaggle.project import fork, join

FILES = {name: name.encode() for name in MARKERS} | {"train_audio/x/a.ogg": bytes(range(256)) * 40}


@pytest.fixture
def contest(kaggle, monkeypatch):
    """The competition on loopback, its rules accepted; files come in blocks of 1000 bytes."""
    monkeypatch.setattr("build.kaggle_io.downloads._CHUNK", 1000)
    kaggle.state.competitions["birdclef-2026"] = Competition(files=dict(FILES))
    return kaggle


@pytest.fixture
def pauses(monkeypatch):
    """The pauses requested, none of them taken."""
    taken = []
    monkeypatch.setattr(client, "sleep", taken.append)
    return taken


def gets(kaggle):
    """The part of the archive that each GET requested."""
    return [request.headers.get("Range") for request in kaggle.requests if request.rpc == "GET"]


def lies_in(folder):
    """Every file below a folder, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_competition_is_unpacked_once_and_the_archive_removed(contest, tmp_path, capsys):
    assert fetch.main(["data"], tmp_path) == 0
    assert lies_in(tmp_path / "data/real/public") == {f"birdclef-2026/{name}": data for name, data in FILES.items()}
    contest.requests.clear()
    assert fetch.main(["data"], tmp_path) == 0
    assert "already" in capsys.readouterr().out
    assert contest.calls_to("DownloadDataFiles") == []


def test_a_broken_download_goes_on_where_it_stopped(contest, tmp_path, pauses):
    contest.fail("GET", cut(4000))
    assert fetch.main(["data"], tmp_path) == 0
    assert gets(contest) == [None, None, "bytes=4000-"]
    assert pauses == [2.0]
    assert lies_in(tmp_path / "data/real/public" / "birdclef-2026") == FILES


def test_a_line_that_breaks_often_is_followed_as_long_as_something_comes(contest, tmp_path, pauses):
    contest.fail("GET", *[cut(1000)] * 19)  # each attempt makes two requests: for the address, and for the rest
    assert fetch.main(["data"], tmp_path) == 0
    assert len(pauses) == 10
    assert lies_in(tmp_path / "data/real/public" / "birdclef-2026") == FILES


def test_a_store_that_cannot_continue_is_not_asked_for_ever(contest, tmp_path, pauses, monkeypatch, capsys):
    monkeypatch.setattr("build.kaggle_io.downloads._kept_bytes", lambda *known: 0)
    contest.fail("GET", *[cut(4000), cut(2000)] * 10)
    assert fetch.main(["data"], tmp_path) == 1
    assert len(pauses) == 6
    assert "could not be downloaded" in capsys.readouterr().err


def test_a_store_that_sends_the_whole_again_does_not_double_the_beginning(contest, tmp_path, pauses, monkeypatch):
    part_of_file = loopback._Handler._file

    def whole_file(handler):
        del handler.headers["Range"]
        return part_of_file(handler)

    monkeypatch.setattr(loopback._Handler, "_file", whole_file)
    contest.fail("GET", cut(4000))
    assert fetch.main(["data"], tmp_path) == 0
    assert len(gets(contest)) == 3
    assert lies_in(tmp_path / "data/real/public" / "birdclef-2026") == FILES


def test_a_second_run_goes_on_where_the_first_gave_up(contest, tmp_path, pauses, capsys):
    contest.fail("GET", cut(4000), *[cut(0)] * 10)
    assert fetch.main(["data"], tmp_path) == 1
    assert "it resumes where birdclef-2026.archive.part ends" in capsys.readouterr().err
    part = tmp_path / "data/real/public" / "birdclef-2026.archive.part"
    assert part.stat().st_size == 4000
    contest.faults["GET"].clear()
    contest.requests.clear()
    assert fetch.main(["data"], tmp_path) == 0
    assert gets(contest) == [None, "bytes=4000-"]
    assert lies_in(tmp_path / "data/real/public" / "birdclef-2026") == FILES
    assert not part.exists()


def test_a_killed_download_goes_on(contest, tmp_path):
    contest.state.competitions["birdclef-2026"].files["big.bin"] = os.urandom(6 << 20)
    contest.fail("GET", cut(4 << 20), hang(20))
    part = tmp_path / "data/real/public" / "birdclef-2026.archive.part"
    child = fork(lambda: fetch.main(["data"], tmp_path))
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size >= 3 << 20) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    join(child)
    contest.faults["GET"].clear()
    contest.requests.clear()
    kept = part.stat().st_size
    assert fetch.main(["data"], tmp_path) == 0
    assert gets(contest)[-1] == f"bytes={kept}-"
    assert lies_in(tmp_path / "data/real/public" / "birdclef-2026") == contest.state.competitions["birdclef-2026"].files


def odd_zip(path, name="a/b.txt", data=b"b", kind=zipfile.ZIP_STORED):
    """A zip of one file, and its bytes, to spoil."""
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr(name, data)
    return bytearray(path.read_bytes())


def spoilt(path, kind):
    """An archive that cannot be unpacked, written to `path`."""
    if kind == "two names for one place":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a", "1")
            archive.writestr("a/b", "2")
    elif kind == "a bomb":
        odd_zip(path, data=bytes(8 << 20), kind=zipfile.ZIP_DEFLATED)
    elif kind == "a long name":
        odd_zip(path, name="n" * 300)
    else:
        data = odd_zip(path)
        central = data.index(b"PK\x01\x02")
        if kind == "encrypted":
            data[6] |= 1
            data[central + 8] |= 1
        elif kind == "an odd compression":
            data[8] = data[central + 10] = 97
        elif kind == "another name inside":
            data[30] ^= 1
        path.write_bytes(data)


@pytest.mark.parametrize(
    "kind",
    ["two names for one place", "a bomb", "a long name", "encrypted", "an odd compression", "another name inside"],
)
def test_an_archive_that_cannot_be_unpacked_is_removed_and_named(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(downloads, "_GIB", 1 << 20)
    spoilt(tmp_path / "x.archive", kind)
    with pytest.raises(Failed, match="damaged or refused, and was removed"):
        downloads.unpack(tmp_path / "x.archive", tmp_path / "x")
    assert not (tmp_path / "x.archive").exists()
    assert not (tmp_path / "x").exists()


def test_a_disk_that_fills_while_unpacking_keeps_the_archive(contest, tmp_path, monkeypatch, capsys):
    def full(source, copy, size):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(downloads.shutil, "copyfileobj", full)
        assert fetch.main(["data"], tmp_path) == 1
    assert "got:      No space left on device" in capsys.readouterr().err
    contest.requests.clear()
    assert fetch.main(["data"], tmp_path) == 0
    assert gets(contest) == []


def test_the_beginning_of_another_version_is_not_continued(contest, tmp_path, pauses):
    contest.fail("GET", cut(4000), *[cut(0)] * 10)
    assert fetch.main(["data"], tmp_path) == 1
    assert (tmp_path / "data/real/public" / "birdclef-2026.archive.part").stat().st_size == 4000
    contest.faults["GET"].clear()
    files = contest.state.competitions["birdclef-2026"].files
    files["train_audio/x/a.ogg"] = files["train_audio/x/a.ogg"][::-1]  # as long as before
    assert fetch.main(["data"], tmp_path) == 0
    assert lies_in(tmp_path / "data/real/public" / "birdclef-2026") == files


def test_rules_that_were_not_accepted_say_what_to_click(contest, tmp_path, capsys):
    contest.state.competitions["birdclef-2026"].rules_accepted = False
    assert fetch.main(["data"], tmp_path) == 2
    printed = capsys.readouterr().err
    assert "https://www.kaggle.com/competitions/birdclef-2026/rules" in printed
    assert "I Understand and Accept" in printed
    assert "You must accept" in printed
    assert not (tmp_path / "data/real/public" / "birdclef-2026").exists()


def test_a_full_disk_is_noticed_before_the_first_byte(contest, tmp_path, monkeypatch, capsys):
    contest.fail("GET", refused(200, "x" * 1000))
    free = shutil.disk_usage(tmp_path)._replace(free=1500)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda folder: free)
    assert fetch.main(["data"], tmp_path) == 1
    assert "the disk is too full" in capsys.readouterr().err
    assert lies_in(tmp_path / "data/real/public") == {}


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/xml"])
def test_an_error_page_is_not_kept_as_a_file(contest, tmp_path, pauses, capsys, kind):
    contest.fail("GET", page(body="<Error><Code>ExpiredToken</Code></Error>", kind=kind))
    assert fetch.main(["data"], tmp_path) == 1
    assert "ExpiredToken" in capsys.readouterr().err
    assert lies_in(tmp_path / "data/real/public") == {}


def test_a_page_in_disguise_is_found_when_it_is_opened(contest, tmp_path, capsys):
    contest.fail("GET", page(body="<?xml version='1.0'?><Error/>", kind="application/zip"))
    assert fetch.main(["data"], tmp_path) == 1
    assert "<?xml version" in capsys.readouterr().err
    assert lies_in(tmp_path / "data/real/public") == {}
    assert fetch.main(["data"], tmp_path) == 0


def test_damage_in_the_archive_is_found_by_its_checksums(contest, tmp_path, capsys):
    contest.state.storage = Damaging()
    assert fetch.main(["data"], tmp_path) == 1
    assert "damaged or refused, and was removed" in capsys.readouterr().err
    assert not (tmp_path / "data/real/public" / "birdclef-2026").exists()
    assert not (tmp_path / "data/real/public" / "birdclef-2026.archive").exists()


class Damaging(dict):
    """A store that flips one bit in the middle of what it is given."""

    def __setitem__(self, name, data):
        middle = len(data) // 2
        super().__setitem__(name, data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/out.txt", "a\\..\\..\\out.txt", "C:/out.txt"])
def test_names_that_leave_the_folder_are_refused(contest, tmp_path, name, capsys):
    contest.state.competitions["birdclef-2026"].files[name] = b"x"
    assert fetch.main(["data"], tmp_path) == 1
    assert "leave the folder" in capsys.readouterr().err
    assert lies_in(tmp_path / "data/real/public") == {}
    assert not (tmp_path / "out.txt").exists()


def test_a_link_in_a_tar_is_refused(tmp_path):
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    with pytest.raises(BadInput, match="leave the folder or are links: link"):
        downloads.unpack(tmp_path / "x.tar.gz", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_unpacking_that_was_killed_begins_anew(tmp_path):
    (tmp_path / "x.unpacking").mkdir()
    (tmp_path / "x.unpacking" / "stale").write_text("half")
    with zipfile.ZipFile(tmp_path / "x.archive", "w") as archive:
        archive.writestr("a/b.txt", "b")
    assert downloads.unpack(tmp_path / "x.archive", tmp_path / "x") == 1
    assert lies_in(tmp_path) == {"x/a/b.txt": b"b"}


def test_files_that_lie_in_the_way_are_not_touched(contest, tmp_path, capsys):
    (tmp_path / "data/real/public" / "birdclef-2026").mkdir(parents=True)
    (tmp_path / "data/real/public" / "birdclef-2026" / "mine.txt").write_text("mine")
    assert fetch.main(["data"], tmp_path) == 2
    assert "in the way" in capsys.readouterr().err
    assert lies_in(tmp_path / "data/real/public") == {"birdclef-2026/mine.txt": b"mine"}


def test_another_competition_in_the_archive_is_an_error(contest, tmp_path, capsys):
    del contest.state.competitions["birdclef-2026"].files["taxonomy.csv"]
    assert fetch.main(["data"], tmp_path) == 1
    assert "no taxonomy.csv" in capsys.readouterr().err


def test_the_embedders_come_from_a_dataset_or_a_model(kaggle, tmp_path, capsys):
    kaggle.state.datasets[fetch.HANDLES["perch"]] = Dataset("Perch", versions=[{"perch_v2.onnx": b"p" * 99}])
    kaggle.state.models["google/bird-vocalization-classifier/tensorflow2/perch_v2_cpu/1"] = {"saved_model.pb": b"m"}
    assert fetch.main(["perch"], tmp_path) == 0
    assert lies_in(tmp_path / "data") == {"perch/perch_v2.onnx": b"p" * 99}
    model = "google/bird-vocalization-classifier/tensorFlow2/perch_v2_cpu/1"
    assert fetch.main(["perch", "--handle", model, "--to", str(tmp_path / "tf")], tmp_path) == 0
    assert lies_in(tmp_path / "tf") == {"saved_model.pb": b"m"}
    assert fetch.main(["perch"], tmp_path) == 0
    assert "holds files already" in capsys.readouterr().out


@pytest.mark.parametrize("handle", ["perch", "a/b/c/d", "a//c/d/1", "a/b/c/d/1/e"])
def test_a_handle_that_names_nothing_is_refused(kaggle, tmp_path, handle, capsys):
    assert fetch.main(["birdnet", "--handle", handle], tmp_path) == 2
    assert "names neither a dataset nor a model" in capsys.readouterr().err


def test_a_dataset_that_is_not_there_is_named(kaggle, tmp_path, capsys):
    assert fetch.main(["birdnet"], tmp_path) == 1
    printed = capsys.readouterr().err
    assert fetch.HANDLES["birdnet"] in printed
    assert "HTTP 404, Dataset not found" in printed


def test_trouble_that_passes_is_waited_out(contest, tmp_path, pauses):
    contest.fail("DownloadDataFiles", refused(429, "slow", headers={"Retry-After": "7"}), refused(503, "busy"), reset())
    contest.fail("GET", refused(429, "slow", headers={"Retry-After": "9"}), refused(500, "oops"))
    assert fetch.main(["data"], tmp_path) == 0
    assert {7.0, 9.0} <= set(pauses)


def test_a_server_that_hangs_is_given_up(contest, tmp_path, pauses, monkeypatch, capsys):
    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.1")
    contest.fail("DownloadDataFiles", *[hang(5)] * 9)
    assert fetch.main(["data"], tmp_path) == 1
    assert "no response within 0.1 s" in capsys.readouterr().err


def test_no_or_expired_credentials_say_so(contest, tmp_path, monkeypatch, capsys):
    contest.state.token_active = False
    assert fetch.main(["data"], tmp_path) == 2
    assert "does not accept" in capsys.readouterr().err
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert fetch.main(["data"], tmp_path) == 2
    assert "not logged in" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_outputs_of_a_version_go_where_the_other_commands_look(kaggle, tmp_path):
    for text in ("one", "two"):
        kaggle.state.next_runs.append(Run(["COMPLETE"], outputs={"submission.csv": text.encode()}))
        kaggle.state.SaveKernel({"slug": "alice/pantanal-06-submission", "text": text})
    assert fetch.main(["outputs", "infer", "--version", "1"], tmp_path) == 0
    assert fetch.main(["outputs", "infer"], tmp_path) == 0
    kept = tmp_path / "runs" / "kaggle" / "pantanal-06-submission"
    assert (kept / "v1" / "submission.csv").read_text() == "one"
    assert (kept / "v2" / "submission.csv").read_text() == "two"
