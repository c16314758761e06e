"""The sealed kernel with hostile inputs: a valid submission or a named refusal, and nothing of them is executed."""

import json
import os
import pickle
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from build import inline, rehearse
from build.notebooks.source import read_notebook
from build.project import ROOT
from lib.blend.recipe import Mix, Part, RecipeMember
from lib.blend.recipe_file import save_recipe
from lib.competition.classes import read_class_list
from lib.core.errors import BadInput
from lib.core.records import check_seal, seal
from lib.submit.rows import required_rows
from lib.submit.writer import check_submission, read_submission
from tests.support.toytree import SUBMISSION, toy_wheel, write

KILL = "kill -9 $PPID  # so that a kernel that executes anything of them fails"
PYTHON = f"import os\nos.system({KILL!r})\n"
FOREIGN = {
    "app": b'{"name": "app", "short_name": "a", "icons": [], "start_url": "/"}',
    "list": b'["member"]',
    "empty": b"",
    "picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "deep": b"[" * 200_000,
    "latin": b'{"kind": "m\xe9mbre", "files": {}}',
}


class Bomb:
    """An object whose unpickling kills."""

    def __reduce__(self):
        return os.system, (KILL,)


@pytest.fixture
def project(tmp_path, members):
    """A project with this checkout's sources, and earlier outputs with the fixtures' members."""
    for name in ("lib", "notebooks_src", "kernel-metadata"):
        (tmp_path / name).symlink_to(ROOT / name)
    for notebook in ("01_data_prep", "03_perch_probe/members", "04_pseudo_labels", "05_blend/recipes"):
        (tmp_path / "runs" / notebook).mkdir(parents=True)
    shutil.copytree(members, tmp_path / "runs/02_fold_training/members")
    return tmp_path


def member(project: Path, name: str, like: str, **files: bytes) -> Path:
    """A sealed member of this name in 03's output: the files of another one, some of them replaced."""
    folder = project / "runs/03_perch_probe/members" / name
    shutil.copytree(project / "runs/02_fold_training/members" / like, folder)
    card = json.loads((folder / "member.json").read_text())
    (folder / "member.json").write_text(json.dumps(card | {"name": name}))
    for file, data in files.items():
        (folder / file.replace("__", ".")).write_bytes(data)
    seal(folder, "member")
    return folder


def write_recipe(project: Path, recipe, *optional: Path) -> None:
    """The fixtures' recipe, which requires both its members, with these optional members."""
    more = [RecipeMember(folder.name, check_seal(folder), 0.1, required=False) for folder in optional]
    parts = [Part("l0_prior", 0.5), Part("l1_statistics", 0.5), *(Part(each.name, 0.0) for each in more)]
    recipes = project / "runs/05_blend/recipes"
    save_recipe(
        recipes, replace(recipe, members=[*recipe.members, *more], mixes=[Mix("blend", "rank", parts)], by_fold={})
    )
    seal(recipes, "recipes")


def array_of(value: object) -> bytes:
    """The bytes of an .npz file in which the prior's sites are this object."""
    path = Path(os.environ["TMPDIR"]) / "bomb.npz"
    np.savez(path, sites=np.array([value], dtype=object), rates=np.zeros((1, 24, 12), np.float32), allow_pickle=True)
    return path.read_bytes()


def rehearsed(project: Path, mini: Path) -> tuple[int, dict]:
    """The exit status of a sealed rerun of the built kernel, and its receipt if it was valid."""
    inline.build(project, "alice", [SUBMISSION])
    given = ["--data", f"{mini}", "--outputs", f"{project}/runs", "--mode", "rerun"]
    code = rehearse.main(given, project)
    receipt = project / "dist/rehearsal/here-rerun/receipt.json"
    return code, json.loads(receipt.read_text()) if receipt.is_file() else {}


def test_a_valid_submission_comes_of_hostile_inputs_and_nothing_of_them_is_executed(
    project, mini, recipe, tmp_path, monkeypatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    bomb = pickle.dumps(Bomb())
    optional = [
        member(project, "pickled_network", "l1_statistics", model__onnx=bomb),
        member(project, "pickled_golden", "l1_statistics", golden_output__npy=bomb),
        member(project, "pickled_prior", "l0_prior", prior__npz=array_of(Bomb())),
        member(project, "no_card", "l0_prior", member__json=bomb),
        member(project, "cut_manifest", "l0_prior"),
        member(project, "changed", "l0_prior"),
    ]
    write_recipe(project, recipe, *optional)
    (optional[-2] / "manifest.json").write_bytes((optional[-2] / "manifest.json").read_bytes()[:50])
    (optional[-1] / "prior.npz").write_bytes(b"PK\x03\x04 not the sealed bytes")
    foreign = project / "runs/01_data_prep"
    shutil.copytree(member(project, "l1_statistics", "l1_statistics", model__onnx=bomb), foreign / "l1_statistics")
    for name, data in FOREIGN.items():
        (foreign / name).mkdir()
        (foreign / name / "manifest.json").write_bytes(data)
    for version in ("1.24.4", "99.0"):
        toy_wheel(foreign, version, "onnxruntime", body=PYTHON)
    modules = ("sitecustomize", "usercustomize", "numpy", "onnxruntime", "lib/__init__", "lib/core/paths")
    write(foreign, {f"{name}.py": PYTHON for name in modules} | {"evil.pth": f"import os; os.system({KILL!r})\n"})
    with zipfile.ZipFile(foreign / "recipes.zip", "w") as archive:
        archive.writestr("../../working/submission.csv", "row_id\n")
    data = tmp_path / "data"
    shutil.copytree(mini / "rerun", data / "rerun", copy_function=os.link)
    sounds = data / "rerun/birdclef-2026/test_soundscapes"
    first = sorted(sounds.iterdir())[0]
    first.unlink()
    first.write_bytes(bomb)
    (sounds / "._hidden.ogg").write_bytes(bomb)
    code, receipt = rehearsed(project, data)
    assert code == 0
    text = "\n".join(receipt["alarms"])
    for folder in optional:
        assert f"{folder.name} is left out from the start" in text
    assert f"unreadable, scored by the prior: {first.name}" in text
    assert len(receipt["alarms"]) == len(optional) + 1
    assert receipt["inputs"]["l1_statistics"]["path"].endswith("pantanal-02-fold-training/members/l1_statistics")
    assert receipt["scored"] == receipt["soundscapes"] - 1


@pytest.fixture
def run_06(project, mini, monkeypatch):
    """Runs the cells of 06 in this process, on the miniature's hidden test; returns the folder that it writes to."""
    output = project / "working"
    changes = {"competition_dir": mini / "rerun/birdclef-2026", "inputs_dir": project / "runs", "output_dir": output}

    def run() -> Path:
        names: dict[str, object] = {"__name__": "__main__"}
        for cell in read_notebook(ROOT / "notebooks_src/06_submission.py").cells:
            if cell.cell_type == "code":
                exec(cell.source, names)
                names |= {name: str(path) for name, path in changes.items()}
        return output

    return run


def edit_recipe(project: Path, old: str, new: str) -> None:
    """Change the recipe's text by hand, and seal it anew."""
    folder = project / "runs/05_blend/recipes"
    text = (folder / "safe.json").read_text()
    assert old in text
    (folder / "safe.json").write_text(text.replace(old, new))
    seal(folder, "recipes")


def required(project: Path) -> Path:
    return project / "runs/02_fold_training/members/l1_statistics"


def cut_manifest(project):
    (required(project) / "manifest.json").write_bytes(b'{"kind": "memb')


def absent(project):
    shutil.rmtree(required(project))


def resealed(project):
    (required(project) / "model.onnx").write_bytes(pickle.dumps(Bomb()))
    seal(required(project), "member")


def pickled(project):
    before = check_seal(required(project))
    resealed(project)
    edit_recipe(project, before, check_seal(required(project)))


def unknown_step(project):
    edit_recipe(project, '"steps": []', '"steps": [{"name": "smooth_windows", "parameters": {"sigma": "os.system"}}]')


def not_a_number(project):
    edit_recipe(project, '"score": 0.6', '"score": NaN')


def text_for_weight(project):
    edit_recipe(project, '"weight": 0.5', '"weight": "0.5"')


def deep(project):
    edit_recipe(project, '"name": "safe"', '"name": ' + "[" * 100_000)


def changed_recipe(project):
    (project / "runs/05_blend/recipes/safe.json").write_text("{}")


def cut_recipes(project):
    (project / "runs/05_blend/recipes/manifest.json").write_bytes(b"")


def pickled_prior(project):
    prior = project / "runs/02_fold_training/members/l0_prior"
    before = check_seal(prior)
    (prior / "prior.npz").write_bytes(array_of(Bomb()))
    seal(prior, "member")
    edit_recipe(project, before, check_seal(prior))


AFTER_THE_FIRST = {
    cut_manifest: "l1_statistics is not the one of the recipe",
    absent: "requires members that are missing",
    resealed: "l1_statistics is not the one of the recipe",
    pickled: r"model\.onnx cannot be opened",
    unknown_step: "recipe safe cannot be executed",
}
BEFORE_ANY = {
    not_a_number: "NaN is no JSON number",
    text_for_weight: r"weight is of another type",
    deep: r"safe\.json cannot be read",
    changed_recipe: "was changed or damaged after it was made",
    cut_recipes: "nothing of kind 'recipes' was found",
    pickled_prior: "member l0_prior cannot be opened",
}


@pytest.mark.parametrize("spoil", [*AFTER_THE_FIRST, *BEFORE_ANY], ids=lambda spoil: spoil.__name__)
def test_what_cannot_be_executed_is_refused_by_name_after_the_first_valid_file_where_there_can_be_one(
    project, mini, recipe, tmp_path, run_06, monkeypatch, spoil
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    write_recipe(project, recipe)
    spoil(project)
    with pytest.raises(BadInput, match=(AFTER_THE_FIRST | BEFORE_ANY)[spoil]):
        run_06()
    written = list((project / "working").iterdir())
    assert [path.name for path in written] == (["submission.csv"] if spoil in AFTER_THE_FIRST else [])
    if written:
        competition = mini / "rerun/birdclef-2026"
        rows = required_rows(competition).row_ids
        check_submission(read_submission(written[0]), rows, read_class_list(competition))
