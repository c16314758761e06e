"""Weights and wheels as private datasets: the real client against a Kaggle on loopback."""

import os
import re
import shutil
import signal
import zipfile

import pytest

from build import ship
from build.kaggle_io import client, datasets
from build.kaggle_io.failures import TIMEOUT_VARIABLE
from build.kaggle_io.lock import kaggle_lock
from lib.blend.recipe_file import save_recipe
from lib.core.errors import BadInput
from lib.core.paths import KAGGLE_VARIABLE, find_artifact, find_artifacts
from lib.core.records import check_seal, seal, write_json
from tests.support.kaggle.loopback_faults import changed, cut, hang, instead, late, page, refused, reset
from tests.support.kaggle.project import killed_at


@pytest.fixture(scope="module")
def made(members, prepared_folder, recipe, tmp_path_factory):
    """The outputs of 01, 02 and 05 as a home machine has them."""
    runs = tmp_path_factory.mktemp("home")
    shutil.copytree(prepared_folder, runs / "01_data_prep" / "prepared")
    shutil.copytree(members, runs / "02_fold_training" / "members")
    for name in ("safe", "bold"):
        save_recipe(runs / "05_blend" / "recipes", type(recipe)(**{**vars(recipe), "name": name}))
    seal(runs / "05_blend" / "recipes", "recipes")
    return runs


@pytest.fixture
def runs(made, tmp_path):
    """A copy that a test may spoil, where the command line expects it."""
    return shutil.copytree(made, tmp_path / "runs" / "mini")


@pytest.fixture
def wheels(tmp_path):
    """Two small files and a zip as a folder of the name pantanal-wheels."""
    folder = tmp_path / "dist" / "wheels"
    folder.mkdir(parents=True)
    (folder / "a.whl").write_bytes(b"a" * 5000)
    (folder / "b.whl").write_bytes(b"b" * 300)
    with zipfile.ZipFile(folder / "c.zip", "w") as archive:
        archive.writestr("c/one.json", "{}")
        archive.writestr("c/two.json", "{ }")
    write_json(folder / ship.METADATA, ship.metadata.dataset_metadata("pantanal-wheels"))
    return folder


@pytest.fixture
def pauses(monkeypatch):
    """The pauses requested, none of them taken."""
    taken = []
    monkeypatch.setattr(client, "sleep", taken.append)
    return taken


def send(root, what="wheels", *more):
    """Ship by the command line, in a project folder of the test's own."""
    return ship.main([what, *more], root)


def held(kaggle, name="alice/pantanal-wheels"):
    """The files of the newest version."""
    return kaggle.state.datasets[name].versions[-1]


def puts(kaggle):
    """How many bytes each PUT brought, and from where on."""
    return [(int(put.headers["Content-Length"]), put.headers.get("Content-Range")) for put in of(kaggle, "PUT")]


def of(kaggle, rpc):
    return [request for request in kaggle.requests if request.rpc == rpc]


def test_the_first_shipment_makes_a_private_dataset_and_the_next_a_version_of_it(kaggle, wheels, tmp_path, capsys):
    assert send(tmp_path) == 0
    dataset = kaggle.state.datasets["alice/pantanal-wheels"]
    assert dataset.private
    whole = {"a.whl": b"a" * 5000, "b.whl": b"b" * 300, "c/c/one.json": b"{}", "c/c/two.json": b"{ }"}
    assert held(kaggle) == whole
    assert "version 1, 4 files, each listed with its size" in capsys.readouterr().out
    (wheels / "b.whl").write_bytes(b"B" * 301)
    assert send(tmp_path) == 0
    assert len(dataset.versions) == 2
    assert held(kaggle) == whole | {"b.whl": b"B" * 301}
    assert kaggle.calls_to("CreateDatasetVersion")[0]["body"]["versionNotes"].startswith("pantanal ")


def test_dry_prints_what_would_be_sent_and_calls_nothing(kaggle, wheels, tmp_path, capsys):
    assert send(tmp_path, "wheels", "--dry") == 0
    printed = capsys.readouterr().out
    assert re.search(r"5,000 bytes  \w{16}  a.whl", printed)
    assert "private" in printed
    assert "nothing was sent" in printed
    assert kaggle.requests == []


def test_a_reset_connection_is_resumed_in_the_same_run(kaggle, wheels, tmp_path, pauses):
    kaggle.fail("PUT", cut(2000))
    assert send(tmp_path) == 0
    assert held(kaggle)["a.whl"] == b"a" * 5000


def test_a_second_run_sends_only_what_is_missing(kaggle, wheels, tmp_path, pauses, capsys):
    kaggle.fail("PUT", *[refused(503, "busy")] * 20)
    assert send(tmp_path) == 1
    assert "6 interruptions" in capsys.readouterr().err
    assert kaggle.state.datasets == {}
    kaggle.faults["PUT"].clear()
    kaggle.state.uploads["blob-1"]["data"] = b"a" * 2000
    kaggle.requests.clear()
    assert send(tmp_path) == 0
    assert puts(kaggle)[:2] == [(0, "bytes */5000"), (3000, "bytes 2000-4999/5000")]
    assert held(kaggle)["a.whl"] == b"a" * 5000
    assert [call["name"] for call in kaggle.calls_to("StartBlobUpload")] == ["b.whl", "c.zip"]


def test_a_run_killed_in_the_middle_goes_on_where_it_was(kaggle, wheels, tmp_path):
    kaggle.fail("PUT", refused(200, ""))  # a.whl arrives by word only
    assert killed_at(kaggle, "PUT", "done", lambda: send(tmp_path)) == -signal.SIGKILL  # with b.whl on its way
    assert kaggle.state.datasets == {}
    kaggle.state.uploads["blob-1"]["data"] = b"a" * 5000
    kaggle.requests.clear()
    assert send(tmp_path) == 0
    assert [call["name"] for call in kaggle.calls_to("StartBlobUpload")] == ["c.zip"]
    assert puts(kaggle)[0] == (0, "bytes */5000")
    assert held(kaggle)["b.whl"] == b"b" * 300


def test_a_changed_file_is_not_mistaken_for_the_one_half_sent(kaggle, wheels, tmp_path, pauses):
    kaggle.fail("PUT", *[refused(503, "busy")] * 20)
    assert send(tmp_path) == 1
    kaggle.faults["PUT"].clear()
    (wheels / "a.whl").write_bytes(b"A" * 5000)
    os.utime(wheels / "a.whl", (1, 1))
    assert send(tmp_path) == 0
    assert held(kaggle)["a.whl"] == b"A" * 5000


def test_an_upload_address_is_not_shown_when_the_connection_fails(
    kaggle, wheels, tmp_path, pauses, monkeypatch, capsys
):
    start = kaggle.state.StartBlobUpload
    dead = "http://127.0.0.1:9/upload/x?upload_id=ABPsecret"
    monkeypatch.setattr(kaggle.state, "StartBlobUpload", lambda request: start(request) | {"createUrl": dead})
    monkeypatch.setattr("build.kaggle_io.datasets._ATTEMPTS", 1)
    monkeypatch.setattr("requests.Session.put", lambda self, url, **more: (_ for _ in ()).throw(OSError(f"no {url}")))
    assert send(tmp_path) == 1
    printed = "".join(capsys.readouterr())
    assert "no http://127.0.0.1:9/upload/x?…" in printed
    assert "ABPsecret" not in printed


def test_a_refused_file_publishes_nothing(kaggle, wheels, tmp_path, pauses, capsys):
    kaggle.fail("PUT", *[refused(403, "the quota is used up")] * 2)
    assert send(tmp_path) == 1
    printed = capsys.readouterr().err
    assert "a.whl was not uploaded, and nothing was published" in printed
    assert "HTTP 403, the quota is used up" in printed
    assert kaggle.state.datasets == {}
    assert kaggle.calls_to("CreateDataset") == []


def test_an_expired_upload_is_begun_anew(kaggle, wheels, tmp_path, pauses):
    kaggle.fail("PUT", *[refused(503, "busy")] * 20)
    assert send(tmp_path) == 1
    kaggle.faults["PUT"].clear()
    del kaggle.state.uploads["blob-1"]
    assert send(tmp_path) == 0
    assert held(kaggle)["a.whl"] == b"a" * 5000


def test_a_refusal_in_a_successful_answer_is_an_error(kaggle, wheels, tmp_path, capsys):
    kaggle.fail("CreateDataset", instead(status="error", error="The title is already in use"))
    assert send(tmp_path) == 1
    assert "The title is already in use" in capsys.readouterr().err


@pytest.mark.parametrize("fault", [reset(done=True), hang(3, done=True), refused(429, "slow", done=True), late(2)])
def test_a_lost_answer_is_looked_for_and_not_repeated(kaggle, wheels, tmp_path, pauses, monkeypatch, fault, capsys):
    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.3")
    assert send(tmp_path) == 0
    (wheels / "b.whl").write_bytes(b"B" * 301)
    kaggle.fail("CreateDatasetVersion", fault)
    assert send(tmp_path) == 0
    assert len(kaggle.calls_to("CreateDatasetVersion")) == 1
    assert len(kaggle.state.datasets["alice/pantanal-wheels"].versions) == 2
    assert "the new version is there" in capsys.readouterr().out


def test_a_lost_order_is_not_known_and_the_next_run_sends_no_file_twice(kaggle, wheels, tmp_path, pauses, capsys):
    kaggle.fail("CreateDataset", reset())
    assert send(tmp_path) == 3
    assert "could not publish" in capsys.readouterr().err
    kaggle.requests.clear()
    assert send(tmp_path) == 0
    assert {size for size, _ in puts(kaggle)} == {0}  # questions how much is there, and no bytes
    assert len(held(kaggle)) == 4


@pytest.mark.parametrize("version", [1, 2])
def test_the_same_files_are_not_sent_again(kaggle, wheels, tmp_path, pauses, version, capsys):
    for number in range(version):
        (wheels / "b.whl").write_bytes(b"b" * (number + 1))
        assert send(tmp_path) == 0
    kaggle.requests.clear()
    assert send(tmp_path) == 0
    assert "nothing is sent" in capsys.readouterr().out
    assert of(kaggle, "PUT") == kaggle.calls_to("StartBlobUpload") == []
    assert len(kaggle.state.datasets["alice/pantanal-wheels"].versions) == version


@pytest.mark.parametrize("rpc", ["CreateDatasetVersion", "GetDatasetStatus", "ListDatasetFiles"])
def test_a_run_killed_when_all_was_sent_sends_nothing_more(kaggle, wheels, tmp_path, rpc):
    assert send(tmp_path) == 0
    (wheels / "b.whl").write_bytes(b"B")
    assert killed_at(kaggle, rpc, "done", lambda: send(tmp_path)) == -signal.SIGKILL
    assert send(tmp_path) == 0
    assert len(kaggle.calls_to("CreateDatasetVersion")) == 1


@pytest.mark.parametrize("trouble", [refused(404, "Dataset not found"), refused(503, "busy"), reset()])
def test_trouble_while_waiting_is_borne_and_then_not_known(kaggle, wheels, tmp_path, faketime, trouble, capsys):
    kaggle.fail("GetDatasetStatus", trouble, trouble)
    assert send(tmp_path) == 0
    (wheels / "b.whl").write_bytes(b"B")
    kaggle.fail("GetDatasetStatus", *[trouble] * 99)
    assert send(tmp_path, "wheels", "--limit-s", "60") == 3
    assert "was not ready in time" in capsys.readouterr().err
    kaggle.faults.clear()
    kaggle.requests.clear()
    assert send(tmp_path) == 0
    assert of(kaggle, "PUT") == []


def test_a_version_that_failed_is_sent_again(kaggle, wheels, tmp_path):
    assert send(tmp_path) == 0
    kaggle.state.datasets["alice/pantanal-wheels"].statuses = ["FAILED", "READY"]
    assert send(tmp_path) == 0
    assert len(kaggle.state.datasets["alice/pantanal-wheels"].versions) == 2


def test_a_second_shipment_at_once_is_refused(kaggle, wheels, tmp_path, capsys):
    with kaggle_lock(tmp_path):
        assert send(tmp_path) == 2
    assert f"process {os.getpid()}" in capsys.readouterr().err
    assert kaggle.requests == []


def test_a_version_that_lacks_a_file_is_found_in_the_listing(kaggle, wheels, tmp_path, monkeypatch, capsys):
    keep = kaggle.state._uploaded
    monkeypatch.setattr(kaggle.state, "_uploaded", lambda files: keep(files[1:]))
    assert send(tmp_path) == 1
    assert "not listed: a.whl of 5,000 bytes" in capsys.readouterr().err


def test_a_file_of_another_size_is_found_in_the_listing(kaggle, wheels, tmp_path, monkeypatch, capsys):
    keep = kaggle.state._uploaded
    monkeypatch.setattr(kaggle.state, "_uploaded", lambda files: keep(files) | {"b.whl": b"b"})
    assert send(tmp_path) == 1
    assert "not listed: b.whl of 300 bytes" in capsys.readouterr().err


def test_a_listing_of_several_pages_is_read_whole(kaggle, wheels, tmp_path, monkeypatch):
    monkeypatch.setattr("build.kaggle_io.datasets._PAGE", 1)
    assert send(tmp_path) == 0
    assert len(kaggle.calls_to("ListDatasetFiles")) == 4


def test_processing_is_waited_for_and_its_failure_or_delay_told_apart(kaggle, wheels, tmp_path, pauses, capsys):
    assert send(tmp_path) == 0
    dataset = kaggle.state.datasets["alice/pantanal-wheels"]
    for number, (statuses, code, more) in enumerate(
        [
            (["BLOBS_RECEIVED", "BLOBS_DECOMPRESSED", "READY"], 0, []),
            (["BLOBS_RECEIVED", "FAILED"], 1, []),
            (["BLOBS_RECEIVED"], 3, ["--limit-s", "0"]),
        ]
    ):
        (wheels / "b.whl").write_bytes(b"B" * (number + 1))
        dataset.statuses = statuses
        assert send(tmp_path, "wheels", *more) == code
    assert len(pauses) == 3
    printed = capsys.readouterr().err
    assert "FAILED" in printed
    assert "was not ready in time" in printed


def test_ready_is_believed_only_of_the_new_version(kaggle, wheels, tmp_path, pauses):
    assert send(tmp_path) == 0
    (wheels / "b.whl").write_bytes(b"B")
    old = changed(currentVersionNumber=1)
    kaggle.fail("GetDataset", old, old, old)  # before sending, and twice after it
    assert send(tmp_path) == 0
    assert len(pauses) == 2


def test_too_many_requests_and_server_errors_are_waited_out(kaggle, wheels, tmp_path, pauses):
    kaggle.fail("StartBlobUpload", refused(429, "slow", headers={"Retry-After": "7"}), refused(500, "oops"), page(502))
    kaggle.fail("CreateDataset", refused(429, "slow", headers={"Retry-After": "9"}))
    assert send(tmp_path) == 0
    assert 7.0 in pauses
    assert 9.0 in pauses
    assert len(kaggle.state.datasets) == 1


def test_no_or_expired_credentials_send_nothing(kaggle, wheels, tmp_path, monkeypatch, capsys):
    kaggle.state.token_active = False
    assert send(tmp_path) == 2
    assert "does not accept" in capsys.readouterr().err
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert send(tmp_path) == 2
    assert "not logged in" in capsys.readouterr().err
    assert kaggle.calls_to("StartBlobUpload") == []


def test_folders_and_names_that_kaggle_drops_are_refused_before_anything_is_sent(kaggle, wheels, tmp_path, capsys):
    (wheels / "sub").mkdir()
    (wheels / "x@y.bin").write_bytes(b"")
    assert send(tmp_path) == 2
    assert "sub, x@y.bin" in capsys.readouterr().err
    assert kaggle.requests == []


def test_what_kaggle_unpacks_is_found_sealed_by_a_kernel(kaggle, runs, tmp_path, monkeypatch):
    assert send(tmp_path, "weights") == 0
    mount = tmp_path / "kaggle" / "input" / "datasets" / "alice" / "pantanal-weights"
    for name, data in held(kaggle, "alice/pantanal-weights").items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_bytes(data)
    monkeypatch.setenv(KAGGLE_VARIABLE, str(tmp_path / "kaggle"))
    found = {folder.name: check_seal(folder) for folder in find_artifacts("member")}
    assert found == {folder.name: check_seal(folder) for folder in find_artifacts("member", str(runs))}
    assert check_seal(find_artifact("recipes")) == check_seal(runs / "05_blend" / "recipes")
    assert check_seal(find_artifact("prepared")) == check_seal(runs / "01_data_prep" / "prepared")


def test_archives_are_the_same_bytes_and_keep_their_time_stamp(runs, tmp_path):
    first = datasets.pack_weights(runs, tmp_path / "one")
    stamps = [path.stat().st_mtime_ns for path in first]
    for path in runs.rglob("*"):
        os.utime(path, (5, 5))
    assert [path.stat().st_mtime_ns for path in datasets.pack_weights(runs, tmp_path / "one")] == stamps
    for one, other in zip(first, datasets.pack_weights(runs, tmp_path / "other"), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_archives_of_members_no_longer_there_do_not_travel(runs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old_member.zip").write_bytes(b"")
    datasets.pack_weights(runs, tmp_path / "out")
    assert not (tmp_path / "out" / "old_member.zip").exists()


def test_damaged_twin_and_mismatched_members_are_not_shipped(runs, tmp_path):
    member = runs / "02_fold_training" / "members" / "l0_prior"
    (member / "training.json").write_text("{ }")
    with pytest.raises(BadInput, match="changed or damaged"):
        datasets.pack_weights(runs, tmp_path / "out")
    seal(member, "member")
    with pytest.raises(BadInput, match="recipe safe was made with other members"):
        datasets.pack_weights(runs, tmp_path / "out")
    shutil.copytree(runs / "02_fold_training" / "members" / "l1_statistics", runs / "04" / "l0_prior")
    with pytest.raises(BadInput, match="two different folders are called l0_prior"):
        datasets.pack_weights(runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()
