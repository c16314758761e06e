"""Kernel metadata, checked strictly before anything is built: Kaggle's client ignores or only prints mistakes."""

import graphlib
import html
import json
import re
from pathlib import Path

from lib.core.errors import BadInput

FOLDER = "kernel-metadata"
FILE = "kernel-metadata.json"
ALLOWED_FILE = "allowed-sources.json"
PLACEHOLDER = "OWNER"
DEFAULT_OWNER = "pantanal"
PREFIX = "pantanal-"
WHEELS, WEIGHTS = "pantanal-wheels", "pantanal-weights"  # the bundle's own datasets
CHAINS = ("kernels", "dataset")  # members and recipes of the kernels before, or home-made ones in WEIGHTS
# The CPU image of 2026-08 that requirements-image.txt lists; a kernel's own `docker_image` goes before it.
IMAGE = "gcr.io/kaggle-images/python@sha256:dafd4ce5668bbf1ad422e4c109e0f18c9623c3a7c7f48b0235f13142755c40b9"
# Two T4. With any GPU allowed, Kaggle gave a P100, and its own torch has no code for that (kaggle-cli#490, #1151).
ON_GPU = {"enable_gpu": True, "machine_shape": "NvidiaTeslaT4"}
CHAIN_READERS = ("pantanal-05-blend", "pantanal-06-submission")  # the kernels that read them
ALLOWED_SETS = ("competitions", "datasets", "kernels", "models")
SOURCE_SETS = {
    "competition_sources": "competitions",
    "dataset_sources": "datasets",
    "kernel_sources": "kernels",
    "model_sources": "models",
}
REQUIRED = {
    "id": str,
    "title": str,
    "code_file": str,
    "language": str,
    "kernel_type": str,
    "is_private": bool,
    "enable_internet": bool,
}
OPTIONAL = {
    "enable_gpu": bool,
    "enable_tpu": bool,
    "keywords": list,
    "docker_image": str,
    "docker_image_pinning_type": str,
    "machine_shape": str,
    **dict.fromkeys(SOURCE_SETS, list),
}
FIXED = {"language": ("python",), "kernel_type": ("notebook",), "docker_image_pinning_type": ("original", "latest")}


def slugify(title: str) -> str:
    """The slug that Kaggle derives from an ASCII title: lower case, words joined by single dashes."""
    text = re.sub("'+", "-", title)
    text = re.sub(r"&(#\d+|#[xX][0-9a-fA-F]+|[A-Za-z]+\d*);", lambda entity: html.unescape(entity[0]), text)
    text = text.lower().replace("'", "")
    return re.sub("[^a-z0-9]+", "-", re.sub(r"(?<=\d),(?=\d)", "", text)).strip("-")


def kernel_names(root: Path) -> list[str]:
    """The kernels of the bundle, in order: every folder below kernel-metadata/."""
    return sorted(folder.name for folder in (root / FOLDER).iterdir() if folder.is_dir() and folder.name[0] != ".")


def source_of(slug: str) -> str:
    """The notebook source of a kernel: `pantanal-06-submission` comes from `notebooks_src/06_submission.py`."""
    return f"notebooks_src/{slug.removeprefix(PREFIX).replace('-', '_')}.py"


def load_metadata(root: Path) -> dict[str, dict]:
    """Every kernel's metadata by slug, placeholders still in; all mistakes of all kernels are one error."""
    problems: list[str] = []
    allowed = _allowed(root, problems)
    names = kernel_names(root)
    if not names:
        problems.append(f"{FOLDER}/ holds no kernel folder")
    found = {name: _read(root / FOLDER / name / FILE, f"{FOLDER}/{name}/{FILE}", problems) for name in names}
    for name, metadata in found.items():
        if metadata is not None:
            problems += [f"{FOLDER}/{name}/{FILE}: {text}" for text in _problems(name, metadata, names, allowed)]
    if not problems:
        problems = _circle({name: metadata or {} for name, metadata in found.items()})
    if problems:
        raise BadInput(
            f"{len(problems)} mistakes in the kernel metadata:" + "".join(f"\n  - {text}" for text in problems),
            expected="metadata that Kaggle applies as written",
            got="the mistakes listed above",
            do=f"fix the files below {FOLDER}/ and build again",
        )
    return {name: metadata for name, metadata in found.items() if metadata is not None}


def for_owner(metadata: dict, owner: str) -> dict:
    """The metadata for a Kaggle user, whose name replaces the placeholder in id and sources; with the image pinned."""
    if owner == PLACEHOLDER or not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]*", owner):
        raise BadInput(
            "the owner is no Kaggle user name",
            expected="letters, digits, - and _, as in your profile's address",
            got=repr(owner),
            do="set --owner NAME",
        )
    mine = f"{PLACEHOLDER}/"

    def owned(text: str) -> str:
        return f"{owner}/{text.removeprefix(mine)}" if text.startswith(mine) else text

    sources = {
        key: [owned(source) for source in metadata[key]]
        for key in ("dataset_sources", "kernel_sources")
        if key in metadata
    }
    return {"docker_image": IMAGE, **metadata, "id": owned(metadata["id"]), **sources}


def with_chain(metadata: dict, chain: str) -> dict:
    """The metadata with its sources taken from `chain`; only kernels that read members and recipes differ."""
    if chain == "kernels" or metadata["id"].partition("/")[2] not in CHAIN_READERS:
        return metadata
    datasets = dict.fromkeys([*metadata.get("dataset_sources", []), f"{PLACEHOLDER}/{WEIGHTS}"])
    return {**metadata, "kernel_sources": [], "dataset_sources": list(datasets)}


def with_gpu(metadata: dict) -> dict:
    """The metadata with GPUs requested, and without the CPU image; for the submission kernel that is an error."""
    requesting, slug = metadata | ON_GPU, metadata["id"].partition("/")[2]
    if requesting.get("docker_image") == IMAGE:
        del requesting["docker_image"]
    if problems := _submission_problems(requesting) if slug.endswith("-submission") else []:
        raise BadInput(
            f"{slug} cannot have a GPU",
            expected="a submission on the CPU, as the contest has it",
            got="; ".join(problems),
            do="run without GPU=1",
        )
    return requesting


def dataset_metadata(slug: str) -> dict:
    """The `dataset-metadata.json` of one of the bundle's datasets, placeholder still in."""
    title = slug.replace("-", " ").capitalize()
    return {"id": f"{PLACEHOLDER}/{slug}", "title": title, "licenses": [{"name": "other"}]}


def _read(path: Path, label: str, problems: list[str]) -> dict | None:
    """The JSON object of a file, or None with the reason added to the problems."""
    if not path.is_file():
        problems.append(f"{label}: missing")
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except ValueError as error:
        problems.append(f"{label}: not valid JSON: {error}")
        return None
    if not isinstance(value, dict):
        problems.append(f"{label}: expected an object, got {type(value).__name__}")
        return None
    return value


def _without_repeats(pairs: list[tuple[str, object]]) -> dict:
    """The object of these pairs; a key given twice is an error, since one of the two would be dropped in silence."""
    repeated = sorted({key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1})
    if repeated:
        raise ValueError(f"key given twice: {', '.join(repeated)}")
    return dict(pairs)


def _allowed(root: Path, problems: list[str]) -> dict[str, list[str]]:
    """The sources from outside the bundle that kernels may attach."""
    label = f"{FOLDER}/{ALLOWED_FILE}"
    value = _read(root / label, label, problems) or {}
    if value and (sorted(value) != list(ALLOWED_SETS) or not all(map(_is_strings, value.values()))):
        problems.append(f"{label}: expected lists of strings under {', '.join(ALLOWED_SETS)}, got {value}")
        return {}
    return value


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _problems(name: str, metadata: dict, names: list[str], allowed: dict[str, list[str]]) -> list[str]:
    """The mistakes in one kernel's metadata, as sentences."""
    shape = [f"unknown key {key!r}: Kaggle would ignore it" for key in metadata if key not in REQUIRED | OPTIONAL]
    shape += [f"{key!r} is missing: write it out" for key in REQUIRED if key not in metadata]
    for key, kind in (REQUIRED | OPTIONAL).items():
        if key in metadata and not (_is_strings(metadata[key]) if kind is list else type(metadata[key]) is kind):
            expected = "a list of strings" if kind is list else kind.__name__
            shape.append(f"{key!r} must be {expected}, got {metadata[key]!r}")
    if shape:
        return shape
    return _value_problems(name, metadata) + _source_problems(name, metadata, names, allowed)


def _value_problems(name: str, metadata: dict) -> list[str]:
    """Mistakes in names, fixed values and the submission kernel's settings."""
    found = []
    owner, _, slug = metadata["id"].partition("/")
    if owner != PLACEHOLDER or slug != name:
        found.append(f"'id' must be '{PLACEHOLDER}/{name}', after its folder, got {metadata['id']!r}")
    if not re.fullmatch("[a-z0-9-]{5,}", name):
        found.append(f"the folder's name must be a slug of 5 or more of a-z, 0-9 and -, got {name!r}")
    if not metadata["title"].isascii() or slugify(metadata["title"]) != name or len(metadata["title"]) < 5:
        found.append(f"'title' must turn into {name!r}, got {metadata['title']!r} -> {slugify(metadata['title'])!r}")
    if metadata["code_file"] != f"{name}.ipynb":
        found.append(f"'code_file' must be '{name}.ipynb', got {metadata['code_file']!r}")
    found += [
        f"{key!r} must be one of {', '.join(values)}, got {metadata[key]!r}"
        for key, values in FIXED.items()
        if key in metadata and metadata[key] not in values
    ]
    image = metadata.get("docker_image")
    if image is not None and not re.fullmatch(r"gcr\.io/kaggle-(gpu-)?images/python@sha256:[0-9a-f]{64}", image):
        found.append(f"'docker_image' must be gcr.io/kaggle-images/python@sha256:<64 digits>, got {image!r}")
    return found + (_submission_problems(metadata) if name.endswith("-submission") else [])


def _submission_problems(metadata: dict) -> list[str]:
    """Settings that the contest forbids the submission kernel: accelerators and the internet."""
    found = [
        f"{key!r} must be false in the submission kernel"
        for key in ("enable_gpu", "enable_tpu", "enable_internet")
        if metadata.get(key, False)
    ]
    if metadata.get("machine_shape", "None") != "None":
        found.append(f"'machine_shape' must be absent or \"None\" there, got {metadata['machine_shape']!r}")
    return found


def _source_problems(name: str, metadata: dict, names: list[str], allowed: dict[str, list[str]]) -> list[str]:
    """Sources that are neither of this bundle nor allowed, or listed twice."""
    found = []
    own = {"kernel_sources": [other for other in names if other != name], "dataset_sources": [WHEELS, WEIGHTS]}
    for key, kind in SOURCE_SETS.items():
        sources = metadata.get(key, [])
        ours = [f"{PLACEHOLDER}/{slug}" for slug in own.get(key, [])]
        for source in sources:
            if source not in (*ours, *allowed.get(kind, [])):
                expected = "".join(f"{one}, " for one in ours) + ("or " if ours else "")
                found.append(f"{key!r}: {source!r} must be {expected}listed under {kind} in {FOLDER}/{ALLOWED_FILE}")
        found += [f"{key!r}: {source!r} is listed twice" for source in set(sources) if sources.count(source) > 1]
    return found


def _circle(found: dict[str, dict]) -> list[str]:
    """A sentence when kernels read each other in a circle, so that none could run first."""
    needs = {name: [s.partition("/")[2] for s in data.get("kernel_sources", [])] for name, data in found.items()}
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        return ["'kernel_sources' go in a circle: " + " -> ".join(error.args[1])]
    return []
