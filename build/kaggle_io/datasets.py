"""One dataset of ours on Kaggle: whether it is there, its next version, when that is ready, and what it then holds."""

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

from kagglesdk.datasets.types import dataset_api_service as calls

from build.kaggle_io import client as kaggle_client
from build.kaggle_io.client import AnswerLost, KaggleTrouble, ask
from build.kaggle_io.push import StillUnknown
from lib.core.errors import BadInput, shortened

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
                got=f"not listed: {shortened(f'{name} of {size:,} bytes' for name, size in sorted(missing))}",
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
