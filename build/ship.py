"""Ship what was made at home to Kaggle as a private dataset: members, recipes and prepared tables, or wheels.

python -m build.ship weights [--runs runs/mini] [--dry]   pantanal-weights, one archive a sealed folder
python -m build.ship wheels [--dry]                       pantanal-wheels, what build/kaggle_io/wheels.py put into dist/wheels
"""

import argparse
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from build.kaggle_io.cli_exit import ended
from build.kaggle_io.client import connect, username
from build.kaggle_io.datasets import Dataset, pack_weights, upload
from build.kernels import metadata
from build.project import ROOT
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.records import read_json

METADATA = "dataset-metadata.json"
LIMIT_S = 1800.0
MAKE = {"weights": "run the notebooks 01, 02 and 05", "wheels": "run build/kaggle_io/wheels.py"}


@dataclass(frozen=True)
class Cargo:
    """A folder that is to become a dataset, or its next version."""

    slug: str
    title: str
    license_name: str
    files: dict[Path, str]  # each with its fingerprint

    @property
    def notes(self) -> str:
        """The version's notes: a fingerprint of all its files."""
        return f"pantanal {fingerprint.of_json({path.name: mark for path, mark in self.files.items()})}"

    @property
    def unpacked(self) -> Counter:
        """How often each (file name without folders, bytes) will be listed: Kaggle unpacks every .zip."""
        sizes: Counter = Counter()
        for path in self.files:
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    sizes.update((PurePosixPath(info.filename).name, info.file_size) for info in archive.infolist())
            else:
                sizes[path.name, path.stat().st_size] += 1
        return sizes


def load(folder: Path, make: str) -> Cargo:
    """The cargo in a folder with its dataset-metadata.json; `make` says how to make one that is not there."""
    if not (folder / METADATA).is_file():
        raise BadInput(f"nothing to ship in {folder}", expected=f"files and {METADATA}", got="none", do=make)
    told = read_json(folder / METADATA)
    paths = sorted(path for path in folder.iterdir() if path.name != METADATA)
    odd = [path.name for path in paths if not path.is_file() or "@" in path.name]
    if odd or not paths:
        raise BadInput(
            f"{folder} cannot become a dataset",
            expected="files only, no @ in their names: Kaggle skips folders, and fails on such names later",
            got=shorten(odd) or "no file",
            do=make,
        )
    return Cargo(
        told["id"].partition("/")[2],
        told["title"],
        told["licenses"][0]["name"],
        {p: fingerprint.of_file(p) for p in paths},
    )


def describe(cargo: Cargo, owner: str) -> str:
    """What would be sent, for people."""
    lines = [f"{path.stat().st_size:14,} bytes  {mark}  {path.name}" for path, mark in cargo.files.items()]
    total = sum(path.stat().st_size for path in cargo.files)
    head = f"dataset {owner}/{cargo.slug}, private, {cargo.title!r}, notes {cargo.notes!r}"
    return "\n".join([head, *lines, f"{total:14,} bytes in {len(lines)} files"])


def ship(api, owner: str, cargo: Cargo, limit_s: float) -> str:
    """The dataset's address, once its new version is ready and lists every file with its size."""
    from kaggle.api.kaggle_api_extended import ResumableUploadContext  # late: importing it signs in

    dataset = Dataset(api, owner, cargo.slug)
    before = dataset.version()
    with ResumableUploadContext() as context:  # what it remembers is forgotten only when no error leaves this block
        tokens = []
        for number, path in enumerate(cargo.files, start=1):
            print(f"[{number}/{len(cargo.files)}] {path.name}, {path.stat().st_size:,} bytes", flush=True)
            tokens.append(upload(api, path, context))
        if before:
            dataset.add_version(cargo.notes, tokens, before)
        else:
            dataset.create(cargo.title, cargo.license_name, tokens)
    dataset.wait(before, limit_s)
    dataset.check_holds(cargo.unpacked)
    return f"{dataset.page}, version {before + 1}, {cargo.unpacked.total()} files, each listed with its size"


def main(arguments: list[str], root: Path = ROOT) -> int:
    """0 when the dataset is ready and whole, 1 after an error, 3 when the time limit passed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("weights", "wheels"))
    parser.add_argument("--runs", type=Path, default=root / "runs/mini", help="where the notebooks' outputs are")
    parser.add_argument("--owner", help="the Kaggle user who gets the dataset; yourself unless given")
    parser.add_argument("--dry", action="store_true", help="say what would be sent, and send nothing")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help="how long to wait for Kaggle's processing")
    options = parser.parse_args(arguments)
    return ended(lambda: _send(options, root))


def _send(options: argparse.Namespace, root: Path) -> int:
    """Pack, say what would be sent, and unless that is all that is wanted, send it."""
    if options.what == "weights":
        pack_weights(options.runs, root / "dist" / "weights")
    cargo = load(root / "dist" / options.what, MAKE[options.what])
    if options.dry:
        print(describe(cargo, options.owner or metadata.PLACEHOLDER), "nothing was sent", sep="\n")
        return 0
    api = connect()
    owner = options.owner or username(api)
    print(describe(cargo, owner), flush=True)
    print(ship(api, owner, cargo, options.limit_s))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
