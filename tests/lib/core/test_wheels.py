"""What the image lacks is installed from an attached wheel that fits and is the one pinned, or nothing runs."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy
import pytest

from build.kaggle_io import wheels
from build.kernels import metadata
from build.kernels.closure import closure_of
from build.notebooks.source import read_notebook
from build.project import ROOT
from build.sandbox.image import REQUIREMENTS
from lib.core.errors import BadInput
from lib.core.paths import KAGGLE_VARIABLE
from lib.core.pinned_wheels import PINNED_WHEELS
from lib.core.wheels import Interpreter, ensure, parse_wheel_name, sha256_of
from tests.support.toytree import toy_wheel

KAGGLE = Interpreter((3, 12), "x86_64", (2, 35))
PIN = "import lib.core.wheels as w; w.PINNED_WHEELS = {pins}; "
ENSURE = "import sys; from lib.core.wheels import ensure; print(ensure(*sys.argv[1:])); import toypack"
CHILD = "; import subprocess; print(subprocess.check_output([sys.executable, '-c', 'import toypack as t; print(t.x)']))"


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """An empty /kaggle/input."""
    folder = tmp_path / "kaggle" / "input"
    folder.mkdir(parents=True)
    monkeypatch.setenv(KAGGLE_VARIABLE, str(folder.parent))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return folder


def run_ensure(*arguments: str, before: str = "", path: Path | None = None, pins: dict | None = None):
    """A new Python that ensures toypack, imports it, and lets a child import it too; `path` lies after ours.

    Without `pins` all wheels that are attached are pinned.
    """
    there = os.pathsep.join(map(str, [ROOT, *([path] if path else [])]))
    attached = Path(os.environ[KAGGLE_VARIABLE], "input").rglob("*.whl")
    pin = PIN.format(pins={file.name: sha256_of(file) for file in attached} if pins is None else pins)
    command = [sys.executable, "-c", before + pin + ENSURE + CHILD, "toypack", *arguments]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": there}, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("mount", ["datasets/me/pantanal-wheels", "pantanal-wheels", "datasets/me/mine/in-a-folder"])
def test_a_wheel_is_installed_from_every_mount_and_children_import_it_too(inputs, mount):
    toy_wheel(inputs / mount, "1.0")
    done = run_ensure()
    assert done.stdout.splitlines() == [f"toypack 1.0 installed from {inputs / mount}", r"b'toy 1.0\n'"], done.stderr


def test_the_newest_wheel_that_fits_is_taken_and_a_release_before_its_candidates(inputs):
    for version in ("1.9", "1.10rc1", "1.10"):
        toy_wheel(inputs / "datasets/me/a", version)
    toy_wheel(inputs / "datasets/me/b", "2.0", tag="cp27-cp27m-win32")
    toy_wheel(inputs / "datasets/me/b", "3.0", name="otherpack")
    (inputs / "datasets/me/b/toypack.whl").write_text("not named like a wheel")
    assert "toypack 1.10 installed from" in run_ensure().stdout


def test_an_older_copy_gives_way_unless_it_was_imported_already(inputs, tmp_path):
    with zipfile.ZipFile(toy_wheel(tmp_path / "old", "1.0")) as old:
        old.extractall(tmp_path / "site")
    toy_wheel(inputs / "pantanal-wheels", "2.0")
    assert run_ensure(path=tmp_path / "site").stdout.startswith("toypack 1.0 is installed\n")
    assert r"b'toy 2.0\n'" in run_ensure("1.5", path=tmp_path / "site").stdout
    refused = run_ensure("1.5", path=tmp_path / "site", before="import toypack; ")
    assert "another toypack was imported before the wheel was installed" in refused.stderr


def test_what_is_installed_already_is_not_searched_for(tmp_path, monkeypatch):
    monkeypatch.setenv(KAGGLE_VARIABLE, str(tmp_path / "nowhere"))
    assert ensure("numpy", minimum="1.0") == f"numpy {numpy.__version__} is installed"


def test_without_a_wheel_that_fits_the_error_names_wheels_tag_folders_and_remedy(inputs):
    toy_wheel(inputs / "datasets/me/a", "2.0", tag="cp27-cp27m-win32")
    toy_wheel(inputs / "datasets/me/a", "1.0")
    toy_wheel(inputs / "datasets/me/a", "9.0", name="otherpack")
    (inputs / "birdclef-2026" / "train_audio" / "x").mkdir(parents=True)
    with pytest.raises(BadInput) as caught:
        ensure("toypack", minimum="1.5")
    text = str(caught.value)
    assert "toypack 1.5 or newer is neither installed (none is)" in text
    assert f"{inputs}/datasets/me/a/toypack-2.0-cp27-cp27m-win32.whl (does not fit)" in text
    assert f"{inputs}/datasets/me/a/toypack-1.0-py3-none-any.whl (too old)" in text
    assert "otherpack-9.0-py3-none-any.whl (another package)" in text
    assert f"cp{sys.version_info.major}{sys.version_info.minor}-cp" in text
    assert str(inputs / "birdclef-2026") in text
    assert "train_audio" not in text
    assert "make push-wheels" in text


def test_with_nothing_attached_the_error_reports_it(tmp_path, monkeypatch):
    monkeypatch.setenv(KAGGLE_VARIABLE, str(tmp_path))
    with pytest.raises(BadInput, match=rf"wheels: none; searched {tmp_path}/input and its folders \(there are none\)"):
        ensure("toypack")


def test_nothing_but_the_pinned_bytes_is_installed_whatever_else_is_attached(inputs, tmp_path, monkeypatch):
    """A foreign input may hold a newer wheel, the pinned name over other bytes, or a list of its own."""
    marker, foreign = tmp_path / "executed", inputs / "datasets/me/a-foreign"
    hostile = f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n"
    newer, same = (toy_wheel(foreign, version, body=hostile) for version in ("9.0", "1.0"))
    (foreign / "wheels.json").write_text(json.dumps({file.name: sha256_of(file) for file in (newer, same)}))
    ours = toy_wheel(tmp_path / "ours", "1.0")
    pins, before = {ours.name: sha256_of(ours)}, list(sys.path)
    monkeypatch.setattr("lib.core.wheels.PINNED_WHEELS", pins)
    with pytest.raises(BadInput) as caught:
        ensure("toypack")
    assert f"{newer} (not pinned)" in str(caught.value)
    assert f"{same} (not the pinned bytes)" in str(caught.value)
    assert sys.path == before
    shutil.move(ours.parent, inputs / "datasets/me/ours")
    assert run_ensure(pins=pins).stdout.startswith(f"toypack 1.0 installed from {inputs}/datasets/me/ours")
    assert not marker.exists()


def test_a_wheel_that_pip_or_python_rejects_is_an_error_with_the_reason(inputs):
    toy_wheel(inputs / "pantanal-wheels", "1.0", body="import something_missing\n")
    assert "No module named 'something_missing'" in run_ensure().stderr
    (inputs / "pantanal-wheels" / "toypack-1.0-py3-none-any.whl").write_text("no archive")
    refused = run_ensure().stderr
    assert "could not be installed" in refused
    assert "is invalid" in refused


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64", True),
        ("cp312-cp312-manylinux2014_x86_64", True),
        ("cp312-cp312-linux_x86_64", True),
        ("cp39-abi3-manylinux_2_17_x86_64", True),
        ("py3-none-manylinux_2_17_x86_64", True),
        ("py2.py3-none-any", True),
        ("cp312-none-any", True),
        ("cp313-cp313-manylinux_2_28_x86_64", False),
        ("cp313-abi3-manylinux_2_28_x86_64", False),
        ("cp312-cp312t-manylinux_2_28_x86_64", False),
        ("cp311-cp311-manylinux_2_28_x86_64", False),
        ("cp312-cp312-manylinux_2_36_x86_64", False),
        ("cp312-cp312-manylinux_2_28_aarch64", False),
        ("cp312-cp312-manylinux2014_aarch64", False),
        ("cp312-cp312-musllinux_1_2_x86_64", False),
        ("cp312-cp312-macosx_14_0_x86_64", False),
        ("cp312-cp312-win_amd64", False),
        ("py2-none-any", False),
    ],
)
def test_a_wheel_fits_by_python_abi_platform_and_c_library(tag, fits):
    assert KAGGLE.fits(parse_wheel_name(Path(f"a_b-1.0-{tag}.whl"))) is fits
    assert KAGGLE.fits(parse_wheel_name(Path(f"a_b-1.0-7build-{tag}.whl"))) is fits


def test_the_pinned_wheels_serve_kaggle_s_python_and_the_next_one():
    assert all(len(digest) == 64 for digest in PINNED_WHEELS.values())
    for python in ((3, 12), (3, 13)):
        fitting = [
            name for name in PINNED_WHEELS if Interpreter(python, "x86_64", (2, 35)).fits(parse_wheel_name(Path(name)))
        ]
        packages = sorted(parse_wheel_name(Path(name)).package for name in fitting)
        assert packages == ["ai_edge_litert", "onnx_ir", "onnxruntime", "onnxscript", "openvino"]


def test_every_kernel_that_needs_a_wheel_attaches_them_and_ensures_it_first_and_no_other_does():
    for name, described in metadata.load_metadata(ROOT).items():
        source = metadata.source_of(name)
        closure = closure_of(ROOT, source)
        needed = [package for package in wheels.ALWAYS if package in closure.third_party]
        if "lib/models/export/network.py" in closure.files:
            needed += ["onnx_ir", "onnxscript"]  # torch imports them, each after what it needs itself
        assert (f"{metadata.PLACEHOLDER}/{metadata.WHEELS}" in described["dataset_sources"]) == bool(needed), name
        first = next(cell.source for cell in read_notebook(ROOT / source).cells if "from lib." in cell.source)
        positions = [first.find(f'ensure("{package}"') for package in needed]
        assert -1 not in positions, f"{name}: ensure {needed} in the first cell"
        assert positions == sorted(positions)


def test_the_rehearsal_s_image_has_none_of_them_so_that_the_kernel_must_install_them():
    lacking = {parse_wheel_name(Path(name)).package for name in PINNED_WHEELS}
    listed = {line.partition("==")[0] for line in (ROOT / REQUIREMENTS).read_text().splitlines()}
    assert listed
    assert not lacking & listed


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder from which pip takes wheels, and from nowhere else."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


@pytest.fixture
def pin(monkeypatch):
    """Makes these files the pinned wheels."""

    def replace_pins(*files: Path, digest: str = "") -> None:
        monkeypatch.setattr(wheels, "PINNED_WHEELS", {file.name: digest or sha256_of(file) for file in files})

    return replace_pins


def test_the_dataset_is_collected_for_both_pythons_and_only_what_was_requested(tmp_path, shelf, pin, capsys):
    tags = ("cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64", "cp313-cp313-manylinux_2_28_x86_64")
    both = [toy_wheel(shelf, "1.2", "onnxruntime", tag) for tag in tags]
    always = [*both, toy_wheel(shelf, "0.7", "onnxscript")]
    more = toy_wheel(shelf, "3.0", "openvino", tags[0])
    toy_wheel(shelf, "1.3", "onnxruntime", tags[0])
    pin(*always, more)
    folder = tmp_path / "dist" / "wheels"
    assert wheels.main(["--openvino"], tmp_path) == 0
    assert more.name in capsys.readouterr().out
    for file in shelf.iterdir():
        file.unlink()  # what is there and right is not downloaded again
    assert wheels.main([], tmp_path) == 0
    assert {path.name for path in folder.iterdir()} == {*(file.name for file in always), "dataset-metadata.json"}
    described = json.loads((folder / "dataset-metadata.json").read_text())
    assert described["id"] == "OWNER/pantanal-wheels"
    assert metadata.slugify(described["title"]) == "pantanal-wheels"


def test_a_wheel_that_is_not_the_one_pinned_is_an_error_and_not_kept(tmp_path, shelf, pin, capsys):
    wheel = toy_wheel(shelf, "1.2", "onnxruntime", "cp312-cp312-manylinux_2_28_x86_64")
    pin(wheel, digest="0" * 64)
    assert wheels.main([], tmp_path) == 2
    message = capsys.readouterr().err
    assert f"{wheel.name} is not the wheel that was pinned" in message
    assert sha256_of(wheel) in message
    assert not list((tmp_path / "dist/wheels").iterdir())


def test_a_damaged_copy_is_fetched_again_and_a_failed_download_reports_pips_output(tmp_path, shelf, pin, capsys):
    wheel = toy_wheel(shelf, "1.2", "onnxruntime", "cp312-cp312-manylinux_2_28_x86_64")
    pin(wheel)
    folder = tmp_path / "dist" / "wheels"
    folder.mkdir(parents=True)
    (folder / wheel.name).write_text("damaged")
    assert wheels.main([], tmp_path) == 0
    assert (folder / wheel.name).read_bytes() == wheel.read_bytes()
    (folder / wheel.name).unlink()
    wheel.unlink()
    assert wheels.main([], tmp_path) == 2
    message = capsys.readouterr().err
    assert "could not be downloaded" in message
    assert "No matching distribution found" in message
