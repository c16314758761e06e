"""The embedder is the one named, else Perch, else off Kaggle a stand-in, made once for this code."""

import pytest

from lib.core.errors import BadInput
from lib.learn.cache import choose_embedder as embedder_choice
from lib.learn.cache.choose_embedder import choose_embedder


@pytest.fixture
def no_perch(monkeypatch):
    def absent(where):
        raise BadInput(f"no {where}", expected="it", got="none", do="fetch it")

    monkeypatch.setattr(embedder_choice, "find_embedder", absent)


@pytest.fixture
def made(monkeypatch):
    """The folders of stand-ins that were made; making one is tested elsewhere."""
    calls = []

    def make(folder, **settings):
        calls.append(folder)
        folder.mkdir(parents=True)
        (folder / "labels.csv").write_text("x")

    monkeypatch.setattr(embedder_choice, "make_standin", make)
    monkeypatch.setattr(embedder_choice, "recordings_from_elsewhere", lambda spec: {"Tyto alba": None})
    return calls


def test_a_file_that_is_named_is_the_one(tmp_path):
    (tmp_path / "own.onnx").write_bytes(b"")
    assert choose_embedder(str(tmp_path / "own.onnx"), tmp_path) == tmp_path / "own.onnx"


@pytest.mark.usefixtures("no_perch")
def test_at_home_without_perch_a_stand_in_is_made_once(tmp_path, made):
    first = choose_embedder("", tmp_path)
    assert choose_embedder("stand-in", tmp_path) == first
    assert first.name == "standin.onnx"
    assert len(made) == 1


@pytest.mark.usefixtures("no_perch")
def test_a_named_one_that_is_absent_and_perch_on_kaggle_are_errors(tmp_path, made, monkeypatch):
    with pytest.raises(BadInput, match=r"no other\.onnx"):
        choose_embedder("other.onnx", tmp_path)
    monkeypatch.setattr(embedder_choice, "on_kaggle", lambda: True)
    with pytest.raises(BadInput, match=r"no perch_v2\.onnx"):
        choose_embedder("", tmp_path)
    assert made == []
