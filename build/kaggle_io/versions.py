"""Queries about one version of a kernel on Kaggle: its status, its source, its outputs.

The client's own methods are not used for them: 2.2.4 returns the latest version whichever is requested.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from build.kaggle_io import client
from build.kaggle_io.client import KaggleError, OutcomeUnknown, call_kaggle, redact
from build.kaggle_io.push_log import PushRecord

NOT_THERE = (403, 404)  # Kaggle returns 403 for kernels that do not exist
FAILED = ("ERROR", "CANCEL_REQUESTED", "CANCEL_ACKNOWLEDGED")


@dataclass(frozen=True)
class Status:
    """The state of a version: QUEUED, RUNNING, COMPLETE, ERROR, CANCEL_…, NEW_SCRIPT; with the reason, if it failed."""

    name: str
    failure: str


@dataclass(frozen=True)
class Latest:
    """The latest version on Kaggle: its number, 0 where Kaggle gives none, and the notebook's text."""

    version: int
    source: str


def status_of(api, kernel: str, version: int) -> Status:
    """The status of one version of owner/slug; version 0 is the latest."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

    method, kind = "get_kernel_session_status", ApiGetKernelSessionStatusRequest
    response = _query(api, "get the status of", method, kind, kernel, version)
    return Status(response.status.name, redact(response.failure_message or ""))


def latest(api, kernel: str) -> Latest | None:
    """The latest version of owner/slug, or None where there is no such kernel."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelRequest

    try:
        response = _query(api, "look up", "get_kernel", ApiGetKernelRequest, kernel, 0)
    except KaggleError as trouble:
        if trouble.status in NOT_THERE:
            return None
        raise
    return Latest(response.metadata.current_version_number or 0, response.blob.source or "")


def outputs_of(api, kernel: str, version: int) -> tuple[list[tuple[str, str]], str]:
    """The (name, address) of every output file of one version, all pages, and the log as text."""
    from kagglesdk.kernels.types.kernels_api_service import ApiListKernelSessionOutputRequest

    method, kind = "list_kernel_session_output", ApiListKernelSessionOutputRequest
    files, log, page = [], "", ""
    while True:
        response = _query(api, "list the outputs of", method, kind, kernel, version, page_token=page)
        files += [(file.file_name, file.url) for file in response.files or []]
        log = log or response.log or ""
        page = response.next_page_token
        if not page:
            return files, _plain(log)


def same_cells(one: str, other: str) -> bool:
    """True when two notebooks have the same cells: Kaggle may reformat the JSON."""
    try:
        cells = [[(c["cell_type"], "".join(c["source"])) for c in json.loads(text)["cells"]] for text in (one, other)]
    except (ValueError, KeyError, TypeError):
        return False
    return cells[0] == cells[1]


def _query(api, what: str, method: str, kind: Callable, kernel: str, version: int, **fields):
    """The response to one of these queries."""
    request = kind()
    request.user_name, _, request.kernel_slug = kernel.partition("/")
    if version:
        request.version_label = f"v{version}"
    for name, value in fields.items():
        setattr(request, name, value)

    def call():
        with api.build_kaggle_client() as kaggle:
            return getattr(kaggle.kernels.kernels_api_client, method)(request)

    return call_kaggle(f"{what} {kernel}{f' version {version}' if version else ''}", call, repeatable=True)


def _plain(log: str) -> str:
    """The log as it was printed; Kaggle gives a list of {"time", "data"} in JSON."""
    try:
        return "".join(part["data"] for part in json.loads(log))
    except (ValueError, KeyError, TypeError):
        return log


POLL_EVERY_S, PRINT_EVERY_S = 15.0, 60.0
_REFUSED = (400, 401, 403, 404)


def wait_for_end(api, record: PushRecord, deadline_s: float) -> Status:
    """Wait until the version has ended, and return its status: COMPLETE, or one of FAILED."""
    started = printed_at = client.clock()
    shown = None
    while True:
        status = _status(api, record)
        now = client.clock()
        if status and (status.name != shown or now - printed_at >= PRINT_EVERY_S):
            shown, printed_at = status.name, now
            print(f"  {(now - started) / 60:6.1f} min  {record.kernel} version {record.version}: {shown}", flush=True)
        if status and (status.name == "COMPLETE" or status.name in FAILED):
            return status
        if now + POLL_EVERY_S > deadline_s:
            raise OutcomeUnknown(
                f"{record.kernel} version {record.version} has not ended",
                expected="COMPLETE within the time limit",
                got=status.name if status else "no response",
                do=f"run the same command again to go on waiting, or open {record.url}",
            )
        client.sleep(POLL_EVERY_S)


def _status(api, record: PushRecord) -> Status | None:
    """The status now, or None where Kaggle cannot be reached for the moment."""
    try:
        return status_of(api, record.kernel, record.version)
    except KaggleError as trouble:
        if trouble.status in _REFUSED:
            raise OutcomeUnknown(
                f"{record.kernel} version {record.version} is on Kaggle, and its status cannot be read",
                expected="a status",
                got=trouble.got,
                do=f"{trouble.do}; the same command goes on waiting; the run is at {record.url}",
            ) from None
        print(f"  {trouble.what}: {trouble.got}; the run goes on, so does the waiting", flush=True)
        return None
