"""Push a kernel once: wait for a free session, search for a version whose response was lost, refuse dropped sources."""

import re
from pathlib import Path

from build.kaggle_io import client
from build.kaggle_io.client import OutcomeUnknown, ResponseLost, call_kaggle, redact
from build.kaggle_io.push_log import PushRecord, last_push, now, save_push
from build.kaggle_io.request import request_fingerprint
from build.kaggle_io.versions import Latest, latest, same_cells
from lib.core.errors import BadInput

QUEUE_PAUSE_S = 60.0
LOOKS_S = (2.0, 5.0, 10.0, 20.0)  # pauses before each search for a version whose response was lost
_SESSION_LIMIT = re.compile(r"(?i)session count|session limit|too many .*sessions")
_INVALID = {
    "invalid_tags": "tags",
    "invalid_dataset_sources": "datasets",
    "invalid_competition_sources": "competitions",
    "invalid_kernel_sources": "kernels",
    "invalid_model_sources": "models",
}


class SourcesDropped(BadInput):
    """The version was made and runs, but without some of its sources; `record` holds its number."""

    record: PushRecord


def unfinished_push(root: Path, slug: str, request: dict) -> PushRecord | None:
    """The push of this very request that was sent, or on its way, when an earlier call ended; or None."""
    last = _same_push(root, slug, request)
    return last if last and not last.status else None


def complete_push(root: Path, slug: str, request: dict, since: str) -> PushRecord | None:
    """The push of this very request that was made after `since` and is known to be COMPLETE; or None."""
    last = _same_push(root, slug, request)
    return last if last and last.status == "COMPLETE" and last.pushed_at >= since else None


def _same_push(root: Path, slug: str, request: dict) -> PushRecord | None:
    """The last push of the kernel, if it sent the same request."""
    last = last_push(root, slug)
    same = last and (last.kernel, last.sha) == (request["slug"], request_fingerprint(request))
    return last if same else None


def push_once(api, root: Path, folder: Path, request: dict, deadline_s: float) -> PushRecord:
    """Push the built folder, whose request this is, and record the version; an unfinished push is resumed instead."""
    kernel, earlier = request["slug"], unfinished_push(root, folder.name, request)
    if earlier and earlier.version:
        print(
            f"{kernel} version {earlier.version} was pushed at {earlier.pushed_at}: waiting for it, not pushing again"
        )
        return earlier
    on_kaggle = latest(api, kernel)
    if earlier and (version := _lost_version(on_kaggle, kernel, request["text"], earlier.version_before)):
        return _record_version(root, earlier, version, "")
    version_before = on_kaggle.version if on_kaggle else 0
    sent = PushRecord(kernel, request_fingerprint(request), version_before, 0, "", now(), status="")
    save_push(root, sent)
    for losses_left in (2, 1, 0):
        try:
            version, url, dropped = _send(api, folder, kernel, deadline_s)
        except ResponseLost as lost:
            print(f"{lost.what}: {lost.got}; checking whether Kaggle has the version", flush=True)
            version, url, dropped = _find_lost_version(api, kernel, request["text"], version_before), "", []
            if not version and not losses_left:
                raise
        if version:
            record = _record_version(root, sent, version, url)
            if dropped:
                raise _sources_dropped(record, dropped)
            return record
    raise AssertionError("the last loss is raised")


def _record_version(root: Path, sent: PushRecord, version: int, url: str) -> PushRecord:
    """Save the push with the version that Kaggle made of it, and return it."""
    page = url or f"https://www.kaggle.com/code/{sent.kernel}"
    record = PushRecord(sent.kernel, sent.sha, sent.version_before, version, page, sent.pushed_at, status="")
    save_push(root, record)
    print(f"{sent.kernel} version {version} is on Kaggle: {page}", flush=True)
    return record


def _send(api, folder: Path, kernel: str, deadline_s: float) -> tuple[int, str, list[str]]:
    """The version's number and page, and the sources that Kaggle dropped; waits while no session is free."""
    while True:
        response = call_kaggle(f"push {kernel}", lambda: api.kernels_push(str(folder)), repeatable=False)
        error = redact(response.error or "")
        if not (error and _SESSION_LIMIT.search(error)):
            break
        if client.clock() + QUEUE_PAUSE_S > deadline_s:
            raise OutcomeUnknown(
                f"{kernel} was not pushed: no session became free",
                expected="a free session within the time limit",
                got=error,
                do="end other runs on kaggle.com, or run this again later",
            )
        print(f"{kernel} waits for a free session: {error}; again in {QUEUE_PAUSE_S:.0f} s", flush=True)
        client.sleep(QUEUE_PAUSE_S)
    if error or not response.version_number:
        raise BadInput(
            f"{kernel} was not pushed",
            expected="a version number and no error",
            got=error or "neither of them",
            do="fix what Kaggle names, and push again",
        )
    dropped = [
        f"{what}: {', '.join(getattr(response, key))}" for key, what in _INVALID.items() if getattr(response, key)
    ]
    return response.version_number, response.url, dropped


def _find_lost_version(api, kernel: str, text: str, version_before: int) -> int:
    """The number of the version with this notebook that is newer than `version_before`, or 0 when none appears."""
    for pause_s in LOOKS_S:
        client.sleep(pause_s)
        if version := _lost_version(latest(api, kernel), kernel, text, version_before):
            return version
    return 0


def _lost_version(on_kaggle: Latest | None, kernel: str, text: str, version_before: int) -> int:
    """The number of the latest version, if it came of a push of this notebook whose response was lost; or 0."""
    if on_kaggle is None or not same_cells(on_kaggle.source, text):
        return 0
    if not on_kaggle.version:
        raise OutcomeUnknown(
            f"the response to the push of {kernel} was lost",
            expected="the number of the version with this notebook",
            got="this notebook, and no number",
            do=f"check https://www.kaggle.com/code/{kernel} before you push again",
        )
    return on_kaggle.version if on_kaggle.version > version_before else 0


def _sources_dropped(record: PushRecord, dropped: list[str]) -> SourcesDropped:
    """The error for sources that Kaggle did not attach."""
    error = SourcesDropped(
        f"{record.kernel} version {record.version} runs without what it needs",
        expected="every source attached",
        got=f"not valid for Kaggle: {'; '.join(dropped)}",
        do=f"cancel it at {record.url}; check that these exist and your token may read them (push the kernels before "
        "this one, make the datasets, accept the rules); then push again",
    )
    error.record = record
    return error
