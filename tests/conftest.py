"""Fixtures that many tests share: the tiny miniature competition, and the tables read from it."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the Makefile, also where pytest is started by hand
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before onnxruntime is imported: it would report from native code

import pytest

from lib.blend.recipe import Mix, Part, Recipe, RecipeMember, Step
from lib.competition.classes import read_class_list
from lib.competition.folds import make_folds
from lib.competition.miniature.cast import make_cast
from lib.competition.miniature.clips import Clip, render_clip
from lib.competition.miniature.make import make_miniature
from lib.competition.miniature.spec import MiniatureSpec
from lib.competition.prepared import data_version, load_prepared, save_prepared
from lib.competition.qa import drop_excluded
from lib.competition.tables import Findings, read_clips, read_windows
from lib.core.folder_lock import exclusive_folder
from lib.core.records import check_seal
from lib.learn.baseline.crossfit import ClassicalSettings, fit_prior_member, fit_statistics_member
from lib.learn.baseline.logistic import LogisticSettings
from lib.models.member.prior import PriorSettings
from lib.sound.quality.checks import unusable_files
from lib.sound.quality.scan import take_inventory

pytest_plugins = ["tests.support.kaggle.loopback", "tests.support.kaggle.project"]

# A shell's background job ignores interrupts, and so would every child that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Files that take longest are begun first, so that no worker is left alone with one at the end.
_FIRST = ("test_chain.py", "test_wheels.py", "test_rehearse.py")


def pytest_collection_modifyitems(items):
    """Move the longest files to the front, in the order of `_FIRST`."""
    rank = {name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


def _make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder of that name, which `make` fills in the first worker that needs it; the others wait and share it."""
    base = factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared_{name}"
    place.mkdir(exist_ok=True)
    with exclusive_folder(place):
        if not (place / "whole").exists():
            make(place / name)
            (place / "whole").touch()
    return place / name


@pytest.fixture(scope="session")
def mini(tmp_path_factory):
    """A tiny miniature competition, made once; read it, never write to it."""
    return _make_once(tmp_path_factory, "mini", lambda folder: make_miniature(folder, MiniatureSpec.tiny()))


@pytest.fixture(scope="session")
def public(mini):
    """What a competitor sees of it."""
    return mini / "public" / "birdclef-2026"


@pytest.fixture(scope="session")
def rerun(mini):
    """What the scored rerun sees of it."""
    return mini / "rerun" / "birdclef-2026"


@pytest.fixture(scope="session")
def classes(public):
    """Its class list."""
    return read_class_list(public)


@pytest.fixture(scope="session")
def flock():
    """File name → sound of eight clips each of two birds of the miniature: other songs, each from another singer."""
    spec = MiniatureSpec.tiny()
    cast = {species.label: species for species in make_cast(spec)}
    names = [f"{label}/XC{number}.ogg" for label in ("grekis", "rubthr1") for number in range(8)]
    return {name: render_clip(spec, Clip(name, name.split("/")[0], 6.0, "XC"), cast) for name in names}


@pytest.fixture
def tables(public, tmp_path):
    """A copy of the tables, without sounds, that a test may spoil."""
    folder = tmp_path / "birdclef-2026"
    folder.mkdir()
    for table in public.glob("*.csv"):
        shutil.copy(table, folder)
    return folder


@pytest.fixture(scope="session")
def prepared_folder(public, classes, tmp_path_factory):
    """The folder `prepared/` of the tiny miniature, made without the notebook."""

    def make(runs):
        findings = Findings()
        clips, windows = read_clips(public, classes, findings), read_windows(public, classes, findings)
        sounds = take_inventory(public / "train_audio", clips.filename.tolist(), "train_audio")
        qa = unusable_files("clip", sounds)
        clips, windows = drop_excluded(clips, windows, qa, findings)
        folds = make_folds(clips, windows, classes, n_folds=3, seed=0)
        folder, version = runs / "01_data_prep" / "prepared", data_version(public)
        save_prepared(folder, classes, clips, windows, folds, qa=qa, data_version=version, seed=0)

    return _make_once(tmp_path_factory, "runs", make) / "01_data_prep" / "prepared"


@pytest.fixture(scope="session")
def members(prepared_folder, public, tmp_path_factory):
    """A folder with L0 and L1, fitted on the tiny miniature."""

    def make(folder):
        prepared, quick = load_prepared(prepared_folder), LogisticSettings(max_iterations=20)
        fit_prior_member(prepared, folder / "l0_prior", PriorSettings())
        fit_statistics_member(prepared, public, folder / "l1_statistics", ClassicalSettings(), quick)

    return _make_once(tmp_path_factory, "members", make)


@pytest.fixture(scope="session")
def network_member(prepared_folder, public, tmp_path_factory):
    """The folder of a network member, trained for some steps on the tiny miniature; its training lies beside."""
    from tests.support.tinyplan import TINY_PLAN, fit  # here, so that tests without networks do not wait for torch

    folder = _make_once(
        tmp_path_factory, "networks", lambda folder: fit(TINY_PLAN, "l2_tiny", prepared_folder, public, folder)
    )
    return folder / "members" / "l2_tiny"


@pytest.fixture(scope="session")
def standin_file(tmp_path_factory):
    """A small frozen network with Perch's interface, and its labels beside it."""
    from tests.support.tinystandin import tiny_standin

    return _make_once(tmp_path_factory, "standin", tiny_standin) / "standin.onnx"


@pytest.fixture(scope="session")
def recipe(members, prepared_folder):
    """A recipe of both members; its weights are not fitted, so its variants are alike."""
    prepared = load_prepared(prepared_folder)
    folders = sorted(members.iterdir())
    weighted = [Part(folder.name, weight) for folder, weight in zip(folders, (0.25, 0.75), strict=True)]
    mixes = [Mix("blend", "rank", weighted, [Step("smooth_windows", {"sigma": 0.5})])]
    return Recipe(
        name="safe",
        class_hash=prepared.classes.hash,
        fold_version=prepared.folds.version,
        members=[RecipeMember(folder.name, check_seal(folder), 0.1) for folder in folders],
        mixes=mixes,
        prior="l0_prior",
        score=0.6,
        interval=[0.5, 0.7],
        scored_classes=9,
        by_fold={str(fold): mixes for fold in prepared.folds.numbers},
    )
