"""Queries about one version of a kernel on Kaggle: its status, its source, its outputs.

The client's own methods are not used for them: 2.2.4 returns the latest version whichever is requested.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from build.kaggle_io import client
from build.kaggle_io.client import KaggleError, OutcomeUnknown, call_kaggle
from build.kaggle_io.failures import redact
from build.kaggle_io.push_log import PushRecord

SOURCES = {  # kind -> its key in the request of a push, its field in a kernel's metadata
    "competitions": ("competitionDataSources", "competition_data_sources"),
    "kernels": ("kernelDataSources", "kernel_data_sources"),
    "datasets": ("datasetDataSources", "dataset_data_sources"),
    "models": ("modelDataSources", "model_data_sources"),
}
_PREFIX = re.compile("^(datasets|code|competitions|c|models)/")  # seen on some names in pulled metadata
NOT_THERE = (403, 404)  # Kaggle returns 403 for kernels that do not exist
FAILED = ("ERROR", "CANCEL_REQUESTED", "CANCEL_ACKNOWLEDGED")


@dataclass(frozen=True)
class Status:
    """The state of a version: QUEUED, RUNNING, COMPLETE, ERROR, CANCEL_…, NEW_SCRIPT; with the reason, if it failed."""

    name: str
    failure: str


@dataclass(frozen=True)
class Latest:
    """The latest version on Kaggle: its number, 0 where Kaggle gives none, its notebook's text, its sources by kind."""

    version: int
    source: str
    sources: dict[str, list[str]]


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
    described = response.metadata
    sources = {kind: list(getattr(described, field) or []) for kind, (_, field) in SOURCES.items()}
    return Latest(described.current_version_number or 0, response.blob.source or "", sources)


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
            return files, redact(_plain(log))


def dropped_sources(request: dict, there: Latest) -> list[str]:
    """The sources in the request of a push that the version on Kaggle lacks, each with its kind."""
    dropped = []
    for kind, (key, _) in SOURCES.items():
        has = [_PREFIX.sub("", name).lower() for name in there.sources[kind]]
        for source in request.get(key, []):
            if not any(name == source.lower() or name.startswith(f"{source.lower()}/") for name in has):
                dropped.append(f"{kind}: {source}")
    return dropped


def find_version(api, kernel: str, text: str, after: int) -> Latest | None:
    """The latest version, where it has this notebook and is newer than `after`; or None."""
    there = latest(api, kernel)
    if there is None or not same_cells(there.source, text):
        return None
    if not there.version:
        raise OutcomeUnknown(
            f"the response to the push of {kernel} was lost",
            expected="the number of the version with this notebook",
            got="this notebook, and no number",
            do=f"check https://www.kaggle.com/code/{kernel} before you push again",
        )
    return there if there.version > after else None


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
REFUSALS_BORNE = 8  # in a row: for a fresh version Kaggle may return 404 for a while


def wait_for_end(api, record: PushRecord, deadline_s: float) -> Status:
    """Wait until the version has ended, printing its log's new lines, and return its status: COMPLETE or a failure."""
    started = printed_at = client.clock()
    name, version, shown, printed_lines, refusals = record.kernel, record.version, "", 0, 0
    while True:
        status = Status("", "no response")
        try:
            status, refusals = status_of(api, name, version), 0
        except KaggleError as trouble:
            refusals = refusals + 1 if 400 <= (trouble.status or 0) < 500 else 0
            if refusals > REFUSALS_BORNE:
                raise OutcomeUnknown(
                    f"{name} version {version} is on Kaggle, and its status cannot be read",
                    expected="a status",
                    got=trouble.got,
                    do=f"{trouble.do}; the same command goes on waiting; the run is at {record.url}",
                ) from None
            print(f"  {trouble.what}: {trouble.got}; the run goes on, so does the waiting", flush=True)
        now = client.clock()
        if status.name and (status.name != shown or now - printed_at >= PRINT_EVERY_S):
            shown, printed_at = status.name, now
            print(f"  {(now - started) / 60:6.1f} min  {name} version {version}: {shown}", flush=True)
        if status.name == "COMPLETE" or status.name in FAILED:
            return status
        if status.name == "RUNNING":
            printed_lines = _print_new_lines(api, name, version, printed_lines)
        if now + POLL_EVERY_S > deadline_s:
            raise OutcomeUnknown(
                f"{name} version {version} has not ended",
                expected="COMPLETE within the time limit",
                got=status.name or status.failure,
                do=f"run the same command again to go on waiting, or open {record.url}",
            )
        client.sleep(POLL_EVERY_S)


def _print_new_lines(api, kernel: str, version: int, printed: int) -> int:
    """Print the lines of a running kernel's log after the first `printed`, and return their number."""
    try:
        lines = outputs_of(api, kernel, version)[1].splitlines()
    except KaggleError:  # a log that is not there yet is no trouble
        return printed
    for line in lines[printed:]:
        print(f"    | {line}", flush=True)
    return max(printed, len(lines))
