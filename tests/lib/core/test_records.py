"""JSON comes in and goes out strictly, and a sealed folder shows every later change."""

from dataclasses import dataclass

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


def test_broken_or_absent_json_names_the_file(tmp_path):
    (tmp_path / "a.json").write_text("{")
    for name in ("a.json", "b.json"):
        with pytest.raises(BadInput, match=name):
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
