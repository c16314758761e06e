"""The layer table of lib: a room imports only from rooms before it, and only the packages it is granted."""

import ast
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from build.kernels.closure import ROOMS, closure_of
from build.kernels.imports import imports_of, parse_file
from build.project import ROOT

EVERYWHERE = {"numpy", "pandas"}
GRANTED = {
    "core": {"dask"},
    "competition": {"soundfile"},
    "sound": {"soundfile", "scipy", "torch"},
    "judge": {"scipy", "numba"},
    "models": {
        "scipy",
        "onnxruntime",
        "onnx",
        "openvino",
        "torch",
        "timm",
        "torchaudio",
        "safetensors",
        "ai_edge_litert",
    },
    "learn": {"scipy", "torch"},
    "blend": {"scipy", "optuna"},
    "submit": {"scipy", "soundfile"},
    "pseudo": {"soundfile"},
    "show": {"matplotlib", "umap"},
}
ONE_PLACE = {  # packages that a single module of lib imports
    "dask": "lib/core/dask_cluster.py",
    "numba": "lib/judge/pair_counting.py",
    "optuna": "lib/blend/search/methods.py",
    "timm": "lib/models/network/pretrained.py",
    "umap": "lib/show/block_probe.py",
}
SUBMISSION = {"numpy", "scipy", "pandas", "soundfile", "onnxruntime"}
WHERE_USED = {"ai_edge_litert", "openvino"}  # imported only when such a model or runtime is used
NOT_IN_SUBMISSION = [  # what trains, fits, exports, checks data or draws
    "learn",
    "pseudo",
    "show",
    "competition/eda",
    "competition/miniature",
    "competition/qa.py",
    "sound/augment",
    "sound/duplicates",
    "sound/quality",
    "sound/mel/gpu.py",
    "judge/studies",
    "models/export",
    "models/network",
    "models/head",
    "models/standin",
    "models/embedder/pack.py",
    "blend/search",
    "blend/per_class",
    "blend/templates",
    "blend/ablation.py",
    "blend/member_costs.py",
    "blend/sidecar/gate.py",
    "blend/sidecar/nested.py",
]
HEAVY = ["models/export", "models/network", "models/head", "sound/augment", "sound/mel/gpu.py"]
MOST_FILES = 20  # in a folder
MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "lib").rglob("*.py"))


def imported(module: Path) -> set[str]:
    return {item.module for item in imports_of(parse_file(ROOT / module, str(module)), str(module))}


def packages(module: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(module)}


def modules_in(place: str) -> list[Path]:
    """The modules of one folder of lib, or the one module that is named."""
    path = Path("lib", place)
    return [module for module in MODULES if module == path or path in module.parents]


def public_names(module: Path) -> set[str]:
    """The functions, classes and variables that a module itself defines at its top level, underscored ones left out."""
    names: set[str] = set()
    for node in parse_file(ROOT / module, str(module)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def test_every_room_of_the_table_is_there_and_no_other():
    rooms = {path.parent.name for path in (ROOT / "lib").glob("*/__init__.py")}
    assert rooms == set(ROOMS) == set(GRANTED)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_from_its_own_room_and_those_before_it(module):
    room = module.parts[1] if len(module.parts) > 2 else None
    allowed = ROOMS[: ROOMS.index(room) + 1] if room else ()
    for name in imported(module):
        if name.split(".")[0] == "lib":
            assert name.split(".")[1] in allowed, f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_the_packages_its_room_is_granted(module):
    room = module.parts[1] if len(module.parts) > 2 else None
    foreign = packages(module) - {"lib"} - sys.stdlib_module_names
    assert foreign <= (EVERYWHERE | GRANTED[room] if room else set())


def test_every_grant_is_used():
    used = {room: set().union(*map(packages, modules_in(room))) for room in ROOMS}
    assert {room: granted - used[room] for room, granted in GRANTED.items() if granted - used[room]} == {}


@pytest.mark.parametrize(("package", "module"), ONE_PLACE.items())
def test_some_packages_are_imported_in_one_place(package, module):
    assert [str(other) for other in MODULES if package in packages(other)] == [module]


@pytest.mark.parametrize("package", [path for path in MODULES if path.name == "__init__.py"], ids=str)
def test_a_package_file_is_empty(package):
    assert (ROOT / package).read_bytes() == b""


@pytest.mark.parametrize("top", ["lib", "build", "tests"])
def test_no_folder_holds_more_files_than_one_can_survey(top):
    folders = {path.parent for path in (ROOT / top).rglob("*.py")}
    counts = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_a_public_name_is_defined_in_one_module_only():
    places = defaultdict(list)
    for module in MODULES:
        for name in public_names(module):
            places[name].append(str(module))
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_the_submission_pulls_nothing_but_the_light_libraries():
    third_party = closure_of(ROOT, "notebooks_src/06_submission.py").third_party
    assert SUBMISSION <= set(third_party) <= SUBMISSION | WHERE_USED, third_party


@pytest.mark.parametrize("place", NOT_IN_SUBMISSION)
def test_the_submission_pulls_no_module_that_trains_fits_exports_or_draws(place):
    modules = {str(module) for module in modules_in(place) if module.name != "__init__.py"}
    assert modules, f"there is no lib/{place}"
    assert modules.isdisjoint(closure_of(ROOT, "notebooks_src/06_submission.py").files)


@pytest.mark.parametrize("place", HEAVY)
def test_modules_that_make_models_import_heavy_libraries_so_the_list_of_light_ones_keeps_them_out(place):
    for module in modules_in(place):
        assert module.name in ("__init__.py", "settings.py") or packages(module) & {"torch", "onnx", "openvino"}, module
