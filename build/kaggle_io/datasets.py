"""One dataset of ours on Kaggle: whether it is there, its next version, when that is ready, and what it then holds."""

import contextlib
import io
import re
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import requests
from kagglesdk.blobs.types.blob_api_service import ApiBlobType, ApiStartBlobUploadRequest
from kagglesdk.datasets.types import dataset_api_service as calls

from build.kaggle_io import client as kaggle_client
from build.kaggle_io.client import AnswerLost, KaggleTrouble, StillUnknown, ask, reason_in, redacted
from build.kernels import metadata
from lib.blend.recipe import load_recipes
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.paths import find_artifact, folders_below, manifest_kind
from lib.core.records import check_seal, write_json

_READY, _DEAD = "READY", ("FAILED", "DELETED")
_ABSENT = (403, 404)  # of one's own names Kaggle says both; should it exist, creating it is refused
_LOOK_EVERY_S, _LOOKS_AFTER_LOSS = 10.0, 3
_PAGE = 200


@dataclass(frozen=True)
class Dataset:
    """A dataset by its names; each method is one question or order to Kaggle."""

    api: object
    owner: str
    slug: str

    @property
    def name(self) -> str:
        """How Kaggle calls it."""
        return f"{self.owner}/{self.slug}"

    def version(self) -> int:
        """The number of its newest version; 0 where there is no such dataset."""
        try:
            return self._ask("look at", "get_dataset", calls.ApiGetDatasetRequest()).current_version_number
        except KaggleTrouble as trouble:
            if trouble.status in _ABSENT:
                return 0
            raise

    def create(self, title: str, license_name: str, tokens: list[str]) -> None:
        """Make it, private, of uploaded files."""
        request = calls.ApiCreateDatasetRequest()
        request.owner_slug, request.slug, request.title = self.owner, self.slug, title
        request.license_name, request.is_private, request.files = license_name, True, _files(tokens)
        self._publish("create_dataset", request, before=0)

    def add_version(self, notes: str, tokens: list[str], before: int) -> None:
        """Make version `before` + 1 of uploaded files."""
        request = calls.ApiCreateDatasetVersionRequest()
        request.owner_slug, request.dataset_slug = self.owner, self.slug
        request.body = calls.ApiCreateDatasetVersionRequestBody()
        request.body.version_notes, request.body.files = notes, _files(tokens)
        self._publish("create_dataset_version", request, before)

    def wait(self, before: int, limit_s: float) -> None:
        """Come back when a version newer than `before` is ready; a failed one, or the time limit, is an error."""
        start, said = kaggle_client.clock(), ""
        while True:
            status = self._ask("ask after", "get_dataset_status", calls.ApiGetDatasetStatusRequest()).status.name
            if status in _DEAD:
                raise BadInput(
                    f"Kaggle could not make {self.name}",
                    expected=_READY,
                    got=status,
                    do=f"look at {self.page} for the reason, mend it, ship again",
                )
            if status == _READY and self.version() > before:
                return
            waited_s = kaggle_client.clock() - start
            if waited_s > limit_s:
                raise StillUnknown(
                    f"{self.name} was not ready in time",
                    expected=f"version {before + 1}, {_READY}, within {limit_s:.0f} s",
                    got=f"{status} after {waited_s:.0f} s",
                    do=f"all is sent; look at {self.page} in some minutes",
                )
            if status != said:
                print(f"{self.name}: {status.lower().replace('_', ' ')}, {waited_s:.0f} s", flush=True)
            said = status
            kaggle_client.sleep(_LOOK_EVERY_S)

    @property
    def page(self) -> str:
        """Its address."""
        return f"https://www.kaggle.com/datasets/{self.name}"

    def check_holds(self, sent: Counter) -> None:
        """Refuse a dataset that lacks a file; `sent` counts (file name without folders, bytes).

        Folders are not compared: Kaggle names them after the archive that it unpacked.
        """
        listed, request = Counter(), calls.ApiListDatasetFilesRequest()
        request.page_size = _PAGE
        while True:
            answer = self._ask("list the files of", "list_dataset_files", request)
            listed += Counter((PurePosixPath(file.name).name, file.total_bytes) for file in answer.files)
            if not answer.next_page_token:
                break
            request.page_token = answer.next_page_token
        if missing := sent - listed:
            raise BadInput(
                f"{self.name} lacks files that were sent",
                expected=f"{sent.total()} files with their sizes",
                got=f"not listed: {shorten(f'{name} of {size:,} bytes' for name, size in sorted(missing))}",
                do=f"look at {self.page}, then ship again",
            )

    def _publish(self, call: str, request: object, before: int) -> None:
        """Give the one order that must not be given twice; a lost answer is looked for before anything is said."""
        try:
            answer = self._ask("publish", call, request, repeatable=False)
        except AnswerLost:
            for _ in range(_LOOKS_AFTER_LOSS):
                if self.version() > before:
                    print(f"{self.name}: the answer was lost, but the new version is there", flush=True)
                    return
                kaggle_client.sleep(_LOOK_EVERY_S)
            raise
        if answer.error or answer.status.lower() != "ok":
            raise BadInput(
                f"Kaggle refused {self.name}",
                expected="status ok",
                got=f"{answer.status or 'no status'}: {answer.error or 'without a reason'}",
                do="mend what Kaggle names, then ship again: what arrived is not sent twice",
            )

    def _ask(self, what: str, call: str, request, *, repeatable: bool = True):
        """Kaggle's answer to one call of the dataset service, about this dataset."""
        if hasattr(request, "dataset_slug"):
            request.owner_slug, request.dataset_slug = self.owner, self.slug

        def asked():
            with self.api.build_kaggle_client() as kaggle:
                return getattr(kaggle.datasets.dataset_api_client, call)(request)

        return ask(f"{what} the dataset {self.name}", asked, repeatable=repeatable)


def _files(tokens: list[str]) -> list:
    """The files of a request, by the tokens of their uploads."""
    files = []
    for token in tokens:
        file = calls.ApiDatasetNewFile()
        file.token = token
        files.append(file)
    return files


KINDS = ("prepared", "embedder", "member", "recipes")


def pack_weights(runs: Path, folder: Path) -> list[Path]:
    """The archives, now in `folder` beside the dataset's metadata, of every sealed folder below `runs`."""
    sealed = sealed_folders(runs)
    _check_recipes(find_artifact("recipes", str(runs)), {name: check_seal(made) for name, made in sealed.items()})
    folder.mkdir(parents=True, exist_ok=True)
    archives = [write_archive(made, folder / f"{name}.zip") for name, made in sorted(sealed.items())]
    for stranger in set(folder.iterdir()) - set(archives):
        stranger.unlink()  # everything in the folder becomes part of the dataset
    write_json(folder / "dataset-metadata.json", metadata.of_dataset(metadata.WEIGHTS))
    return archives


def write_archive(sealed: Path, archive: Path) -> Path:
    """The archive of a folder, its name inside too, so that it unpacks to one folder whoever unpacks it.

    A file with the right bytes already is left alone: an interrupted upload is continued only for the same time stamp.
    """
    aside = archive.with_name(f".{archive.name}")
    with zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as inside:  # stored: compressors differ between versions
        for path in sorted(path for path in sealed.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{sealed.name}/{path.relative_to(sealed).as_posix()}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr, entry.file_size = 0o644 << 16, path.stat().st_size
            with path.open("rb") as source, inside.open(entry, "w") as copy:
                while block := source.read(1 << 20):
                    copy.write(block)
    if archive.is_file() and fingerprint.of_file(archive) == fingerprint.of_file(aside):
        aside.unlink()
    else:
        aside.replace(archive)
    return archive


def sealed_folders(runs: Path) -> dict[str, Path]:
    """Every sealed folder below `runs` by its name; two different ones of one name are an error."""
    sealed: dict[str, Path] = {}
    for made in (folder for folder in folders_below(runs, depth=6) if manifest_kind(folder) in KINDS):
        twin = sealed.setdefault(made.name, made)
        if (twin / "manifest.json").read_bytes() != (made / "manifest.json").read_bytes():
            raise BadInput(
                f"two different folders are called {made.name}",
                expected="one name for one thing: they become one dataset",
                got=f"{twin} and {made}",
                do="remove the one that you do not want to ship, or give --runs",
            )
    return sealed


def _check_recipes(recipes: Path, seals: dict[str, str]) -> None:
    """Refuse recipes whose members are not the very ones that would travel with them: 06 would refuse them there."""
    for recipe in load_recipes(recipes):
        if wrong := [member.name for member in recipe.members if seals.get(member.name) != member.manifest]:
            raise BadInput(
                f"recipe {recipe.name} was made with other members than those at hand",
                expected=", ".join(f"{m.name} {m.manifest}" for m in recipe.members if m.name in wrong),
                got=shorten(f"{member} {seals.get(member, 'absent')}" for member in wrong),
                do="run 05 again on these members, then ship",
            )


_ATTEMPTS = 6
_PAUSE_S = 2.0
_PASSING = (408, 429)  # of the statuses 400 to 499, those that do not end an upload


def upload(api, path: Path, context) -> str:
    """The token of the file, all of whose bytes are now in the store.

    `context` is the client's ResumableUploadContext. The client's own loop is not used: where the store refuses a file
    it goes on, and the dataset is made without that file; and it remembers an expired upload for six days.
    """
    from kaggle.api.kaggle_api_extended import ResumableUploadResult  # late: importing it signs in

    state = context.new_resumable_file_upload(str(path.resolve()), _request(path))
    for attempt in range(1, _ATTEMPTS + 1):
        resumed = state.can_resume
        if not resumed:
            state.upload_initiated(ask(f"start the upload of {path.name}", lambda: _start(api, state), repeatable=True))
        address = state.start_blob_upload_response.create_url
        result = _send(api, path, address, resumed)
        if result == ResumableUploadResult.COMPLETE:
            state.upload_completed()
            return state.get_token()
        if result == ResumableUploadResult.FAILED and (end := _end_of(address, path)):
            state.cleanup()
            state.can_resume = False
            if not resumed:
                raise _not_uploaded(path, end)
            print(f"{path.name}: what was sent before has expired; from the beginning", flush=True)
        else:
            print(f"{path.name}: interrupted, attempt {attempt} of {_ATTEMPTS}", flush=True)
            kaggle_client.sleep(_PAUSE_S * attempt)
    raise _not_uploaded(path, f"{_ATTEMPTS} interruptions")


def _send(api, path: Path, address: str, resume: bool) -> object:
    """The client's result; what it prints of a failure is shown without addresses, which are as good as passwords."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        result = api.upload_complete(str(path), address, quiet=not sys.stderr.isatty(), resume=resume)
    if said.getvalue().strip():
        print(re.sub(r"\?\S+", "?…", redacted(said.getvalue().strip())), flush=True)
    return result


def _request(path: Path) -> ApiStartBlobUploadRequest:
    """What identifies the file to Kaggle and, for a resumption, to the client."""
    request = ApiStartBlobUploadRequest()
    request.type = ApiBlobType.DATASET
    request.name = path.name
    request.content_length = path.stat().st_size
    request.last_modified_epoch_seconds = int(path.stat().st_mtime)
    return request


def _start(api, state):
    """Kaggle's answer: where to send the file, and its token."""
    with api.build_kaggle_client() as kaggle:
        return kaggle.blobs.blob_api_client.start_blob_upload(state.start_blob_upload_request)


def _end_of(address: str, path: Path) -> str:
    """Why the store will never take more of this upload, in its own words; empty where it still would."""
    headers = {"Content-Length": "0", "Content-Range": f"bytes */{path.stat().st_size}"}
    answer = ask(
        f"ask after the upload of {path.name}", lambda: requests.put(address, headers=headers), repeatable=True
    )
    if not 400 <= answer.status_code < 500 or answer.status_code in _PASSING:
        return ""
    return redacted(f"HTTP {answer.status_code}, {reason_in(answer.text)}")


def _not_uploaded(path: Path, got: str) -> BadInput:
    return BadInput(
        f"{path.name} was not uploaded, and nothing was published",
        expected="the store to take it whole",
        got=got,
        do="run the same command again: what arrived is not sent twice",
    )
