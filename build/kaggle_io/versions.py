"""Questions to Kaggle about one version of a kernel: its status, its source, its outputs.

The client's own methods are not used for them: 2.2.4 answers for the latest version whichever is asked for.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from build.kaggle_io import client as kaggle_client
from build.kaggle_io.client import KaggleTrouble, StillUnknown, ask, redacted
from build.kaggle_io.push_log import Pushed

NOT_THERE = (403, 404)  # Kaggle says 403 of kernels that do not exist
FAILED = ("ERROR", "CANCEL_REQUESTED", "CANCEL_ACKNOWLEDGED")


@dataclass(frozen=True)
class Status:
    """What a version is doing: QUEUED, RUNNING, COMPLETE, ERROR, CANCEL_…, NEW_SCRIPT; and why, if it failed."""

    name: str
    failure: str


@dataclass(frozen=True)
class Latest:
    """The latest version on Kaggle: its number, 0 where Kaggle does not say, and the notebook's text."""

    version: int
    source: str


def status_of(api, kernel: str, version: int) -> Status:
    """The status of one version of owner/slug; version 0 is the latest."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

    method, kind = "get_kernel_session_status", ApiGetKernelSessionStatusRequest
    answer = _ask(api, "ask for the status of", method, kind, kernel, version)
    return Status(answer.status.name, redacted(answer.failure_message or ""))


def latest(api, kernel: str) -> Latest | None:
    """The latest version of owner/slug, or None where there is no such kernel."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelRequest

    try:
        answer = _ask(api, "look up", "get_kernel", ApiGetKernelRequest, kernel, 0)
    except KaggleTrouble as trouble:
        if trouble.status in NOT_THERE:
            return None
        raise
    return Latest(answer.metadata.current_version_number or 0, answer.blob.source or "")


def outputs_of(api, kernel: str, version: int) -> tuple[list[tuple[str, str]], str]:
    """The (name, address) of every output file of one version, all pages, and the log as text."""
    from kagglesdk.kernels.types.kernels_api_service import ApiListKernelSessionOutputRequest

    method, kind = "list_kernel_session_output", ApiListKernelSessionOutputRequest
    files, log, page = [], "", ""
    while True:
        answer = _ask(api, "list the outputs of", method, kind, kernel, version, page_token=page)
        files += [(file.file_name, file.url) for file in answer.files or []]
        log = log or answer.log or ""
        page = answer.next_page_token
        if not page:
            return files, _plain(log)


def same_cells(one: str, other: str) -> bool:
    """True when two notebooks say the same: Kaggle may write the JSON anew."""
    try:
        cells = [[(c["cell_type"], "".join(c["source"])) for c in json.loads(text)["cells"]] for text in (one, other)]
    except (ValueError, KeyError, TypeError):
        return False
    return cells[0] == cells[1]


def _ask(api, what: str, method: str, kind: Callable, kernel: str, version: int, **fields):
    """The answer to one of these questions."""
    request = kind()
    request.user_name, _, request.kernel_slug = kernel.partition("/")
    if version:
        request.version_label = f"v{version}"
    for name, value in fields.items():
        setattr(request, name, value)

    def call():
        with api.build_kaggle_client() as client:
            return getattr(client.kernels.kernels_api_client, method)(request)

    return ask(f"{what} {kernel}{f' version {version}' if version else ''}", call, repeatable=True)


def _plain(log: str) -> str:
    """The log as it was printed; Kaggle gives a list of {"time", "data"} in JSON."""
    try:
        return "".join(part["data"] for part in json.loads(log))
    except (ValueError, KeyError, TypeError):
        return log


LOOK_EVERY_S, SAY_EVERY_S = 15.0, 60.0
_REFUSED = (400, 401, 403, 404)


def ended(api, pushed: Pushed, deadline_s: float) -> Status:
    """The status that the version ended with: COMPLETE, or one of FAILED."""
    started = said = kaggle_client.clock()
    shown = None
    while True:
        status = _status(api, pushed)
        now = kaggle_client.clock()
        if status and (status.name != shown or now - said >= SAY_EVERY_S):
            shown, said = status.name, now
            print(f"  {(now - started) / 60:6.1f} min  {pushed.kernel} version {pushed.version}: {shown}", flush=True)
        if status and (status.name == "COMPLETE" or status.name in FAILED):
            return status
        if now + LOOK_EVERY_S > deadline_s:
            raise StillUnknown(
                f"{pushed.kernel} version {pushed.version} has not ended",
                expected="COMPLETE within the time limit",
                got=status.name if status else "no answer",
                do=f"run the same command again to go on waiting, or look at {pushed.url}",
            )
        kaggle_client.sleep(LOOK_EVERY_S)


def _status(api, pushed: Pushed) -> Status | None:
    """The status now, or None where Kaggle cannot be reached for the moment."""
    try:
        return status_of(api, pushed.kernel, pushed.version)
    except KaggleTrouble as trouble:
        if trouble.status in _REFUSED:
            raise StillUnknown(
                f"{pushed.kernel} version {pushed.version} is on Kaggle, and its status cannot be read",
                expected="a status",
                got=trouble.got,
                do=f"{trouble.do}; the same command goes on waiting; the run is at {pushed.url}",
            ) from None
        print(f"  {trouble.what}: {trouble.got}; the run goes on, so does the waiting", flush=True)
        return None
