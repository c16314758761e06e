"""One push, sent once: session limits are waited for, lost answers are looked up, dropped sources are errors."""

import re
from pathlib import Path

from build.kaggle_io import client as kaggle_client
from build.kaggle_io.client import AnswerLost, StillUnknown, ask, redacted
from build.kaggle_io.push_log import Pushed, last_push, now, remember
from build.kaggle_io.request import requested, sha_of
from build.kaggle_io.versions import Latest, latest, same_cells
from lib.core.errors import BadInput

QUEUE_PAUSE_S = 60.0
LOOKS_S = (2.0, 5.0, 10.0, 20.0)  # pauses before each look for a version whose answer was lost
_SESSION_LIMIT = re.compile(r"(?i)session count|session limit|too many .*sessions")
_INVALID = {
    "invalid_tags": "tags",
    "invalid_dataset_sources": "datasets",
    "invalid_competition_sources": "competitions",
    "invalid_kernel_sources": "kernels",
    "invalid_model_sources": "models",
}


class Dropped(BadInput):
    """The version was made and runs, but without some of its sources; `pushed` says which version."""

    pushed: Pushed


def unfinished(root: Path, folder: Path) -> Pushed | None:
    """The push of this very folder that was sent, or on its way, when an earlier call ended; or None."""
    last = _same(root, folder)
    return last if last and not last.status else None


def complete(root: Path, folder: Path, since: str) -> Pushed | None:
    """The push of this very folder that was made after `since` and is known to be COMPLETE; or None."""
    last = _same(root, folder)
    return last if last and last.status == "COMPLETE" and last.at >= since else None


def _same(root: Path, folder: Path) -> Pushed | None:
    """The last push, if it was of this very folder: the same kernel, and the same request."""
    request, last = requested(folder), last_push(root, folder.name)
    return last if last and (last.kernel, last.sha) == (request["slug"], sha_of(request)) else None


def pushed(api, root: Path, folder: Path, deadline_s: float) -> Pushed:
    """The version that Kaggle made of this folder, written down; an unfinished push of it is taken up, not repeated."""
    request, earlier = requested(folder), unfinished(root, folder)
    kernel = request["slug"]
    if earlier and earlier.version:
        print(f"{kernel} version {earlier.version} was pushed at {earlier.at}: waiting for it, not pushing again")
        return earlier
    there = latest(api, kernel)
    if earlier and (version := _made(there, kernel, request["text"], earlier.before)):
        return _kept(root, earlier, version, "")
    sent = Pushed(kernel, sha_of(request), there.version if there else 0, 0, "", now(), status="")
    remember(root, sent)
    for losses_left in (2, 1, 0):
        try:
            version, url, dropped = _sent(api, folder, kernel, deadline_s)
        except AnswerLost as lost:
            print(f"{lost.what}: {lost.got}; looking whether the version is there", flush=True)
            version, url, dropped = _looked_for(api, kernel, request["text"], sent.before), "", []
            if not version and not losses_left:
                raise
        if version:
            kept = _kept(root, sent, version, url)
            if dropped:
                raise _dropped(kept, dropped)
            return kept
    raise AssertionError("the last loss is raised")


def _kept(root: Path, sent: Pushed, version: int, url: str) -> Pushed:
    """The push with the version it became, written down."""
    page = url or f"https://www.kaggle.com/code/{sent.kernel}"
    kept = Pushed(sent.kernel, sent.sha, sent.before, version, page, sent.at, status="")
    remember(root, kept)
    print(f"{sent.kernel} version {version} is on Kaggle: {page}", flush=True)
    return kept


def _sent(api, folder: Path, kernel: str, deadline_s: float) -> tuple[int, str, list[str]]:
    """The version's number and page, and which sources Kaggle dropped; waits while no session is free."""
    while True:
        answer = ask(f"push {kernel}", lambda: api.kernels_push(str(folder)), repeatable=False)
        error = redacted(answer.error or "")
        if not (error and _SESSION_LIMIT.search(error)):
            break
        if kaggle_client.clock() + QUEUE_PAUSE_S > deadline_s:
            raise StillUnknown(
                f"{kernel} was not pushed: no session became free",
                expected="a free session within the time limit",
                got=error,
                do="end other runs on kaggle.com, or run this again later",
            )
        print(f"{kernel} waits for a free session: {error}; again in {QUEUE_PAUSE_S:.0f} s", flush=True)
        kaggle_client.sleep(QUEUE_PAUSE_S)
    if error or not answer.version_number:
        raise BadInput(
            f"{kernel} was not pushed",
            expected="a version number and no error",
            got=error or "neither of them",
            do="mend what Kaggle names, and push again",
        )
    dropped = [f"{what}: {', '.join(getattr(answer, key))}" for key, what in _INVALID.items() if getattr(answer, key)]
    return answer.version_number, answer.url, dropped


def _looked_for(api, kernel: str, text: str, before: int) -> int:
    """The number of the version with this notebook that is newer than `before`, or 0 when none appears."""
    for pause_s in LOOKS_S:
        kaggle_client.sleep(pause_s)
        if version := _made(latest(api, kernel), kernel, text, before):
            return version
    return 0


def _made(there: Latest | None, kernel: str, text: str, before: int) -> int:
    """The number of the latest version, if it came of a push of this notebook whose answer was lost; or 0."""
    if there is None or not same_cells(there.source, text):
        return 0
    if not there.version:
        raise StillUnknown(
            f"the answer to the push of {kernel} was lost",
            expected="the number of the version with this notebook",
            got="this notebook, and no number",
            do=f"look at https://www.kaggle.com/code/{kernel} before you push again",
        )
    return there.version if there.version > before else 0


def _dropped(kept: Pushed, dropped: list[str]) -> Dropped:
    """The error for sources that Kaggle did not attach."""
    error = Dropped(
        f"{kept.kernel} version {kept.version} runs without what it needs",
        expected="every source attached",
        got=f"not valid for Kaggle: {'; '.join(dropped)}",
        do=f"cancel it at {kept.url}; look whether these exist and your token may read them (push the kernels before "
        "this one, make the datasets, accept the rules); then push again",
    )
    error.pushed = kept
    return error
