"""A built kernel carries lib byte for byte, runs alone, names lib files in tracebacks; the build refuses the rest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from build import inline
from build.kernels.cells import lib_cells
from build.kernels.metadata import for_owner, kernel_names, load_metadata, slugify
from build.project import ROOT
from lib.core.errors import BadInput
from lib.core.fingerprint import of_bytes, of_json
from tests.support.toytree import SUBMISSION, kernel, project, write

NOTEBOOK = """
# %% [markdown]
# # A story — with an accent: é

# %% tags=["parameters"]
n: int = 2

# %%
import json
from pathlib import Path

# %%
from lib.learn.loop import Numbers, fail
from lib.core.fingerprint import of_lib

# %%
import traceback

import torch

try:
    fail()
except ZeroDivisionError:
    shown = traceback.format_exc()

blas_threads = os.environ["OPENBLAS_NUM_THREADS"]
results = {"lib": KERNEL_LIB, "traceback": shown, "digest": of_lib(), "blas_threads": blas_threads}
for method in ("fork", "spawn"):
    loader = torch.utils.data.DataLoader(Numbers(4), num_workers=2, multiprocessing_context=method)
    results[method] = [int(batch) for batch in loader]
Path("results.json").write_text(json.dumps(results))
"""
LOOP = '''"""A dataset, and a failure in line 14 — é."""

from lib.sound.empty_room.steps import step


class Numbers:
    def __init__(self, n):
        self.n = n
    def __len__(self):
        return self.n
    def __getitem__(self, i):
        return step(i)
def fail():
    return 1 / 0
'''
LIB = {
    "learn/loop.py": LOOP,
    "sound/empty_room/__init__.py": "",
    "sound/empty_room/steps.py": 'def step(i):\n    return 10 * i + len("{KERNEL_LIB}\\t%%x")\n',
    "core/errors.py": (ROOT / "lib/core/errors.py").read_text(),
    "core/fingerprint.py": (ROOT / "lib/core/fingerprint.py").read_text(),
    "learn/unused.py": "import not_installed\n",
}


def execute(notebook: Path, folder: Path) -> subprocess.CompletedProcess:
    """Papermill's result for a notebook run alone, in an empty folder, without PYTHONPATH."""
    folder.mkdir()
    dropped = ("PYTHONPATH", "OPENBLAS_NUM_THREADS")
    environment = {key: value for key, value in os.environ.items() if key not in dropped} | {"TMPDIR": str(folder)}
    command = [sys.executable, "-m", "papermill", notebook, "out.ipynb", "--no-progress-bar", "--log-output"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A project whose one kernel is built."""
    root = project(tmp_path_factory.mktemp("project"), NOTEBOOK, LIB)
    inline.build(root, "alice")
    return root


def is_lib(cell: nbformat.NotebookNode) -> bool:
    return cell.cell_type == "code" and "lib" in cell.metadata.get("tags", [])


def notebook_of(root: Path) -> nbformat.NotebookNode:
    return nbformat.read(root / f"dist/kernels/{SUBMISSION}/{SUBMISSION}.ipynb", as_version=4)


def test_the_built_kernel_runs_alone_with_workers_and_exact_files(built, tmp_path):
    done = execute(built / f"dist/kernels/{SUBMISSION}/{SUBMISSION}.ipynb", tmp_path / "run")
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["fork"] == results["spawn"] == [10 * i + len("{KERNEL_LIB}\t%%x") for i in range(4)]
    written = {str(path.relative_to(results["lib"])): path for path in Path(results["lib"]).rglob("*.py")}
    assert "lib/learn/unused.py" not in written
    assert {label: path.read_bytes() for label, path in written.items()} == {
        label: (built / label).read_bytes() for label in written
    }
    assert f'{results["lib"]}/lib/learn/loop.py", line 14, in fail' in results["traceback"]
    assert results["blas_threads"] == "1"
    assert results["digest"] == notebook_of(built).metadata.pantanal.lib_fingerprint
    assert not Path(results["lib"]).is_relative_to(Path("/kaggle/working"))
    lib_cells_run = [cell for cell in nbformat.read(tmp_path / "run/out.ipynb", as_version=4).cells if is_lib(cell)]
    assert [cell.outputs for cell in lib_cells_run] == [[]] * 5  # two of them bootstrap and check


def test_an_edited_or_skipped_lib_cell_stops_the_kernel_and_is_named(built, tmp_path):
    notebook = notebook_of(built)
    for cell in list(notebook.cells):
        if cell.source.startswith("%%lib_files learn"):
            cell.source = cell.source.replace("1 / 0", "1 / 1")
        if cell.source.startswith("%%lib_files sound"):
            notebook.cells.remove(cell)
    nbformat.write(notebook, tmp_path / "edited.ipynb")
    done = execute(tmp_path / "edited.ipynb", tmp_path / "run")
    assert done.returncode == 1
    assert "lib/learn/loop.py: not the stamped text" in done.stderr
    assert "lib/sound: not written" in done.stderr


def test_cells_stay_as_they_are_and_lib_goes_before_the_first_that_imports_it(built):
    cells = notebook_of(built).cells
    shown = [cell for cell in cells if "lib" not in cell.metadata.get("tags", [])]
    assert shown[0].source == "# A story — with an accent: é"
    assert "AUTOGENERATED from `notebooks_src/06_submission.py`" in shown[1].source
    assert shown[2].metadata.tags == ["parameters"]
    places = [index for index, cell in enumerate(cells) if "lib" in cell.metadata.get("tags", [])]
    assert places == list(range(places[0], places[-1] + 1))
    assert cells[places[0]].source.startswith(f"*The next {len(places) - 1} cells are `lib/`")
    assert cells[places[-1] + 1].source.startswith("from lib.learn.loop import")
    assert "import json" in cells[places[0] - 1].source
    hidden = [cells[index].metadata for index in places[1:]]
    assert all(kept["_kg_hide-input"] and kept["jupyter"]["source_hidden"] for kept in hidden)
    assert all(kept["_kg_hide-output"] and kept["jupyter"]["outputs_hidden"] for kept in hidden)
    assert {key for cell in cells for key in cell.metadata} <= set(inline.KEPT_METADATA)


def test_each_room_is_one_cell_with_its_files_verbatim_below_their_names(built):
    sources = [cell.source for cell in notebook_of(built).cells if cell.source.startswith("%%lib_files")]
    rooms = {source.split("\n")[0].removeprefix("%%lib_files "): source for source in sources}
    assert list(rooms) == ["core", "sound", "learn"]
    assert rooms[
        "learn"
    ] == f"%%lib_files learn\n# ==== lib/learn/loop.py {of_bytes(LOOP.encode())} ====\n{LOOP}".rstrip("\n")
    assert f" ====\n{LIB['core/fingerprint.py']}".rstrip("\n") in rooms["core"]
    assert "lib/sound/empty_room/__init__.py" not in rooms["sound"]


def test_two_builds_are_one_byte_for_byte_whatever_the_hash_seed(tmp_path):
    made = []
    for seed in ("1", "2"):
        root = project(tmp_path / seed / "same", NOTEBOOK, LIB)
        code = "import sys; sys.path.insert(0, sys.argv[1]); import pathlib; from build.inline import build; "
        code += "build(pathlib.Path())"
        subprocess.run(
            [sys.executable, "-c", code, ROOT],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            timeout=60,
        )
        made.append({path.name: path.read_bytes() for path in (root / "dist").rglob("*") if path.is_file()})
    assert len(made[0]) == 2
    assert made[0] == made[1]


PARAMETERS = """
# %% tags=["parameters"]
fold: int = 1  # é: which fold; other folds run beside it
backbone: str = "é"  # which network
rate: float = 0.5
quick = False

# %%
print(fold, backbone, rate, quick)
"""


def variant(root: Path, text: str) -> tuple[dict, str]:
    """Metadata and parameters cell of the variant with these values, built beside the plain kernel."""
    (made,) = inline.build(root, "alice", [SUBMISSION], text)
    folder = root / "dist" / "kernels" / made.name
    described = json.loads((folder / "kernel-metadata.json").read_text())
    cells = nbformat.read(folder / described["code_file"], as_version=4).cells
    return described, next(cell.source for cell in cells if "parameters" in cell.metadata.get("tags", []))


def test_a_variant_carries_its_values_in_their_types_and_keeps_annotations_and_remarks(tmp_path):
    _, cell = variant(project(tmp_path, PARAMETERS), "fold=-3 'backbone=it''s é' rate=1e-3 quick=true")
    assert cell == (
        "fold: int = -3  # é: which fold; other folds run beside it\n"
        "backbone: str = 'its é'  # which network\n"
        "rate: float = 0.001\n"
        "quick = True"
    )
    _, cell = variant(tmp_path, "rate=-inf")
    assert 'rate: float = float("-inf")' in cell


def test_a_variant_has_a_name_of_its_own_and_lies_beside_the_plain_kernel(tmp_path):
    inline.build(project(tmp_path, PARAMETERS), "alice")
    described, _ = variant(tmp_path, "fold=0 backbone=x")
    slug = f"{SUBMISSION}-fold0-backbone-x"
    assert described["id"] == f"alice/{slug}"
    assert described["title"] == "Pantanal 06 submission fold0 backbone x"
    assert described["code_file"] == f"{slug}.ipynb"
    assert described["competition_sources"] == ["birdclef-2026"]
    assert sorted(path.name for path in (tmp_path / "dist/kernels").iterdir()) == [SUBMISSION, slug]
    assert "fold: int = 1" in notebook_of(tmp_path).cells[1].source


def test_names_of_variants_differ_stay_within_fifty_letters_and_title_and_slug_agree(tmp_path):
    root = project(tmp_path, PARAMETERS)
    texts = [
        "fold=0",
        "fold=1",
        "fold=-1",
        "rate=0.1",
        "rate=1",
        "quick=true",
        "backbone=1",
        "backbone=-1",
        "backbone=",
    ]
    texts += [f"backbone={'long' * 20}{end}" for end in "ab"] + ["backbone=a_b", "backbone=a-b", "backbone=A_b"]
    found = [variant(root, text)[0] for text in texts]
    slugs = [described["id"].partition("/")[2] for described in found]
    assert len(set(slugs)) == len(texts)
    for slug, described in zip(slugs, found, strict=True):
        assert len(slug) <= 50
        assert len(described["title"]) <= 50
        assert slugify(described["title"]) == slug
        assert slug.startswith(f"{SUBMISSION}-")


def test_two_builds_of_a_variant_are_one_byte_for_byte(tmp_path):
    made = []
    for root in (project(tmp_path / "a" / "same", PARAMETERS), project(tmp_path / "b" / "same", PARAMETERS)):
        variant(root, "fold=0 backbone=x-y")
        made.append({path.name: path.read_bytes() for path in (root / "dist").rglob("*") if path.is_file()})
    assert len(made[0]) == 2
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flod=0", "expected: one of fold, backbone, rate, quick"),
        ("fold=x", "int: a whole number"),
        ("backbone=/home/" + "me/x", "a local path"),
        ("fold", "not a list of parameters"),
        ("fold=1 fold=2", "each name once"),
    ],
)
def test_values_that_do_not_fit_are_refused_and_nothing_is_built(tmp_path, text, expected):
    root = project(tmp_path, PARAMETERS)
    with pytest.raises(BadInput, match=expected):
        variant(root, text)
    assert not (root / "dist").exists()


def test_among_all_kernels_values_make_variants_of_those_that_have_them_beside_the_plain_ones(tmp_path):
    blend = '# %% tags=["parameters"]\nsigma: float = 0.5\nfold: int = 0\n'
    root = write(project(tmp_path, PARAMETERS), kernel("pantanal-05-blend") | {"notebooks_src/05_blend.py": blend})
    built = inline.build(root, "alice", given="sigma=1 06:fold=3")
    names = ["pantanal-05-blend", SUBMISSION]
    assert [one.name for one in built] == [*names, "pantanal-05-blend-sigma1-0", f"{SUBMISSION}-fold3"]
    assert sorted(path.name for path in (root / "dist/kernels").iterdir()) == sorted(one.name for one in built)


def test_what_a_kernel_reads_comes_from_kernels_or_from_the_dataset_of_home_made_weights(tmp_path):
    root = project(
        tmp_path, PARAMETERS, kernel_sources=["OWNER/pantanal-02-x"], dataset_sources=["OWNER/pantanal-wheels"]
    )
    write(root, kernel("pantanal-02-x", kernel_sources=[]) | {"notebooks_src/02_x.py": ""})

    def sources(chain: str, name: str) -> tuple[list, list]:
        inline.build(root, "alice", source=chain)
        data = json.loads((root / f"dist/kernels/{name}/kernel-metadata.json").read_text())
        return data.get("kernel_sources"), data.get("dataset_sources")

    assert sources("kernels", SUBMISSION) == (["alice/pantanal-02-x"], ["alice/pantanal-wheels"])
    assert sources("dataset", SUBMISSION) == ([], ["alice/pantanal-wheels", "alice/pantanal-weights"])
    assert sources("dataset", "pantanal-02-x") == ([], None)


def test_metadata_is_built_for_the_owner(built):
    data = json.loads((built / f"dist/kernels/{SUBMISSION}/kernel-metadata.json").read_text())
    assert data["id"] == f"alice/{SUBMISSION}"


def test_the_table_names_what_is_pulled(built):
    shown = inline.table(inline.build(built, "alice"))
    assert SUBMISSION in shown
    assert shown.endswith(" torch")


def test_a_notebook_without_lib_gets_no_lib_cells(tmp_path):
    inline.build(project(tmp_path, "# %%\nprint(1)\n"))
    assert [cell.cell_type for cell in notebook_of(tmp_path).cells] == ["markdown", "code"]


def refusal(root: Path) -> str:
    with pytest.raises(BadInput) as caught:
        inline.build(root)
    return str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "token = 'KGAT_" + "0123456789abcdef'",
        'creds = {"username": "me", "key": "' + "0123456789abcdef" * 2 + '"}',
        "API_KEY = " + "'abcdef123'",
        "my_password: str = " + '"hunter22"',
        "login(password=" + '"hunter22")',
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "path = '/home/" + "me/data'",
        "path = '/Users/" + "me/data'",
        "path = '/ro" + "ot/data'",
        "path = r'C:\\" + "data'",
        "path = 'D:\\\\" + "data'",
    ],
)
@pytest.mark.parametrize("place", ["notebook", "lib"])
def test_secrets_and_local_paths_are_refused_with_file_and_line(tmp_path, line, place):
    comment = "# " + line
    root = project(
        tmp_path,
        "# %%\nfrom lib.sound.mel import x\n" + (comment if place == "notebook" else ""),
        {"sound/mel.py": "x = 1\n" + (comment + "\n" if place == "lib" else "")},
    )
    label = {"notebook": "notebooks_src/06_submission.py:9:", "lib": "lib/sound/mel.py:2:"}[place]
    assert label in refusal(root)
    assert not (root / "dist").exists()


def test_the_project_s_own_path_is_refused(tmp_path):
    assert "a local path" in refusal(project(tmp_path, f"# %%\nwhere = '{tmp_path}/data'\n"))


@pytest.mark.parametrize(
    "line",
    [
        'address = "https://example.org/home/page"',
        'password = os.environ["PASSWORD"]',
        'print("class:\\n")',
        'Path("/kaggle/input")',
        "row = names[key]",
    ],
)
def test_innocent_lines_pass(tmp_path, line):
    inline.build(project(tmp_path, f"# %%\n{line}\n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"x = 1", "no newline at the end"),
        (b"x = 1\n\n", "several newlines at the end"),
        (b"\n", "several newlines"),
        (b"x = 1\r\n", "a carriage return in line 1"),
        ("\ufeffx = 1\n".encode(), "a byte order mark"),
        (b"x = 1\n# ==== lib/y.py ====\n", "lib/x.py:2: this line separates files"),
    ],
)
def test_lib_files_that_a_cell_would_change_are_refused(text, expected):
    with pytest.raises(BadInput, match=expected):
        lib_cells({"lib/x.py": text})


def test_a_kernel_over_the_limit_is_refused_by_its_escaped_size(tmp_path):
    text = "x = '" + "я" * 160_000 + "'\n"  # 320 kB on disk, 960 kB as the client sends it
    message = refusal(project(tmp_path, "# %%\nfrom lib.sound.mel import x\n", {"sound/mel.py": text}))
    assert "too large" in message
    assert "lib/sound/mel.py" in message


def test_after_an_error_the_earlier_build_is_untouched(tmp_path):
    root = project(tmp_path, "# %%\nprint(1)\n")
    inline.build(root)
    before = {path: path.read_bytes() for path in (root / "dist").rglob("*") if path.is_file()}
    write(root, {"notebooks_src/06_submission.py": "# %%\nimport lib.nowhere\n"})
    assert "no module lib.nowhere" in refusal(root)
    assert {path: path.read_bytes() for path in (root / "dist").rglob("*") if path.is_file()} == before


def test_a_missing_source_and_an_unknown_kernel_are_refused(tmp_path):
    root = project(tmp_path, "")
    with pytest.raises(BadInput, match="no kernel pantanal-07-x"):
        inline.build(root, names=["pantanal-07-x"])
    (root / "notebooks_src/06_submission.py").unlink()
    assert "its source is missing" in refusal(root)


def test_the_digest_is_that_of_the_files():
    assert inline.lib_digest({"lib/a.py": b""}) == of_json({"a.py": "e3b0c44298fc1c14"})


@pytest.mark.parametrize("name", kernel_names(ROOT))
def test_the_story_of_each_kernel_begins_within_ten_cells_and_lib_takes_one_cell_per_room(name):
    made = inline.build_kernel(ROOT, name, for_owner(load_metadata(ROOT)[name], "alice"), {})
    cells = nbformat.reads(made.notebook, as_version=4).cells
    headings = [index for index, cell in enumerate(cells) if cell.source.startswith("## ")]
    assert headings[0] < 10
    rooms = [cell.source.split("\n")[0] for cell in cells if cell.source.startswith("%%lib_files")]
    assert len(rooms) == len(set(rooms)) <= 10
