"""One push of a kernel, from its intent to its end; the only place that sends one. pushed.json keeps the step:

    intent (version 0) → sent → version known → ended → outputs checked → closed (status set)

A call sends once, and again only after a refusal and a search that finds nothing. Whatever response does not give
exactly the next version is decided by searching Kaggle for a newer version with this notebook; where that finds none,
the intent stays, and the next call searches before anything else. A definite refusal leaves no trace.
"""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from build.cli.exit_codes import Failed
from build.kaggle_io import client
from build.kaggle_io.client import OutcomeUnknown, call_once, search
from build.kaggle_io.failures import redact
from build.kaggle_io.push_log import KaggleRun, PushRecord, append_run, last_push, newest_run, now, save_push
from build.kaggle_io.request import build_request, request_fingerprint
from build.kaggle_io.versions import Latest, dropped_sources, find_version, latest
from lib.core.errors import BadInput

QUEUE_PAUSE_S = 60.0
_SESSION_LIMIT = re.compile(r"(?i)session count|session limit|too many .*sessions")
_INVALID = {
    "invalid_tags": "tags",
    "invalid_dataset_sources": "datasets",
    "invalid_competition_sources": "competitions",
    "invalid_kernel_sources": "kernels",
    "invalid_model_sources": "models",
}


def complete_push(root: Path, slug: str, request: dict, since: str) -> PushRecord | None:
    """The push of this very request that was made after `since` and is closed as COMPLETE; or None."""
    last = _same_push(root, slug, request)
    return last if last and last.status == "COMPLETE" and last.pushed_at >= since else None


def resume_push(api, root: Path, slug: str, request: dict) -> PushRecord | None:
    """The open push of this very request whose version is on Kaggle, by its record or by a search; or None."""
    last = _same_push(root, slug, request)
    if last is None or last.status:
        return None
    kernel = last.kernel
    if last.version:
        print(f"{kernel} version {last.version} was pushed at {last.pushed_at}: waiting for it, not pushing again")
        return last
    print(f"a call at {last.pushed_at} may have pushed {kernel}: searching Kaggle for its version", flush=True)
    found, searched = search(partial(find_version, api, kernel, request["text"], last.version_before))
    if not searched:
        raise OutcomeUnknown(
            f"it is not known whether {kernel} was pushed at {last.pushed_at}",
            expected="Kaggle's latest version",
            got="no response",
            do="run the same command when kaggle.com responds: it searches again before it pushes",
        )
    return _save_version(root, slug, last, found.version, "", dropped_sources(request, found)) if found else None


def _same_push(root: Path, slug: str, request: dict) -> PushRecord | None:
    """The last push of the kernel, if it sent the same request."""
    last = last_push(root, slug)
    same = last and (last.kernel, last.sha) == (request["slug"], request_fingerprint(request))
    return last if same else None


def push_once(api, root: Path, folder: Path, request: dict, deadline_s: float) -> PushRecord:
    """Push the built folder, whose request this is, and record its version; call it when there is none to resume."""
    kernel, slug = request["slug"], folder.name
    if build_request(folder) != request:
        raise BadInput(f"{slug} was built anew", expected="what was shown", got="another request", do="run this again")
    there, earlier = latest(api, kernel), last_push(root, slug)
    before = max(
        there.version if there else 0,
        earlier.version if earlier and earlier.kernel == kernel else 0,
        newest_run(root, kernel),
    )
    intent = PushRecord(kernel, request_fingerprint(request), before, 0, "", now(), status="")
    save_push(root, slug, intent)
    try:
        sent = _send(api, folder, request, before, deadline_s)
    except OutcomeUnknown:
        raise
    except BadInput:
        save_push(root, slug, earlier)
        raise
    if sent is None:
        save_push(root, slug, earlier)
        raise OutcomeUnknown(
            f"{kernel} was not pushed: no session is free",
            expected="a free session within the time limit",
            got="the limit of sessions, as shown above",
            do="end other runs on kaggle.com, or run this again later",
        )
    return _save_version(root, slug, intent, *sent)


def close_push(root: Path, slug: str, sent: PushRecord, status: str, failure: str, outputs: list[str]) -> None:
    """Add the run's line and save its final status: the next call pushes anew."""
    run = KaggleRun(sent.kernel, sent.version, sent.sha, status, failure, sent.pushed_at, now(), outputs, sent.url)
    append_run(root, run)
    if last_push(root, slug) == sent:  # else a later one is under way
        save_push(root, slug, replace(sent, status=status))


def sources_dropped(sent: PushRecord) -> Failed:
    """The error for sources that Kaggle did not attach."""
    return Failed(
        f"{sent.kernel} version {sent.version} runs without what it needs",
        expected="every source attached",
        got=f"not attached by Kaggle: {'; '.join(sent.dropped)}",
        do=f"cancel it at {sent.url}; check that these exist and your token may read them (push the kernels before "
        "this one, make the datasets, accept the rules); then push again",
    )


def _save_version(root: Path, slug: str, intent: PushRecord, version: int, url: str, dropped: list[str]) -> PushRecord:
    """Save the push with the version that Kaggle made of it, and return it."""
    page = url or f"https://www.kaggle.com/code/{intent.kernel}"
    record = replace(intent, version=version, url=page, dropped=[redact(source) for source in dropped])
    save_push(root, slug, record)
    print(f"{record.kernel} version {version} is on Kaggle: {page}", flush=True)
    return record


def _send(api, folder: Path, request: dict, before: int, deadline_s: float) -> tuple[int, str, list[str]] | None:
    """The version's number, its page and the sources that Kaggle dropped; None when no session becomes free in time."""
    kernel = request["slug"]
    find = partial(find_version, api, kernel, request["text"], before)
    while True:
        response = call_once(f"push {kernel}", lambda: api.kernels_push(str(folder)), find)
        if isinstance(response, Latest):
            return response.version, "", dropped_sources(request, response)
        number, error = response.version_number or 0, redact(response.error or "")
        if number == before + 1 and not error:
            dropped = {what: getattr(response, key) for key, what in _INVALID.items() if getattr(response, key)}
            return number, response.url, [f"{what}: {', '.join(names)}" for what, names in dropped.items()]
        refused = bool(error) and not number
        found, searched = search(find, (0.0,) if refused else client.LOOKS_S)
        if found:
            return found.version, "", dropped_sources(request, found)
        if not refused:
            raise OutcomeUnknown(
                f"it is not known whether {kernel} was pushed",
                expected=f"version {before + 1}",
                got=f"version {number or 'unknown'}, error {error or 'none'}; and no such version is there",
                do="run the same command again: it searches once more before it pushes; if the kernel was deleted on "
                f"Kaggle and numbers begin anew, remove runs/kaggle/{folder.name} and its lines in pushes.jsonl",
            )
        if not _SESSION_LIMIT.search(error):
            raise Failed(f"{kernel} was not pushed", expected="a version", got=error, do="fix that, and push again")
        print(f"{kernel} waits for a free session: {error}; again in {QUEUE_PAUSE_S:.0f} s", flush=True)
        if not searched or client.clock() + QUEUE_PAUSE_S > deadline_s:
            return None
        client.sleep(QUEUE_PAUSE_S)
