"""A project of a few lines, or a wheel of one module, made in a temporary folder: what tests of the build work on."""

import base64
import hashlib
import json
import zipfile
from pathlib import Path

HEADER = "# ---\n# jupyter:\n#   kernelspec:\n#     display_name: Python 3\n#     name: python3\n# ---\n"
SUBMISSION = "pantanal-06-submission"


def write(root: Path, files: dict[str, str]) -> Path:
    """The root, with these files written below it."""
    for label, text in files.items():
        path = root / label
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    return root


def metadata_of(slug: str, **changes) -> dict:
    """Correct metadata of one kernel, with changes; a change to None removes the key."""
    correct = {
        "id": f"OWNER/{slug}",
        "title": slug.replace("-", " ").capitalize(),
        "code_file": f"{slug}.ipynb",
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_internet": False,
        "competition_sources": ["birdclef-2026"],
    }
    return {key: value for key, value in (correct | changes).items() if value is not None}


def kernel(slug: str, **changes) -> dict[str, str]:
    """The metadata file of one kernel, as an argument for `write`."""
    return {f"kernel-metadata/{slug}/kernel-metadata.json": json.dumps(metadata_of(slug, **changes))}


def allowed(**changes) -> dict[str, str]:
    """The allow-list file."""
    sets = {"competitions": ["birdclef-2026"], "datasets": [], "kernels": [], "models": []} | changes
    return {"kernel-metadata/allowed-sources.json": json.dumps(sets)}


def project(root: Path, notebook: str, lib: dict[str, str] | None = None, slug: str = SUBMISSION, **changes) -> Path:
    """A project with one kernel, whose cells are given, and the lib files given (empty package files are added)."""
    files = {f"lib/{label}": text for label, text in (lib or {}).items()}
    packages = {f"{parent}/__init__.py" for label in files for parent in Path(label).parents if parent.parts}
    source = f"notebooks_src/{slug.removeprefix('pantanal-').replace('-', '_')}.py"
    made = {package: "" for package in packages} | files
    return write(root, made | kernel(slug, **changes) | allowed() | {source: HEADER + notebook})


def toy_wheel(folder: Path, version: str, name: str = "toypack", tag: str = "py3-none-any", body: str = "") -> Path:
    """A wheel of one module that holds its version."""
    files = {
        f"{name}/__init__.py": f"x = 'toy {version}'\n{body}",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{name}-{version}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    digests = {label: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for label, text in files.items()}
    record = [f"{label},sha256={digest.decode().rstrip('=')},{len(files[label])}" for label, digest in digests.items()]
    files[f"{name}-{version}.dist-info/RECORD"] = "\n".join([*record, f"{name}-{version}.dist-info/RECORD,,", ""])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for label, text in files.items():
            archive.writestr(zipfile.ZipInfo(label), text)
    return path
