"""Frozen dataclasses to and from JSON, strictly: a wrong key or type is an error. And folder manifests."""

import dataclasses
import json
import math
import os
import tempfile
import types
import typing
from pathlib import Path
from typing import Any

from lib.core import fingerprint
from lib.core.errors import BadInput, shorten

MEASURED = "measured.json"  # of a sealed folder: what depends on the machine and the day


def to_json(record: Any) -> dict:
    """The record's fields as a JSON-ready dictionary, nested records included."""
    return dataclasses.asdict(record)


def from_json(kind: type, data: object, where: str):
    """A `kind` made from the dictionary; keys must be exactly its fields (those with defaults may be absent).

    Values must be of their fields' types, numbers finite. A field that is a record, or holds records in a list or
    dictionary, is made likewise.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if not isinstance(data, dict):
        raise _wrong_type(where, f"an object with the keys {', '.join(fields)}", data)
    needed = {name for name, f in fields.items() if f.default is f.default_factory is dataclasses.MISSING}
    unknown, missing = sorted(set(data) - set(fields)), sorted(needed - set(data))
    if unknown or missing:
        raise BadInput(
            f"{where} is not a valid {kind.__name__}",
            expected=f"the keys {', '.join(fields)}",
            got=f"unknown {unknown or 'none'}, missing {missing or 'none'}",
            do="make it again with this version of the project, or fix the key",
        )
    hints = typing.get_type_hints(kind)
    return kind(**{name: _convert(hints[name], value, f"{where}, {name}") for name, value in data.items()})


def _convert(hint: Any, value: Any, where: str) -> object:
    """The value, with dictionaries made into the records that its type hint requires; another type is an error."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or (type(value) is hint and hint is not float):
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else from_json(hint, value, where)
    if hint is float and type(value) in (int, float) and math.isfinite(value):
        return value
    if origin is typing.Literal and value in inner:
        return value
    if origin in (typing.Union, types.UnionType):
        kinds = [kind for kind in inner if kind is not type(None)]
        return None if value is None and len(kinds) < len(inner) else _convert(kinds[0], value, where)
    if origin is list and isinstance(value, list):
        return [_convert(inner[0], each, f"{where}[{n}]") for n, each in enumerate(value)]
    if origin is tuple and isinstance(value, list | tuple):
        return [_convert(inner[0], each, f"{where}[{n}]") for n, each in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: _convert(inner[1], each, f"{where}[{key!r}]") for key, each in value.items()}
    expected = {float: "a finite number", int: "a whole number", str: "a text", bool: "true or false"}
    raise _wrong_type(where, expected.get(hint, str(hint)), value)


def _wrong_type(where: str, expected: str, value: object) -> BadInput:
    """The error for a value of another type than its field's."""
    return BadInput(
        f"{where} is of another type",
        expected=expected,
        got=shorten([repr(value)[:80]]),
        do="make it again with this version of the project, or fix the value",
    )


def read_json(path: Path) -> dict:
    """The JSON object in a file; a missing or broken file, or one that holds something else, is an error."""
    try:
        if not path.is_file():  # opening a named pipe would wait for ever
            raise FileNotFoundError("no such file")
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        if not isinstance(data, dict):
            raise ValueError(f"a {type(data).__name__} instead of an object")
        return data
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise BadInput(
            f"{path} cannot be read",
            expected="a file with a JSON object",
            got=f"{error}" or type(error).__name__,
            do="run what writes it again",
        ) from error


def _refuse_constant(name: str) -> float:
    """Raise for NaN and the infinities, which JSON does not have and no score survives."""
    raise ValueError(f"{name} is no JSON number")


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees either the old text or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)


def write_json(path: Path, data: object) -> None:
    """Write readable, sorted JSON atomically; NaN is refused."""
    write_text(path, json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def seal(folder: Path, kind: str) -> None:
    """Write `manifest.json`: the folder's kind and the fingerprint of every file in it. Call it last."""
    files = {
        str(path.relative_to(folder)): fingerprint.of_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }
    write_json(folder / "manifest.json", {"kind": kind, "files": files})


@dataclasses.dataclass(frozen=True)
class Manifest:
    """`manifest.json` of a sealed folder: its kind, and the fingerprint of every file in it."""

    kind: str
    files: dict[str, str]


def read_manifest(folder: Path) -> Manifest:
    """The folder's manifest; one that is missing, damaged or not ours is an error."""
    path = folder / "manifest.json"
    return from_json(Manifest, read_json(path), f"{path}")


def identity_of(folder: Path) -> str:
    """The fingerprint of what a sealed folder holds, but for what was measured: equal ones give equal scores."""
    manifest = read_manifest(folder)
    files = {name: own for name, own in manifest.files.items() if name != MEASURED}
    return fingerprint.of_json({"kind": manifest.kind, "files": files})


def check_seal(folder: Path) -> str:
    """Verify the folder's files against its manifest, those with measurements too, and return its identity."""
    wrong = [
        name
        for name, expected in read_manifest(folder).files.items()
        if not (folder / name).is_file() or fingerprint.of_file(folder / name) != expected
    ]
    if wrong:
        raise BadInput(
            f"{folder} was changed or damaged after it was made",
            expected="the files that its manifest.json names, byte for byte",
            got=f"missing or different: {shorten(wrong)}",
            do="run the notebook that makes it again",
        )
    return identity_of(folder)
