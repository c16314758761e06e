"""The layer table of the house: a room imports only from rooms before it, and only the packages it is granted."""

import sys
from pathlib import Path

import pytest

from build.kernels.closure import ROOMS, closure_of
from build.kernels.imports import imports_of, parse_file
from build.project import ROOT

EVERYWHERE = {"numpy", "pandas"}
GRANTED = {
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
    "learn": {"scipy", "torch", "onnx", "dask"},
    "blend": {"scipy", "optuna"},
    "submit": {"scipy", "soundfile"},
    "teach": {"scipy", "soundfile"},
    "show": {"matplotlib", "umap"},
}
SUBMISSION = {"numpy", "scipy", "pandas", "soundfile", "onnxruntime"}
WHERE_USED = {"ai_edge_litert", "openvino"}  # imported only when such a model or runtime is asked for
MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "lib").rglob("*.py"))


def imported(module: Path) -> set[str]:
    return {item.module for item in imports_of(parse_file(ROOT / module, str(module)), str(module))}


def packages(module: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(module)}


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


@pytest.mark.parametrize("package", [path for path in MODULES if path.name == "__init__.py"], ids=str)
def test_a_package_file_holds_a_docstring_and_nothing_else(package):
    body = parse_file(ROOT / package, str(package)).body
    assert len(body) == 1


def test_the_submission_pulls_nothing_but_the_light_libraries():
    third_party = closure_of(ROOT, "notebooks_src/06_submission.py").third_party
    assert SUBMISSION <= set(third_party) <= SUBMISSION | WHERE_USED, third_party


def test_the_submission_pulls_no_module_that_makes_models_or_pages():
    files = closure_of(ROOT, "notebooks_src/06_submission.py").files
    rooms = {file.split("/")[1] for file in files}
    assert not {"learn", "teach", "show"} & rooms
    assert not {"lib/learn/member_writer.py", "lib/blend/search/nested.py"} & set(files)


MAKERS = {
    "models": [
        "backbones",
        "class_mlps",
        "graph_chain",
        "graph_checks",
        "head_export",
        "head_graph",
        "heads",
        "linear_export",
        "network",
        "network_export",
        "parity",
        "plain",
        "precision",
        "pretrained",
        "proto_ssm",
        "residual_ssm",
        "selective_scan",
        "sequence_head",
        "standin_graph",
        "tap",
        "token_layers",
    ],
    "sound": ["augment", "augment_picture", "mel_torch"],
}


@pytest.mark.parametrize("module", [f"{room}/{name}" for room, names in MAKERS.items() for name in names])
def test_what_makes_models_is_told_by_its_imports_so_the_list_of_light_libraries_keeps_it_out(module):
    assert packages(Path(f"lib/{module}.py")) & {"torch", "onnx", "openvino"}
