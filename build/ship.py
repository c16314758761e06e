"""Ship local outputs to Kaggle as a private dataset: members, recipes and prepared tables, or wheels.

python -m build.ship weights [--runs runs/mini] [--dry]   pantanal-weights, one archive a sealed folder
python -m build.ship wheels [--dry]                       pantanal-wheels, of the wheels in dist/wheels
"""

import zipfile
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from build.cli.exit_codes import DONE, Failed, Parser, end, tool
from build.kaggle_io.client import connect, username
from build.kaggle_io.datasets import DEAD, Dataset, pack_weights, upload
from build.kaggle_io.lock import kaggle_lock
from build.kernels import metadata
from build.project import ROOT
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.records import read_json

METADATA = "dataset-metadata.json"
LIMIT_S = 1800.0
MAKE = {"weights": "run the notebooks 01, 02 and 05", "wheels": "run build/kaggle_io/wheels.py"}


@dataclass(frozen=True)
class DatasetFolder:
    """A folder that is to become a dataset, or its next version."""

    slug: str
    title: str
    license_name: str
    files: dict[Path, str]  # with fingerprints

    @property
    def notes(self) -> str:
        """The version's notes: a fingerprint of all its files."""
        return f"pantanal {fingerprint.of_json({path.name: mark for path, mark in self.files.items()})}"

    @property
    def unpacked(self) -> Counter:
        """The count of each (file name without folders, bytes) in Kaggle's list: Kaggle unpacks every .zip."""
        sizes: Counter = Counter()
        for path in self.files:
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    sizes.update((PurePosixPath(info.filename).name, info.file_size) for info in archive.infolist())
            else:
                sizes[path.name, path.stat().st_size] += 1
        return sizes


def load_folder(folder: Path, make: str) -> DatasetFolder:
    """Read a folder with its dataset-metadata.json; `make` is the instruction in the error where it is missing."""
    if not (folder / METADATA).is_file():
        raise BadInput(f"nothing to ship in {folder}", expected=f"files and {METADATA}", got="none", do=make)
    described = read_json(folder / METADATA)
    paths = sorted(path for path in folder.iterdir() if path.name != METADATA)
    odd = [path.name for path in paths if not path.is_file() or "@" in path.name]
    if odd or not paths:
        raise BadInput(
            f"{folder} cannot become a dataset",
            expected="files only, no @ in their names: Kaggle skips folders, and fails on such names later",
            got=shorten(odd) or "no file",
            do=make,
        )
    return DatasetFolder(
        described["id"].partition("/")[2],
        described["title"],
        described["licenses"][0]["name"],
        {p: fingerprint.of_file(p) for p in paths},
    )


def summarise(dataset_folder: DatasetFolder, owner: str) -> str:
    """A summary of the files to send."""
    lines = [f"{path.stat().st_size:14,} bytes  {mark}  {path.name}" for path, mark in dataset_folder.files.items()]
    total = sum(path.stat().st_size for path in dataset_folder.files)
    head = f"dataset {owner}/{dataset_folder.slug}, private, {dataset_folder.title!r}, notes {dataset_folder.notes!r}"
    return "\n".join([head, *lines, f"{total:14,} bytes in {len(lines)} files"])


def ship(api, owner: str, dataset_folder: DatasetFolder, limit_s: float) -> str:
    """Publish the folder, unless it is there, wait until Kaggle lists every file with its size; return its address."""
    dataset = Dataset(api, owner, dataset_folder.slug)
    number, notes = dataset.newest()
    if notes == dataset_folder.notes and dataset.status() not in DEAD:
        print(f"{dataset.name} version {number} was made of these very files: nothing is sent", flush=True)
        try:
            return _check(dataset, dataset_folder, number, limit_s)
        except Failed as error:
            print(f"{error}\nit is sent again", flush=True)
    _publish(api, dataset, dataset_folder, number)
    return _check(dataset, dataset_folder, number + 1, limit_s)


def _publish(api, dataset: Dataset, dataset_folder: DatasetFolder, before: int) -> None:
    """Upload the files and publish them as the version after `before`."""
    from kaggle.api.kaggle_api_extended import ResumableUploadContext  # late: importing it signs in

    with ResumableUploadContext() as context:  # its notes on uploads are deleted only when no error leaves this block
        tokens = []
        for number, path in enumerate(dataset_folder.files, start=1):
            print(f"[{number}/{len(dataset_folder.files)}] {path.name}, {path.stat().st_size:,} bytes", flush=True)
            tokens.append(upload(api, path, context))
        if before:
            dataset.add_version(dataset_folder.notes, tokens, before)
        else:
            dataset.create(dataset_folder.title, dataset_folder.license_name, dataset_folder.notes, tokens)


def _check(dataset: Dataset, dataset_folder: DatasetFolder, version: int, limit_s: float) -> str:
    """Wait until the version is ready, check its list of files, and return a sentence with its address."""
    dataset.wait_until_ready(version - 1, limit_s)
    dataset.check_files(dataset_folder.unpacked)
    return f"{dataset.page}, version {version}, {dataset_folder.unpacked.total()} files, each listed with its size"


@tool
def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    parser = Parser(__doc__)
    parser.add_argument("what", choices=("weights", "wheels"))
    parser.add_argument("--runs", type=Path, default=root / "runs/mini", help="where the notebooks' outputs are")
    parser.add_argument("--owner", help="the Kaggle user who gets the dataset; yourself unless given")
    parser.add_argument("--dry", action="store_true", help="print what would be sent, and send nothing")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help="how long to wait for Kaggle's processing")
    options = parser.parse_args(arguments)
    with kaggle_lock(root) if not options.dry else nullcontext():
        if options.what == "weights":
            pack_weights(options.runs, root / "dist" / "weights")
        dataset_folder = load_folder(root / "dist" / options.what, MAKE[options.what])
        if options.dry:
            print(summarise(dataset_folder, options.owner or metadata.PLACEHOLDER), "nothing was sent", sep="\n")
            return DONE
        api = connect()
        owner = options.owner or username(api)
        print(summarise(dataset_folder, owner), flush=True)
        print(ship(api, owner, dataset_folder, options.limit_s))
    return DONE


if __name__ == "__main__":
    end(main)
