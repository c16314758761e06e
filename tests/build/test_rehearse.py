"""A rehearsal runs the built kernel alone and believes nothing: not exit codes, not notebooks, not the submission."""

import json
import os
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from build import inline, rehearse
from build.kaggle_io import wheels
from build.kernels.closure import closure_of
from build.project import ROOT
from build.sandbox import image, verdict
from build.sandbox.room import Isolation, Room, choose_isolation, make_room, start_process
from lib.core.errors import BadInput
from lib.core.pinned_wheels import PINNED_WHEELS
from lib.core.records import seal
from lib.core.wheels import sha256_of
from tests.support.kaggle.project import fork, join
from tests.support.toytree import SUBMISSION, allowed, kernel, project, toy_wheel, write

NOTEBOOK = """
# %%
import json
import os
from pathlib import Path

# %%
from lib.submit.rows import scores

root = Path(os.environ.get("PANTANAL_KAGGLE", "/kaggle"))
sample = (root / "input/competitions/birdclef-2026/sample_submission.csv").read_text()
weight = float((root / "input/notebooks/alice/pantanal-05-blend/weight.txt").read_text())
rerun = bool(os.environ.get("KAGGLE_IS_COMPETITION_RERUN"))
print("run type", os.environ["KAGGLE_KERNEL_RUN_TYPE"], rerun)

# %%
@FAULT@

# %%
receipt = {"mode": "rerun" if rerun else "public", "soundscapes": 2, "seconds_per_soundscape": 0.5}
receipt |= {"projected_minutes_600": 5.0, "alarms": ["one toy alarm"]}
Path("submission.csv").write_text(scores(sample, weight))
Path("receipt.json").write_text(json.dumps(receipt))
"""
ROWS = '''"""Scores for the rows of a sample."""


def scores(sample, weight):
    header, *rows = sample.split()
    return "\\n".join([header, *(f"{row.split(',')[0]},{weight / (1 + i)},0.5" for i, row in enumerate(rows))]) + "\\n"
'''
SAMPLE = {"public": "row_id,a,b\nT_5,0.5,0.5\n", "rerun": "row_id,a,b\nT_5,0.5,0.5\nT_10,0.5,0.5\nT_15,0.5,0.5\n"}


def toy(root: Path, fault: str = "") -> Path:
    """A project with a built toy submission kernel, its two competition folders and an earlier output."""
    write(root, kernel("pantanal-05-blend") | {"notebooks_src/05_blend.py": "# %%\nprint(1)\n"})
    sources = {"kernel_sources": ["OWNER/pantanal-05-blend"]}
    project(root, NOTEBOOK.replace("@FAULT@", fault or "pass"), {"submit/rows.py": ROWS}, **sources)
    write(root, {f"data/{mode}/birdclef-2026/sample_submission.csv": text for mode, text in SAMPLE.items()})
    write(root, {"runs/05_blend/weight.txt": "0.9", "truth.csv": "row_id,a,b\nT_10,0,0\nT_5,1,0\nT_15,0,0\n"})
    inline.build(root, "alice")
    return root


def options(root: Path, *more: str) -> list[str]:
    return ["--data", f"{root}/data", "--outputs", f"{root}/runs", "--solution", f"{root}/truth.csv", *more]


def test_both_modes_run_in_the_way_this_system_allows_and_leave_nothing_behind(tmp_path, capsys):
    root, before = toy(tmp_path), set(Path("/").iterdir())
    assert rehearse.main(options(root), root) == 0
    printed = capsys.readouterr().out
    assert "public, image here: 1 rows of 2 classes, valid" in printed
    assert "rerun, image here: 3 rows of 2 classes, valid" in printed
    assert "official score 1.0000 over 1 classes" in printed
    assert "600 would take 5.0 minutes" in printed
    assert "ALARM one toy alarm" in printed
    assert "run type Batch True" in printed
    assert {path.name for path in (root / "dist/rehearsal/here-rerun").iterdir()} == {
        "executed.ipynb",
        "log.txt",
        "receipt.json",
        "submission.csv",
    }
    assert set(Path("/").iterdir()) <= before


def test_what_a_killed_rehearsal_left_is_removed_and_nothing_else(tmp_path):
    ended, running = fork(lambda: 0), os.getpid()
    join(ended)
    left, other = (Path(tempfile.mkdtemp(prefix=f"rehearsal-{pid}-", dir="/tmp")) for pid in (ended, running))
    with make_room(Room(Path(sys.executable), {}, {})) as room:
        assert room.working.is_dir()
    assert not left.exists()
    assert other.is_dir()
    other.rmdir()


def test_the_open_way_runs_where_there_are_no_namespaces(tmp_path, capsys):
    root = toy(tmp_path)
    assert rehearse.main(options(root, "--open", "--mode", "rerun"), root) == 0
    printed = capsys.readouterr().out
    assert "open (requested): PANTANAL_KAGGLE stands in for /kaggle" in printed
    assert "official score" in printed


def sealed_kinds() -> list[str]:
    """The sealed ways that this system allows."""
    kinds = []
    for kind in ("root", "user namespace"):
        with make_room(Room(Path(sys.executable), {}, {})) as room:
            kinds += [kind] if choose_isolation(room, kinds=(kind,)).kind == kind else []
    return kinds


def said_in(room: Room, way: Isolation, code: str) -> str:
    """What a line of Python prints in a room."""
    log = room.base / "log.txt"
    with log.open("w") as file:
        start_process(room, way, ["-c", code], file).wait(60)
    return log.read_text().strip()


@pytest.mark.parametrize("kind", ["root", "user namespace"])
def test_a_sealed_room_hides_the_checkout_and_the_network_and_keeps_inputs_as_they_are(tmp_path, kind):
    if kind not in sealed_kinds():
        pytest.skip(f"this system does not allow sealing as {kind}")
    (tmp_path / "file.txt").write_text("kept")
    inputs = {"notebooks/me/x": tmp_path}
    with make_room(Room(Path(sys.executable), inputs, {"ONLY": "1"})) as room:
        way = Isolation(kind, "")
        code = (
            "import os, socket, pathlib, numpy\n"
            "def tried(f, *a):\n"
            "    try: return str(f(*a))\n"
            "    except OSError as e: return e.strerror\n"
            "there = pathlib.Path('/kaggle/input/notebooks/me/x/file.txt')\n"
            "lo = socket.create_server(('127.0.0.1', 0)); near = socket.create_connection(lo.getsockname())\n"
            f"root = {str(ROOT)!r}\n"
            "print(os.listdir(root) if os.path.isdir(root) else [], os.getcwd(), there.read_text(),\n"
            "  tried(there.write_text, 'x'), tried(socket.create_connection, ('192.0.2.1', 9)),\n"
            "  tried(pathlib.Path('/usr/x').touch), os.environ['ONLY'], os.environ.get('PYTHONPATH'), sep='|')\n"
            "pathlib.Path('made.txt').write_text('out')\n"
        )
        printed = said_in(room, way, code)
        assert printed == (
            "[]|/kaggle/working|kept|Read-only file system|Network is unreachable|Read-only file system|1|None"
        )
        assert (room.working / "made.txt").read_text() == "out"
    assert not room.base.exists()
    assert (tmp_path / "file.txt").read_text() == "kept"


def test_the_probe_stops_a_run_that_is_not_sealed(tmp_path):
    with make_room(Room(Path(sys.executable), {}, {})) as room:
        (room.working / "left.txt").write_text("")
        assert choose_isolation(room).kind == "open"
        with pytest.raises(BadInput, match=r"the working folder holds left\.txt"):
            said_in(room, Isolation("open", ""), "print(1)")
    lib = write(tmp_path, {"lib/__init__.py": ""})
    with make_room(Room(Path(sys.executable), {}, {})) as room:
        (room.working / "lib").symlink_to(lib / "lib")
        with pytest.raises(BadInput, match="lib can be imported"):
            said_in(room, Isolation("open", ""), "print(1)")


@pytest.mark.parametrize(
    "code", ["socket.create_connection(('192.0.2.1', 9))", "socket.getaddrinfo('example.org', 80)"]
)
def test_the_open_room_refuses_connections_out_and_allows_loopback(code):
    near = "lo = socket.create_server(('127.0.0.1', 0)); socket.create_connection(lo.getsockname()); print('near')\n"
    with make_room(Room(Path(sys.executable), {}, {})) as room:
        printed = said_in(room, Isolation("open", ""), f"import socket\n{near}{code}")
    assert printed.startswith("near")
    assert "Network is unreachable (rehearsal)" in printed


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("os.kill(os.getpid(), 9)", "the kernel failed"),
        ("import sys\nsys.exit(0)", "the kernel ended before its last cell"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_kernel_that_does_not_end_well_fails_and_leaves_no_submission(tmp_path, capsys, fault, expected):
    root = toy(tmp_path, 'Path("submission.csv").write_text(sample)\n' + fault)
    write(root, {"dist/rehearsal/here-rerun/submission.csv": "of an earlier run"})
    assert rehearse.main(options(root, "--mode", "rerun"), root) == 1
    message = capsys.readouterr().err
    assert "REHEARSAL FAILED, mode rerun, image here" in message
    assert expected in message
    assert {p.name for p in (root / "dist/rehearsal/here-rerun").iterdir()} == {"executed.ipynb", "log.txt"}


def test_a_run_over_the_limit_is_ended_with_all_it_started(tmp_path, capsys):
    root = toy(tmp_path, "import subprocess, time\nsubprocess.Popen(['sleep', '987.25'])\ntime.sleep(60)")
    assert rehearse.main(options(root, "--mode", "rerun", "--limit", "5"), root) == 1
    assert "ran over the time limit" in capsys.readouterr().err
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "987.25"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("row_id,a,b\nT_5,0.1,0.2\nT_10,0.1,0.2\n", "1 missing, first T_15"),
        ("row_id,a,b\nT_5,0.1,0.2\nT_10,0.1,0.2\nT_15,0,1\nT_20,0,1\n", "1 more, first T_20"),
        ("row_id,a,b\nT_5,0.1,0.2\nT_10,0.1,0.2\nT_15,0,1\nT_15,0,1\n", "a row is repeated"),
        ("row_id,a,b\nT_5,,0.2\nT_10,0.1,inf\nT_15,0,1\n", "nan at row T_5, column a"),
        ("row_id,a,b\nT_5,1.5,0.2\nT_10,0.1,-0.1\nT_15,0,1\n", "1.5 at row T_5, column a"),
        ("row_id,a,b\nT_5,x,0.2\nT_10,0.1,0\nT_15,0,1\n", "not numeric"),
        ("row_id,b,a\nT_5,0.1,0.2\n", "'b' instead of 'a'"),
        ("row_id,a\nT_5,0.1\n", "1 missing, first 'b'"),
        (None, "no submission"),
    ],
)
def test_each_fault_of_a_submission_is_named(tmp_path, text, expected):
    write(tmp_path, {"sample_submission.csv": SAMPLE["rerun"]} | ({"submission.csv": text} if text else {}))
    with pytest.raises(BadInput) as caught:
        verdict.load_submission(tmp_path / "submission.csv", tmp_path)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mode": "public"}, "mode='public'"),
        ({"alarms": None}, "alarms=None"),
        ({"projected_minutes_600": 90.5}, "90.5 minutes"),
        ({"projected_minutes_600": float("nan")}, "NaN is no JSON number"),
    ],
)
def test_a_receipt_of_another_mode_or_over_the_clock_is_refused(tmp_path, changes, expected):
    good = {"mode": "rerun", "soundscapes": 2, "seconds_per_soundscape": 1.0, "projected_minutes_600": 10, "alarms": []}
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(good))
    assert verdict.load_receipt(path, "rerun", 90) == good
    path.write_text(json.dumps(good | changes))
    with pytest.raises(BadInput, match=expected):
        verdict.load_receipt(path, "rerun", 90)
    path.write_text("[]")
    with pytest.raises(BadInput, match="a file with a JSON object"):
        verdict.load_receipt(path, "rerun", 90)


def test_an_old_build_and_missing_inputs_are_refused(tmp_path):
    root = toy(tmp_path)
    elsewhere = rehearse.parse_arguments(options(root, "--outputs", f"{tmp_path}/nowhere"))
    described = rehearse.load_built_kernel(root, SUBMISSION)[1]
    with pytest.raises(BadInput, match=r"no .*nowhere/05_blend"):
        rehearse.input_folders(root, described, elsewhere, "rerun")
    write(root, {"lib/submit/rows.py": ROWS + "\n\nmore = 1\n"})
    with pytest.raises(BadInput, match="built from other sources"):
        rehearse.load_built_kernel(root, SUBMISSION)
    write(tmp_path / "empty", kernel(SUBMISSION) | allowed())
    with pytest.raises(BadInput, match="is not built"):
        rehearse.load_built_kernel(tmp_path / "empty", SUBMISSION)


def test_datasets_are_mounted_by_the_metadata_wheels_only_where_they_lie_and_weights_by_their_seals(tmp_path, capsys):
    root = toy(tmp_path)
    for kind, place in (("prepared", "01/prepared"), ("member", "02/members/a"), ("recipes", "05/recipes")):
        write(root, {f"runs/{place}/x.txt": kind})
        seal(root / "runs" / place, kind)
    given = rehearse.parse_arguments(options(root))
    described = {"dataset_sources": ["me/pantanal-wheels", "me/pantanal-weights"]}
    weights = {
        "datasets/me/pantanal-weights/prepared": root / "runs/01/prepared",
        "datasets/me/pantanal-weights/a": root / "runs/02/members/a",
        "datasets/me/pantanal-weights/recipes": root / "runs/05/recipes",
    }
    assert rehearse.input_folders(root, described, given, "rerun") == weights
    assert "left out: me/pantanal-wheels" in capsys.readouterr().out
    toy_wheel(root / "dist/wheels", "1.0")
    both = rehearse.input_folders(root, described, given, "rerun")
    assert both == weights | {"datasets/me/pantanal-wheels": root / "dist/wheels"}
    with pytest.raises(BadInput, match="no folder stands for the dataset me/other"):
        rehearse.input_folders(root, {"dataset_sources": ["me/other"]}, given, "rerun")


def test_kaggle_s_image_gets_its_wheels_collected(tmp_path, monkeypatch):
    root = toy(tmp_path)
    monkeypatch.setattr(wheels, "collect", lambda where: where / "collected")
    (root / "collected").mkdir()
    given = rehearse.parse_arguments(options(root, "--image", "kaggle"))
    found = rehearse.input_folders(root, {"dataset_sources": ["me/pantanal-wheels"]}, given, "rerun")
    assert found == {"datasets/me/pantanal-wheels": root / "collected"}


def needing(root: Path, package: str, pins: dict[str, str]) -> Path:
    """The toy project whose kernel installs a package from the wheel dataset before it works."""
    notebook = NOTEBOOK.replace("# %%", f"# %%\nfrom lib.core.wheels import ensure\nprint(ensure({package!r}))\n", 1)
    needed = ["lib/core/wheels.py", *closure_of(ROOT, "lib/core/wheels.py").files]
    lib = {label.removeprefix("lib/"): (ROOT / label).read_text() for label in needed}
    lib["core/pinned_wheels.py"] = f"PINNED_WHEELS = {pins}\n"
    toy(root)
    sources = {"kernel_sources": ["OWNER/pantanal-05-blend"], "dataset_sources": ["OWNER/pantanal-wheels"]}
    project(root, notebook.replace("@FAULT@", f"import {package}"), lib | {"submit/rows.py": ROWS}, **sources)
    inline.build(root, "alice")
    return root


def test_the_pinned_wheel_is_installed_inside_the_sealed_room_whatever_wheels_lie_beside_it(tmp_path, capsys):
    wheel = toy_wheel(tmp_path / "dist/wheels", "1.0")
    root = needing(tmp_path, "toypack", {wheel.name: sha256_of(wheel)})
    for version in ("1.0", "9.0"):  # in an earlier notebook's output; importing one kills the kernel
        toy_wheel(root / "runs/05_blend", version, body="import os\nos.kill(os.getpid(), 9)\n")
    assert rehearse.main(options(root, "--mode", "rerun"), root) == 0
    printed = capsys.readouterr().out
    assert "toypack 1.0 installed from /kaggle/input/datasets/alice/pantanal-wheels" in printed or "open (" in printed


def test_a_variant_and_one_that_reads_the_dataset_are_rehearsed_as_they_were_built(tmp_path, capsys):
    root = toy(tmp_path)
    text = (root / "notebooks_src/06_submission.py").read_text()
    tagged = text.replace("# %%\nimport json", '# %% tags=["parameters"]\ntimes: int = 1\n\n# %%\nimport json', 1)
    write(
        root,
        {"notebooks_src/06_submission.py": tagged.replace("scores(sample, weight)", "scores(sample, weight * times)")},
    )
    (variant,) = inline.build(root, "alice", [SUBMISSION], "times=0", source="dataset")
    _, described = rehearse.load_built_kernel(root, variant.name)
    assert described["dataset_sources"] == ["alice/pantanal-weights"]
    (variant,) = inline.build(root, "alice", [SUBMISSION], "times=0")
    assert rehearse.main(options(root, "--mode", "rerun", "--kernel", variant.name), root) == 0
    assert "official score 0.5000" in capsys.readouterr().out  # all scores are nought


def test_python_for_the_image_passes_over_one_that_does_not_run_and_lists_where_it_looked(tmp_path, monkeypatch):
    shim = tmp_path / "bin" / "python3.12"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\necho 'version not installed' >&2\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.delenv("PYTHON312", raising=False)
    with pytest.raises(BadInput, match=r"python3\.12 does not run.*uv python find 3\.12: none"):
        image.find_python()
    good = tmp_path / "versions" / "3.12.9" / "bin" / "python"
    good.parent.mkdir(parents=True)
    good.write_text("#!/bin/sh\necho 3.12.9\n")
    good.chmod(0o755)
    assert image.find_python() == good
    monkeypatch.setenv("PYTHON312", str(shim))
    assert image.find_python() == good


@pytest.mark.slow
def test_the_image_s_versions_install_and_run_a_kernel_that_brings_onnxruntime_along(tmp_path, capsys):
    root = needing(tmp_path, "onnxruntime", PINNED_WHEELS)
    write(root, {image.REQUIREMENTS: (ROOT / image.REQUIREMENTS).read_text()})
    assert rehearse.main(options(root, "--image", "kaggle", "--mode", "rerun"), root) == 0
    printed = capsys.readouterr().out
    assert "image kaggle: 3 rows" in printed
    assert "onnxruntime 1.24.4 installed from" in printed
    assert os.path.exists(tmp_path / ".venv-image")
