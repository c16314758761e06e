"""500 mutated records: read as they are, or refused; a member's own are left to the policy of the recipe."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from build.sandbox.verdict import RECEIPT_KEYS, load_receipt
from lib.blend.recipe_file import load_recipe, save_recipe
from lib.competition.prepared import load_prepared
from lib.core.errors import BadInput
from lib.core.records import identity_of, read_json, read_manifest, seal, to_json
from lib.judge.ledger import LedgerLine, read_ledger
from lib.submit.engine import open_members
from tests.support.hostile.cases import run_cases

VALUES = [
    None,
    True,
    0,
    -1,
    1e308,
    2**70,
    "",
    "x",
    "../../etc/passwd",
    "\ud800",
    [],
    [[]],
    {},
    {"a": 1},
    [1, "a", None],
]
LEDGER = LedgerLine("x", "a", "b", "c", 1, 0.5, (0.4, 0.6), 9, 1.5, ("tag",), "park")


def places(value, path=()):
    """The paths to everything within a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def changed_value(data, rng):
    """A key gone, another value in its place, a key too many, or one level deeper."""
    data = json.loads(json.dumps(data))
    path = [*places(data)][1:][rng.integers(len([*places(data)]) - 1)]
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    kind = int(rng.integers(5))
    if kind == 0:
        del parent[path[-1]]
    elif kind == 1 and isinstance(parent, dict):
        parent["unknown"] = 1
    elif kind == 2:
        parent[path[-1]] = [parent[path[-1]]]
    else:
        parent[path[-1]] = VALUES[rng.integers(len(VALUES))]
    return json.dumps(data, ensure_ascii=rng.random() < 0.9).encode("utf-8", "surrogatepass")


def changed_text(data, rng):
    """The file cut, its bytes turned, another encoding, or something else altogether."""
    text = json.dumps(data, indent=1).encode()
    at = int(rng.integers(len(text)))
    turned = text[:at] + bytes([text[at] ^ 1 << rng.integers(8)]) + text[at + 1 :]
    others = [b"", b"[]", b"null", b"NaN", b"[" * 100_000, b"\x89PNG\r\n", b'{"a":' * 20_000, text + text]
    constant = text.replace(b"0", b"NaN", 1)
    return [text[:at], turned, text.decode().encode("utf-16"), others[rng.integers(len(others))], constant][
        rng.integers(5)
    ]


def mutated(path, rng):
    data = json.loads(path.read_text())
    path.write_bytes((changed_value if rng.random() < 0.75 else changed_text)(data, rng))


@pytest.fixture
def chain(members, prepared_folder, recipe, tmp_path):
    """A folder with copies of all that is read, and a function that puts them back."""

    def fresh():
        for name in ("members", "prepared"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        shutil.copytree(members, tmp_path / "members")
        shutil.copytree(prepared_folder, tmp_path / "prepared")
        save_recipe(tmp_path, recipe)
        (tmp_path / "receipt.json").write_text(json.dumps(dict.fromkeys(RECEIPT_KEYS, 1) | RECEIPT))
        (tmp_path / "ledger.jsonl").write_text(json.dumps(to_json(LEDGER)))
        return tmp_path

    return fresh


RECEIPT = {"mode": "rerun", "alarms": []}


@pytest.mark.slow
def test_mutated_records(chain, recipe, classes, capsys):
    def members_case(rng, folder):
        name = recipe.members[rng.integers(len(recipe.members))].name
        member = folder / "members" / name
        file = ["member.json", "measured.json", "manifest.json"][rng.integers(3)]
        mutated(member / file, rng)
        given = recipe
        if file != "manifest.json" and rng.random() < 0.8:  # resealed, and the recipe was made with it
            (member / "manifest.json").unlink()
            seal(member, "member")
            own = identity_of(member)
            given = replace(recipe, members=[replace(m, manifest=own) if m.name == name else m for m in recipe.members])
        if rng.random() < 0.5 and name != recipe.prior:
            given = replace(given, members=[replace(m, required=m.name == recipe.prior) for m in given.members])
        opened = open_members(given, sorted((folder / "members").iterdir()), classes)
        assert set(opened.members) | set(opened.unavailable) == {member.name for member in recipe.members}
        return "opened, one left out" if opened.unavailable else "opened"

    def recipe_case(rng, folder):
        path = folder / f"{recipe.name}.json"
        mutated(path, rng)
        read = load_recipe(path)
        open_members(read, sorted((folder / "members").iterdir()), classes)
        return "recipe opened"

    def prepared_case(rng, folder):
        file = ["prepared.json", "manifest.json"][rng.integers(2)]
        mutated(folder / "prepared" / file, rng)
        if file != "manifest.json":
            (folder / "prepared" / "manifest.json").unlink()
            seal(folder / "prepared", "prepared")
        read_manifest(folder / "prepared")
        load_prepared(folder / "prepared")
        return "prepared read"

    def receipt_case(rng, folder):
        mutated(folder / "receipt.json", rng)
        load_receipt(folder / "receipt.json", "rerun", 90.0)
        return "receipt read"

    def ledger_case(rng, folder):
        mutated(folder / "ledger.jsonl", rng)
        read_ledger(folder / "ledger.jsonl")
        return "ledger read"

    kinds = [members_case, members_case, recipe_case, prepared_case, receipt_case, ledger_case]
    load_receipt(chain() / "receipt.json", "rerun", 90.0)
    assert read_ledger(chain() / "ledger.jsonl")

    def case(seed):
        return kinds[seed % len(kinds)](np.random.default_rng(seed), chain())

    run_cases("records", case, capsys)
    with pytest.raises(BadInput):
        read_json(chain() / "absent.json")
