"""Frozen dataclasses to and from JSON, strictly: an unknown or missing key is an error. And folder manifests."""

import dataclasses
import json
import os
import tempfile
import typing
from pathlib import Path
from typing import Any

from lib.core import fingerprint
from lib.core.errors import BadInput, shorten

MEASURED = "measured.json"  # of a sealed folder: what depends on the machine and the day


def to_json(record: Any) -> dict:
    """The record's fields as a JSON-ready dictionary, nested records included."""
    return dataclasses.asdict(record)


def from_json(kind: type, data: dict, where: str):
    """A `kind` made from the dictionary; keys must be exactly its fields (those with defaults may be absent).

    A field that is a record, or a list of records, is made likewise.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
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


def _convert(hint: object, value: Any, where: str) -> object:
    """The value, with dictionaries made into the records that its type hint requires."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return from_json(hint, value, where)
    (inner,) = typing.get_args(hint) if typing.get_origin(hint) is list else (None,)
    if isinstance(inner, type) and dataclasses.is_dataclass(inner):
        return [from_json(inner, each, f"{where}[{n}]") for n, each in enumerate(value)]
    return value


def read_json(path: Path) -> dict:
    """The JSON object in a file; a missing or broken file is an error that names it."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path} cannot be read", expected="a JSON file", got=error, do="run what writes it again"
        ) from error


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


def identity_of(folder: Path) -> str:
    """The fingerprint of what a sealed folder holds, but for what was measured: equal ones give equal scores."""
    manifest = read_json(folder / "manifest.json")
    files = {name: own for name, own in manifest["files"].items() if name != MEASURED}
    return fingerprint.of_json(manifest | {"files": files})


def check_seal(folder: Path) -> str:
    """Verify the folder's files against its manifest, those with measurements too, and return its identity."""
    manifest = read_json(folder / "manifest.json")
    wrong = [
        name
        for name, expected in manifest["files"].items()
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
