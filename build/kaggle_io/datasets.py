"""Our datasets on Kaggle: pack sealed folders into archives, upload them, publish a version, check its files."""

import contextlib
import io
import re
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import requests
from kagglesdk.blobs.types.blob_api_service import ApiBlobType, ApiStartBlobUploadRequest
from kagglesdk.datasets.types import dataset_api_service as calls

from build.cli.exit_codes import Failed
from build.kaggle_io import client
from build.kaggle_io.client import KaggleError, OutcomeUnknown, call_kaggle, call_once
from build.kaggle_io.failures import error_reason, redact
from build.kernels import metadata
from lib.blend.recipe_file import load_recipes
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.paths import find_artifact, folders_below, manifest_kind
from lib.core.records import check_seal, identity_of, write_json
from lib.core.staging import complete_publications

READY, DEAD = "READY", ("FAILED", "DELETED")
_ABSENT = (403, 404)  # Kaggle returns both for one's own names; should it exist, creating it is refused
_POLL_EVERY_S = 10.0
_PAGE = 200
_ATTEMPTS, _PAUSE_S = 6, 2.0  # of an upload
_PASSING = (408, 429)  # of the statuses 400 to 499, those that do not end an upload
KINDS = ("prepared", "embedder", "member", "recipes")  # of the folders that are packed


@dataclass(frozen=True)
class Dataset:
    """A dataset by its names; each method is one call to Kaggle."""

    api: Any  # the Kaggle client
    owner: str
    slug: str

    @property
    def name(self) -> str:
        """Its name on Kaggle, owner/slug."""
        return f"{self.owner}/{self.slug}"

    def newest(self) -> tuple[int, str]:
        """The number of its newest version and that version's notes; 0 and nothing without such a dataset."""
        try:
            there = self._call("look up", "get_dataset", calls.ApiGetDatasetRequest())
        except KaggleError as error:
            if error.status in _ABSENT:
                return 0, ""
            raise
        number = there.current_version_number
        notes = {one.version_number: one.version_notes for one in there.versions or []}
        return number, notes.get(number) or there.description or ""  # the first version has no notes of its own

    def status(self) -> str:
        """What Kaggle is doing with its newest version."""
        return self._call("get the status of", "get_dataset_status", calls.ApiGetDatasetStatusRequest()).status.name

    def create(self, title: str, license_name: str, notes: str, tokens: list[str]) -> None:
        """Create it, private, from uploaded files."""
        request = calls.ApiCreateDatasetRequest()
        request.owner_slug, request.slug, request.title, request.description = self.owner, self.slug, title, notes
        request.license_name, request.is_private, request.files = license_name, True, _files(tokens)
        self._publish("create_dataset", request, notes, before=0)

    def add_version(self, notes: str, tokens: list[str], before: int) -> None:
        """Publish version `before` + 1 from uploaded files."""
        request = calls.ApiCreateDatasetVersionRequest()
        request.owner_slug, request.dataset_slug = self.owner, self.slug
        request.owner_slug, request.dataset_slug = self.owner, self.slug
        request.body = calls.ApiCreateDatasetVersionRequestBody()
        request.body.version_notes, request.body.files = notes, _files(tokens)
        self._publish("create_dataset_version", request, notes, before)

    def wait_until_ready(self, before: int, limit_s: float) -> None:
        """Return when a version newer than `before` is ready; a failed one, or the time limit, is an error."""
        start, printed = client.clock(), ""
        while True:
            try:
                status = self.status()
                ready = status == READY and self.newest()[0] > before
            except KaggleError as trouble:  # a fresh dataset may be unknown for a while
                status, ready = str(trouble.got), False
            if status in DEAD:
                raise Failed(
                    f"Kaggle could not make {self.name}",
                    expected=READY,
                    got=status,
                    do=f"open {self.page} for the reason, fix it, ship again",
                )
            if ready:
                return
            waited_s = client.clock() - start
            if waited_s > limit_s:
                raise OutcomeUnknown(
                    f"{self.name} was not ready in time",
                    expected=f"version {before + 1}, {READY}, within {limit_s:.0f} s",
                    got=f"{status} after {waited_s:.0f} s",
                    do="all is sent; the same command goes on waiting, and sends nothing twice",
                )
            if status != printed:
                print(f"{self.name}: {status.lower().replace('_', ' ')}, {waited_s:.0f} s", flush=True)
            printed = status
            client.sleep(_POLL_EVERY_S)

    @property
    def page(self) -> str:
        """Its address."""
        return f"https://www.kaggle.com/datasets/{self.name}"

    def check_files(self, sent: Counter) -> None:
        """Refuse a dataset that lacks a file; `sent` counts (file name without folders, bytes).

        Folders are not compared: Kaggle names them after the archive that it unpacked.
        """
        listed: Counter = Counter()
        request = calls.ApiListDatasetFilesRequest()
        request.page_size = _PAGE
        while True:
            response = self._call("list the files of", "list_dataset_files", request)
            listed += Counter((PurePosixPath(file.name).name, file.total_bytes) for file in response.files)
            if not response.next_page_token:
                break
            request.page_token = response.next_page_token
        if missing := sent - listed:
            raise Failed(
                f"{self.name} lacks files that were sent",
                expected=f"{sent.total()} files with their sizes",
                got=f"not listed: {shorten(f'{name} of {size:,} bytes' for name, size in sorted(missing))}",
                do=f"open {self.page}, then ship again",
            )

    def _publish(self, call: str, request: object, notes: str, before: int) -> None:
        """Make the one call that must not be made twice; after any trouble the new version is searched for."""

        def find() -> int | None:
            number, has = self.newest()
            return number if number > before and has in ("", notes) else None

        response = call_once(f"publish the dataset {self.name}", lambda: self._send(call, request), find)
        if isinstance(response, int):
            print(f"{self.name}: the new version is there", flush=True)
        elif response.error or response.status.lower() != "ok":
            raise Failed(
                f"Kaggle refused {self.name}",
                expected="status ok",
                got=redact(f"{response.status or 'no status'}: {response.error or 'without a reason'}"),
                do="fix what Kaggle names, then ship again: files that arrived are not sent twice",
            )

    def _call(self, what: str, call: str, request):
        """The response to a query of Kaggle's dataset service about this dataset."""
        request.owner_slug, request.dataset_slug = self.owner, self.slug
        return call_kaggle(f"{what} the dataset {self.name}", lambda: self._send(call, request), repeatable=True)

    def _send(self, call: str, request):
        """The response of Kaggle's dataset service."""
        with self.api.build_kaggle_client() as kaggle:
            return getattr(kaggle.datasets.dataset_api_client, call)(request)


def _files(tokens: list[str]) -> list:
    """The files of a request, by the tokens of their uploads."""
    files = []
    for token in tokens:
        file = calls.ApiDatasetNewFile()
        file.token = token
        files.append(file)
    return files


def pack_weights(runs: Path, folder: Path) -> list[Path]:
    """Write an archive of every sealed folder below `runs` into `folder`, with the dataset's metadata; return them."""
    sealed = sealed_folders(runs)
    _check_recipes(find_artifact("recipes", str(runs)), {name: check_seal(made) for name, made in sealed.items()})
    folder.mkdir(parents=True, exist_ok=True)
    archives = [write_archive(made, folder / f"{name}.zip") for name, made in sorted(sealed.items())]
    for other in set(folder.iterdir()) - set(archives):
        other.unlink()  # everything in the folder becomes part of the dataset
    write_json(folder / "dataset-metadata.json", metadata.dataset_metadata(metadata.WEIGHTS))
    return archives


def write_archive(sealed: Path, archive: Path) -> Path:
    """Write the archive of a folder, with the folder's name inside, so that it always unpacks to one folder.

    A file with the right bytes already is left alone: an interrupted upload is resumed only for the same time stamp.
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
    complete_publications(runs)
    sealed: dict[str, Path] = {}
    for made in (folder for folder in folders_below(runs, depth=6) if manifest_kind(folder) in KINDS):
        first = sealed.setdefault(made.name, made)
        if identity_of(first) != identity_of(made):
            raise BadInput(
                f"two different folders are called {made.name}",
                expected="one name for one thing: they become one dataset",
                got=f"{first} and {made}",
                do="remove one of them, or give --runs",
            )
    return sealed


def _check_recipes(recipes: Path, seals: dict[str, str]) -> None:
    """Refuse recipes whose members are not the very ones packed with them: 06 would refuse them on Kaggle."""
    for recipe in load_recipes(recipes):
        if wrong := [member.name for member in recipe.members if seals.get(member.name) != member.manifest]:
            raise BadInput(
                f"recipe {recipe.name} was made with other members than those at hand",
                expected=", ".join(f"{m.name} {m.manifest}" for m in recipe.members if m.name in wrong),
                got=shorten(f"{member} {seals.get(member, 'absent')}" for member in wrong),
                do="run 05 again on these members, then ship",
            )


def upload(api, path: Path, context) -> str:
    """Upload the whole file to Kaggle's store, and return its token.

    `context` is the client's ResumableUploadContext. The client's own loop is not used: where the store refuses a file
    it goes on, and the dataset is made without that file; and it keeps an expired upload for six days.
    """
    from kaggle.api.kaggle_api_extended import ResumableUploadResult  # late: importing it signs in

    state = context.new_resumable_file_upload(str(path.resolve()), _request(path))
    for attempt in range(1, _ATTEMPTS + 1):
        resumed = state.can_resume
        if not resumed:
            state.upload_initiated(
                call_kaggle(f"start the upload of {path.name}", lambda: _start(api, state), repeatable=True)
            )
        address = state.start_blob_upload_response.create_url
        result = _send(api, path, address, resumed)
        if result == ResumableUploadResult.COMPLETE:
            state.upload_completed()
            return state.get_token()
        if result == ResumableUploadResult.FAILED and (reason := _rejection(address, path)):
            state.cleanup()
            state.can_resume = False
            if not resumed:
                raise _not_uploaded(path, reason)
            print(f"{path.name}: the earlier upload has expired; starting again", flush=True)
        else:
            print(f"{path.name}: interrupted, attempt {attempt} of {_ATTEMPTS}", flush=True)
            client.sleep(_PAUSE_S * attempt)
    raise _not_uploaded(path, f"{_ATTEMPTS} interruptions")


def _send(api, path: Path, address: str, resume: bool) -> object:
    """Send the file by the client, and return its result; messages are shown without addresses, which hold secrets."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = api.upload_complete(str(path), address, quiet=not sys.stderr.isatty(), resume=resume)
    if printed.getvalue().strip():
        print(re.sub(r"\?\S+", "?…", redact(printed.getvalue().strip())), flush=True)
    return result


def _request(path: Path) -> ApiStartBlobUploadRequest:
    """The request that identifies the file to Kaggle and, for a resumption, to the client."""
    request = ApiStartBlobUploadRequest()
    request.type = ApiBlobType.DATASET
    request.name = path.name
    request.content_length = path.stat().st_size
    request.last_modified_epoch_seconds = int(path.stat().st_mtime)
    return request


def _start(api, state):
    """Kaggle's response: the address to send the file to, and its token."""
    with api.build_kaggle_client() as kaggle:
        return kaggle.blobs.blob_api_client.start_blob_upload(state.start_blob_upload_request)


def _rejection(address: str, path: Path) -> str:
    """The reason why the store refuses the rest of this upload; empty where it still accepts it."""
    headers = {"Content-Length": "0", "Content-Range": f"bytes */{path.stat().st_size}"}
    response = call_kaggle(
        f"get the state of the upload of {path.name}", lambda: requests.put(address, headers=headers), repeatable=True
    )
    if not 400 <= response.status_code < 500 or response.status_code in _PASSING:
        return ""
    return redact(f"HTTP {response.status_code}, {error_reason(response.text)}")


def _not_uploaded(path: Path, got: str) -> Failed:
    return Failed(
        f"{path.name} was not uploaded, and nothing was published",
        expected="the store accepts it whole",
        got=got,
        do="run the same command again: files that arrived are not sent twice",
    )
