"""Pretrained weights for a backbone: from timm when online, from a file or an attached dataset otherwise."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.core.errors import BadInput, shorten
from lib.core.paths import folders_below, inputs_root


def load_timm() -> ModuleType:
    """timm, with torchvision made importable."""
    ensure_torchvision_importable()
    import timm

    return timm


def ensure_torchvision_importable() -> None:
    """Declare the two operators that torchvision's import looks for, where its own cannot be loaded."""
    if "torchvision" not in sys.modules and not _loads(_package("torchvision").glob("_C.*")):
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")


def load_torchaudio() -> ModuleType:
    """torchaudio; where its compiled extension cannot be loaded, it is set up as one without."""
    name = "torchaudio._extension.utils"
    if name not in sys.modules:
        extension = _package("torchaudio")
        spec = importlib.util.spec_from_file_location(name, extension / "_extension" / "utils.py")
        assert spec, "torchaudio has another layout than expected"
        assert spec.loader
        utils = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(utils)
        vars(utils)["_load_lib"] = lambda lib: _loads((extension / "lib").glob(f"{lib}.*"))
        sys.modules[name] = utils
    import torchaudio

    return torchaudio


def _package(name: str) -> Path:
    """The folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(name)
    assert spec, f"{name} is not installed"
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def _loads(libraries) -> bool:
    """True if there is such a library and torch can load it."""
    try:
        return bool([torch.ops.load_library(path) for path in libraries])
    except OSError:
        return False


SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_WRAPPERS = ("state_dict", "model", "ema")  # names under which training scripts put the tensors
_PREFIXES = ("", "module.", "model.", "backbone.", "backbone.model.", "network.backbone.model.")


def load_pretrained(backbone: nn.Module, name: str, weights: str) -> str:
    """Load the weights into the backbone; return a sentence with their source, or that there are none."""
    if weights == "none":
        return f"{name}: NO pretrained weights, every weight starts at random"
    if weights == "timm":
        source, tensors = f"timm's {name}", _download(name)
    else:
        path = find_weights(weights, name)
        source, tensors = f"{path.parent.name}/{path.name}", _tensors(path)
    return f"{name}: pretrained weights from {source}: {_fill(backbone, tensors, source)}"


def find_weights(where: str, name: str) -> Path:
    """The weight file: `where` itself, or in that folder, or in what is attached; by the backbone's name if several."""
    given = Path(where)
    found = [given] if given.is_file() else _weight_files(given) if given.is_dir() else _find_attached(where)
    named = [path for path in found if path.stem.startswith(name.split(".")[0])]
    chosen = found if len(found) == 1 else named
    if len(chosen) != 1:
        raise BadInput(
            f"pretrained weights {where!r} for {name}",
            expected=f"one weight file ({', '.join(SUFFIXES)}), or one whose name starts with {name.split('.')[0]}",
            got=shorten(found) or f"none, also none below {inputs_root()}",
            do=_HOW_TO_MAKE.format(name=name),
        )
    return chosen[0]


_HOW_TO_MAKE = (
    'with internet, torch.save(timm.create_model("{name}", pretrained=True).state_dict(), "{name}.pt"), attach the '
    'file as a dataset and give its name or path as the weights; or set weights to "none" to train from scratch'
)


def _download(name: str) -> dict[str, Tensor]:
    """timm's weights, from its cache or from the internet."""
    timm = load_timm()
    if not timm.is_model_pretrained(name):
        raise BadInput(
            f"timm has no weights for {name!r}",
            expected="a network with pretrained weights",
            got=name,
            do='set weights to a file, or to "none"',
        )
    try:
        model: nn.Module = timm.create_model(name, pretrained=True, num_classes=0)
        return model.state_dict()
    except Exception as error:  # each client library has its own; what to do is the same
        raise BadInput(
            f"timm's weights for {name} cannot be loaded",
            expected="internet, or weights in timm's cache",
            got=type(error).__name__,
            do=_HOW_TO_MAKE.format(name=name),
        ) from error


def _weight_files(folder: Path) -> list[Path]:
    """Every weight file in the folder and below."""
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)


def _find_attached(where: str) -> list[Path]:
    """The weight files of that name, or in folders of that name, among the attached inputs."""
    root, files = inputs_root(), []
    for folder in folders_below(root, depth=5) if root.is_dir() else ():
        files += _weight_files(folder) if folder.name == where else [folder / where] * (folder / where).is_file()
    return sorted(set(files))


def _tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a weight file by name, unwrapped."""
    content: Any
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # a damaged zip, a pickle with more than tensors, a wrong suffix
        raise BadInput(
            f"{path} cannot be read",
            expected="tensors by name (a state_dict)",
            got=error,
            do="save the state_dict alone, with torch.save or safetensors",
        ) from error
    wrapper = next((key for key in _WRAPPERS if isinstance(content.get(key), dict)), None)
    return content[wrapper] if wrapper else content


def _fill(backbone: nn.Module, tensors: dict[str, Tensor], source: str) -> str:
    """Load the tensors where names and shapes fit; return what matched. Every tensor of the backbone must match."""
    wanted = getattr(backbone, "model", backbone).state_dict()
    matches = [_matching(wanted, tensors, prefix) for prefix in _PREFIXES]
    fitting, summed = max(matches, key=lambda match: len(match[0]))
    missing = [key for key in wanted if key not in fitting]
    if missing:
        raise BadInput(
            f"the weights of {source} do not fit",
            expected=f"all {len(wanted)} tensors of this backbone",
            got=f"{len(fitting)} fit; without a match: {shorten(missing)}",
            do="use the file of this very network, as the same version of timm names it",
        )
    getattr(backbone, "model", backbone).load_state_dict(fitting)
    stem = f"stem summed over its {summed} colours" if summed else "stem as it is"
    return f"{len(fitting)} of {len(wanted)} tensors, {stem}, {len(tensors) - len(fitting)} of the file unused"


def _matching(wanted: dict[str, Tensor], tensors: dict[str, Tensor], prefix: str) -> tuple[dict[str, Tensor], int]:
    """The tensors that fit by name and shape, and how many colours the stem was summed over (0: not)."""
    fitting, summed = {}, 0
    for key, want in wanted.items():
        tensor = tensors.get(prefix + key)
        if tensor is None:
            continue
        if tensor.shape != want.shape and tensor.ndim == want.ndim == 4 and want.shape[1] == 1:
            summed, tensor = tensor.shape[1], tensor.sum(dim=1, keepdim=True)
        if tensor.shape == want.shape:
            fitting[key] = tensor
    return fitting, summed
