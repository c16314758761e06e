"""Fixtures that many tests share: the tiny miniature competition, and the tables read from it."""

import shutil

import pytest

from lib.competition.classes import read_class_list
from lib.competition.miniature.make import make_miniature
from lib.competition.miniature.spec import MiniatureSpec


@pytest.fixture(scope="session")
def mini(tmp_path_factory):
    """A tiny miniature competition, made once; read it, never write to it."""
    return make_miniature(tmp_path_factory.mktemp("data") / "mini", MiniatureSpec.tiny())


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


@pytest.fixture
def tables(public, tmp_path):
    """A copy of the tables, without sounds, that a test may spoil."""
    folder = tmp_path / "birdclef-2026"
    folder.mkdir()
    for table in public.glob("*.csv"):
        shutil.copy(table, folder)
    return folder
