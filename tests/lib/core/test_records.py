"""JSON comes in and goes out strictly, and a sealed folder shows every later change."""

import os
from dataclasses import dataclass, field
from typing import Literal

import pytest

from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.records import (
    MEASURED,
    check_seal,
    from_json,
    identity_of,
    read_json,
    seal,
    to_json,
    write_json,
    write_text,
)


@dataclass(frozen=True)
class Card:
    name: str
    seed: int = 0


def test_a_record_survives_and_unknown_or_missing_keys_do_not():
    assert from_json(Card, to_json(Card("a", 3)), "x") == Card("a", 3)
    assert from_json(Card, {"name": "a"}, "x") == Card("a")
    with pytest.raises(BadInput, match=r"unknown \['sede'\]"):
        from_json(Card, {"name": "a", "sede": 1}, "x")
    with pytest.raises(BadInput, match=r"missing \['name'\]"):
        from_json(Card, {}, "x")


DAMAGED = {
    "cut": b'{"kind": "member", "fil',
    "empty": b"",
    "a picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "other bytes": b"\xff\xfe{}",
    "a list": b'["member"]',
    "a text": b'"member"',
    "nothing": b"null",
    "deep": b"[" * 200_000,
    "deep objects": b'{"a":' * 100_000,
    "signs": b"-" * 20_000,
    "a long number": b'{"seed": ' + b"9" * 5000 + b"}",
    "NaN": b'{"score": NaN}',
    "infinity": b'{"score": -Infinity}',
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_broken_json_and_what_is_no_object_is_an_error_that_names_the_file(tmp_path, data):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(BadInput, match=r"a\.json cannot be read\n  expected: .*\n  got:      \S.*\n  do this:"):
        read_json(tmp_path / "a.json")


def test_absent_json_a_folder_and_a_pipe_are_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    for name in ("absent.json", "pipe.json", "folder.json"):
        with pytest.raises(BadInput, match=rf"{name} cannot be read(.|\n)*no such file"):
            read_json(tmp_path / name)


def test_nan_is_not_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Leaf:
    size: int


@dataclass(frozen=True)
class Branch:
    first: Leaf
    leaves: list[Leaf]
    names: list[str]


def test_a_record_that_holds_records_comes_back_whole_and_an_error_names_the_wrong_one():
    branch = Branch(Leaf(1), [Leaf(2), Leaf(3)], ["a"])
    assert from_json(Branch, to_json(branch), "it") == branch
    with pytest.raises(BadInput, match=r"it, leaves\[1\] is not a valid Leaf"):
        from_json(Branch, {"first": {"size": 1}, "leaves": [{"size": 2}, {"wings": 3}], "names": []}, "it")


@dataclass(frozen=True)
class Typed:
    name: str = ""
    score: float = 0.0
    count: int = 0
    flag: bool = False
    interval: list[float] | None = None
    by_fold: dict[str, list[Leaf]] = field(default_factory=dict)
    kind: Literal["a", "b"] = "a"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"name": 3}, "it, name is of another type\n  expected: a text\n  got:      3"),
        ({"name": None}, "got:      None"),
        ({"score": "high"}, "a finite number"),
        ({"score": float("nan")}, "got:      nan"),
        ({"score": 1e999}, "got:      inf"),
        ({"score": True}, "got:      True"),
        ({"count": 1.5}, "a whole number"),
        ({"count": True}, "a whole number"),
        ({"flag": 1}, "true or false"),
        ({"interval": 0.5}, "list"),
        ({"interval": [0.1, "x"]}, "it, interval[1]"),
        ({"by_fold": {"0": {"size": 1}}}, "it, by_fold['0']"),
        ({"by_fold": {"0": [{"size": None}]}}, "it, by_fold['0'][0], size"),
        ({"kind": "c"}, "'c'"),
        (["name"], "an object with the keys name"),
        ("name", "got:      'name'"),
    ],
)
def test_a_value_of_another_type_is_an_error_that_names_its_place(value, text):
    with pytest.raises(BadInput) as caught:
        from_json(Typed, value, "it")
    assert text in str(caught.value)


def test_whole_numbers_pass_for_others_and_nothing_for_what_may_be_absent():
    assert from_json(Typed, {"score": 1, "interval": None, "kind": "b"}, "it") == Typed(score=1, kind="b")
    made = from_json(Typed, {"by_fold": {"0": [{"size": 2}]}, "interval": [0, 1]}, "it")
    assert made == Typed(by_fold={"0": [Leaf(2)]}, interval=[0, 1])


def test_writing_leaves_no_other_file(tmp_path):
    write_text(tmp_path / "a.txt", "one")
    write_text(tmp_path / "a.txt", "two")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "two")]


def test_a_seal_finds_changed_and_missing_files(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"weights")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.txt").write_text("x")
    seal(tmp_path, "member")
    before = check_seal(tmp_path)
    assert before == check_seal(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"weighty")
    with pytest.raises(BadInput, match=r"model\.bin"):
        check_seal(tmp_path)
    (tmp_path / "model.bin").unlink()
    with pytest.raises(BadInput, match=r"model\.bin"):
        check_seal(tmp_path)


def test_what_was_measured_is_checked_but_no_part_of_the_identity(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"weights")

    def sealed(seconds, kind="member"):
        write_json(tmp_path / MEASURED, {"seconds": seconds})
        seal(tmp_path, kind)
        return check_seal(tmp_path)

    assert sealed(1) == sealed(2) == identity_of(tmp_path)
    assert sealed(2, "discarded") != sealed(2)
    (tmp_path / MEASURED).write_text("{}")
    with pytest.raises(BadInput, match="measured"):
        check_seal(tmp_path)


def test_fingerprints_do_not_depend_on_key_order():
    assert fingerprint.of_json({"a": 1, "b": [2]}) == fingerprint.of_json({"b": [2], "a": 1})
    assert fingerprint.of_json({"a": 1}) != fingerprint.of_json({"a": 2})
    assert len(fingerprint.of_lib()) == 16


@pytest.mark.parametrize(
    "manifest",
    [
        '{"kind": "member"}',
        '{"kind": "member", "files": ["a"]}',
        '{"kind": 1, "files": {}}',
        '{"files": {"a": 1}}',
        "[]",
    ],
)
def test_a_manifest_of_another_form_is_an_error_that_names_it(tmp_path, manifest):
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(BadInput, match=r"manifest\.json"):
        check_seal(tmp_path)
