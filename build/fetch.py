"""Fetch files from Kaggle to this machine: the competition's files, frozen embedders, a pushed kernel's outputs.

python -m build.fetch data                    the competition's files into data/real/public/birdclef-2026
python -m build.fetch perch|birdnet           an embedder into data/perch or data/birdnet (--handle: another one)
python -m build.fetch outputs infer           log and outputs of a kernel's newest version (--version N: of that one)
"""

from collections.abc import Callable
from pathlib import Path

import requests
from kagglesdk.competitions.types.competition_api_service import ApiDownloadDataFilesRequest
from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest
from kagglesdk.models.types.model_api_service import ApiDownloadModelInstanceVersionRequest
from kagglesdk.models.types.model_enums import ModelFramework

from build import watch
from build.cli.exit_codes import DONE, Failed, Parser, end, tool
from build.kaggle_io.client import KaggleError, connect
from build.kaggle_io.downloads import download, unpack
from build.project import ROOT
from lib.core.errors import BadInput
from lib.core.paths import MARKERS, REAL, SLUG

# As in public solutions of 2026. A dataset is owner/slug[/version], a model has five parts.
HANDLES = {"perch": "rishikeshjani/perch-onnx-for-birdclef-2026", "birdnet": "nehpadvi/birdnet-v3-0"}
RULES_PAGE = f"https://www.kaggle.com/competitions/{SLUG}/rules"
_ROOM = 2  # the archive and what it holds lie side by side until the archive is removed


def fetch_data(api, folder: Path) -> None:
    """Download the competition's files into `folder`, unpacked, unless they are there already."""
    if all((folder / marker).is_file() for marker in MARKERS):
        print(f"{folder} holds the competition's files already")
        return
    try:
        _fetch_archive(f"the files of {SLUG}", lambda: _competition(api), folder)
    except KaggleError as error:
        if error.status != 403:
            raise
        raise BadInput(
            "Kaggle does not give you the competition's files",
            expected="the competition's rules accepted, by the user of this token",
            got=error.got,
            do=f'open {RULES_PAGE}, click "I Understand and Accept" (it may require your phone first), fetch again',
        ) from None
    if missing := [marker for marker in MARKERS if not (folder / marker).is_file()]:
        raise Failed(
            f"{folder} is not the competition's folder",
            expected=f"{', '.join(MARKERS)} in it",
            got=f"no {', '.join(missing)}",
            do=f"open {RULES_PAGE.removesuffix('rules')}data for the files that the competition offers now",
        )


def fetch_handle(api, handle: str, folder: Path) -> None:
    """Download a dataset's or a model's files into `folder`, unpacked, unless it holds files already."""
    if folder.is_dir() and any(folder.iterdir()):
        print(f"{folder} holds files already; remove it to fetch {handle} again")
        return
    request = {2: _dataset, 3: _dataset, 5: _model}.get(len(handle.split("/")))
    if not request or not all(handle.split("/")):
        raise BadInput(
            "the handle names neither a dataset nor a model",
            expected="owner/slug, owner/slug/version, or owner/model/framework/variation/version",
            got=handle,
            do="copy it from the address of its page",
        )
    _fetch_archive(handle, lambda: request(api, handle), folder)


def _fetch_archive(what: str, request: Callable[[], requests.Response], folder: Path) -> None:
    """Download one archive beside `folder` and unpack it there; what an interrupted call did is not repeated."""
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput(
            f"{folder} is in the way of {what}",
            expected="no such folder, or an empty one",
            got=f"{len(list(folder.iterdir()))} entries",
            do="move it away, or give another folder by --to",
        )
    archive = folder.with_name(f"{folder.name}.archive")
    if not archive.is_file():
        download(what, request, archive, room=_ROOM)
    count = unpack(archive, folder)
    print(f"{count} files in {folder}")


def _competition(api) -> requests.Response:
    """Kaggle's response to a request for all files of the competition."""
    request = ApiDownloadDataFilesRequest()
    request.competition_name = SLUG
    with api.build_kaggle_client() as kaggle:
        return kaggle.competitions.competition_api_client.download_data_files(request)


def _dataset(api, handle: str) -> requests.Response:
    """Kaggle's response to a request for all files of a dataset."""
    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug, version = api.split_dataset_string(handle)
    request.dataset_version_number = int(version) if version else None
    with api.build_kaggle_client() as kaggle:
        return kaggle.datasets.dataset_api_client.download_dataset(request)


def _model(api, handle: str) -> requests.Response:
    """Kaggle's response to a request for all files of a model's version."""
    request = ApiDownloadModelInstanceVersionRequest()
    request.owner_slug, request.model_slug, framework, request.instance_slug, version = handle.split("/")
    request.framework = api.lookup_enum(ModelFramework, ModelFramework.MODEL_FRAMEWORK_API, framework)
    request.version_number = int(version)
    with api.build_kaggle_client() as kaggle:
        return kaggle.models.model_api_client.download_model_instance_version(request)


@tool
def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    options = _parser().parse_args(arguments)
    if options.what == "outputs":
        version = ["--version", str(options.version)] if options.version else []
        return watch.main(["outputs", options.kernel, *version], root)
    folder = options.to or root / (REAL if options.what == "data" else f"data/{options.what}")
    if options.what == "data":
        fetch_data(connect(), folder)
    else:
        fetch_handle(connect(), options.handle, folder)
    return DONE


def _parser() -> Parser:
    """The parser of the command line, with a subcommand for each source."""
    parser = Parser(__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    for name in ("data", *HANDLES):
        one = commands.add_parser(name)
        one.add_argument("--to", type=Path, help="the folder; below data/ unless given")
        if name in HANDLES:
            one.add_argument("--handle", default=HANDLES[name], help="a dataset or model (%(default)s)")
    outputs = commands.add_parser("outputs")
    outputs.add_argument("kernel", help="prep … infer, or a slug")
    outputs.add_argument("--version", type=int, help="the newest unless given")
    return parser


if __name__ == "__main__":
    end(main)
