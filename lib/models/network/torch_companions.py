"""timm and torchaudio beside a torch whose compiled companions cannot load.

A CPU build of torch may meet torchvision and torchaudio wheels that were compiled for CUDA. What we use of them is
Python; only their import insists on the compiled part. Where that part loads, nothing here changes anything.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch


def load_timm() -> ModuleType:
    """timm, after torchvision was made importable."""
    ready_torchvision()
    import timm

    return timm


def ready_torchvision() -> None:
    """Where torchvision's operators cannot be loaded, declare the two that its import looks for."""
    if "torchvision" not in sys.modules and not _loads(_package("torchvision").glob("_C.*")):
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")


def load_torchaudio() -> ModuleType:
    """torchaudio; where its compiled extension cannot be loaded, it is told that there is none."""
    name = "torchaudio._extension.utils"
    if name not in sys.modules:
        extension = _package("torchaudio")
        spec = importlib.util.spec_from_file_location(name, extension / "_extension" / "utils.py")
        utils = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(utils)
        utils._load_lib = lambda lib: _loads((extension / "lib").glob(f"{lib}.*"))
        sys.modules[name] = utils
    import torchaudio

    return torchaudio


def _package(name: str) -> Path:
    """The folder of an installed package, found without importing it."""
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


def _loads(libraries) -> bool:
    """Whether there is such a library and torch can load it."""
    try:
        return bool([torch.ops.load_library(path) for path in libraries])
    except OSError:
        return False
