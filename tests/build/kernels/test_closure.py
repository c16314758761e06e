"""The closure finds what a notebook reaches, in reading order, and refuses every import it cannot follow."""

from pathlib import Path

import pytest

from build.kernels.closure import closure_of
from lib.core.errors import BadInput
from tests.support.toytree import write

NOTEBOOK = "notebooks_src/x.py"


def tree(tmp_path: Path, notebook: str, **modules: str) -> Path:
    """A project whose modules are given as room__module=text."""
    files = {f"lib/{name.replace('__', '/')}.py": text for name, text in modules.items()}
    packages = {f"{parent}/__init__.py" for label in files for parent in Path(label).parents if parent.parts}
    return write(tmp_path, {package: "" for package in packages} | files | {NOTEBOOK: notebook})


def refusal(root: Path) -> str:
    with pytest.raises(BadInput) as caught:
        closure_of(root, NOTEBOOK)
    return str(caught.value)


def test_follows_lazy_typing_and_literal_dynamic_imports_and_leaves_the_rest_out(tmp_path):
    root = tree(
        tmp_path,
        "# %%\ndef f():\n    from lib.blend.ranks import ranked\n    return ranked\n",
        blend__ranks="import typing\nif typing.TYPE_CHECKING:\n    from lib.sound.mel import Mel\nranked = 1\n",
        sound__mel='import importlib\nclass Mel: ...\ndef load():\n    importlib.import_module("lib.judge.metric")\n',
        judge__metric="import numpy as np\n",
        learn__loop="import torch\n",
    )
    closure = closure_of(root, NOTEBOOK)
    assert [label for label in closure.files if "__init__" not in label] == [
        "lib/judge/metric.py",
        "lib/sound/mel.py",
        "lib/blend/ranks.py",
    ]
    assert closure.files[0] == "lib/__init__.py"
    assert "lib/sound/__init__.py" in closure.files
    assert not any("learn" in label for label in closure.files)
    assert closure.third_party == {"numpy": ("lib/judge/metric.py:1",)}


def test_the_contract_comes_first_and_every_file_after_what_it_imports(tmp_path):
    root = tree(
        tmp_path,
        "from lib.blend import ranks\nfrom lib.sound.mel import mel\nfrom lib.competition.names import rows\n",
        blend__ranks="x = 1\n",
        sound__mel="from lib.competition.scores import s\nmel = s\n",
        competition__names="rows = 1\n",
        competition__scores="from lib.competition.names import rows\ns = rows\n",
    )
    assert closure_of(root, NOTEBOOK).files == (
        "lib/__init__.py",
        "lib/competition/__init__.py",
        "lib/competition/names.py",
        "lib/competition/scores.py",
        "lib/sound/__init__.py",
        "lib/sound/mel.py",
        "lib/blend/__init__.py",
        "lib/blend/ranks.py",
    )


@pytest.mark.parametrize(
    "definition",
    [
        "x: int = 1",
        "(x, y) = 1, 2",
        "def x(): ...",
        "class x: ...",
        "try:\n    import os as x\nexcept E:\n    x = None",
    ],
)
def test_a_name_counts_however_the_top_level_binds_it(tmp_path, definition):
    root = tree(tmp_path, "from lib.sound.mel import x\n", sound__mel=definition + "\n")
    assert "lib/sound/mel.py" in closure_of(root, NOTEBOOK).files


def test_a_name_that_only_a_function_binds_is_refused_with_file_and_line(tmp_path):
    root = tree(tmp_path, "\nfrom lib.sound.mel import x\n", sound__mel="def f():\n    x = 1\n")
    message = refusal(root)
    assert f"{NOTEBOOK}:2: lib.sound.mel has no name 'x'" in message
    assert "expected: f" in message


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from . import mel", "relative import"),
        ("from .mel import x", "relative import"),
        ("from lib.sound.mel import *", "star import"),
        ("import importlib\nimportlib.import_module(name)", "dynamic import"),
        ("from importlib import import_module as take\ntake(f'lib.{x}')", "dynamic import"),
        ("__import__('lib.' + room)", "dynamic import"),
        ("from lib.sound.nowhere import x", "no module lib.sound.nowhere"),
        ("import lib.nowhere.mel", "no module lib.nowhere.mel"),
        ("from lib.sound import nowhere", "has no name 'nowhere'"),
        ("x = (", "not Python"),
    ],
)
def test_what_cannot_be_followed_is_refused_where_it_stands_and_says_what_to_write(tmp_path, line, expected):
    root = tree(tmp_path, "from lib.judge.metric import m\n", sound__mel="x = 1\n", judge__metric=line + "\nm = 1\n")
    message = refusal(root)
    assert f"lib/judge/metric.py:{1 + line.count(chr(10))}: " in message
    assert expected in message
    assert "do this:" in message


def test_a_cycle_is_refused_with_every_import_on_it(tmp_path):
    root = tree(
        tmp_path,
        "import lib.sound.a\n",
        sound__a="from lib.sound.b import y\nx = 1\n",
        sound__b="\ndef y():\n    from lib.sound.a import x\n    return x\n",
    )
    message = refusal(root)
    assert "import cycle: lib/sound/a.py -> lib/sound/b.py -> lib/sound/a.py" in message
    assert "lib/sound/a.py:1 imports lib/sound/b.py" in message
    assert "lib/sound/b.py:3 imports lib/sound/a.py" in message


def test_a_package_file_that_imports_its_own_module_is_a_cycle(tmp_path):
    root = tree(tmp_path, "import lib.sound.a\n", sound__a="x = 1\n")
    (root / "lib/sound/__init__.py").write_text("from lib.sound.a import x\n")
    assert "keep __init__.py empty" in refusal(root)


def test_a_folder_without_package_file_is_refused(tmp_path):
    root = tree(tmp_path, "import lib.sound.a\n", sound__a="x = 1\n")
    (root / "lib/sound/__init__.py").unlink()
    assert "create lib/sound/__init__.py" in refusal(root)
