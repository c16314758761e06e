"""The real Kaggle client, made safe: `connect()` logs in, `call_kaggle()` runs one call, repeated where that is safe.

Every request has a time limit; no token reaches a message or a traceback. What must not be done twice is a
`call_once()`: after any trouble Kaggle is searched for what the call would have made.
"""

import contextlib
import io
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import requests

from build.cli.exit_codes import UNKNOWN, Failed
from build.kaggle_io.failures import (
    LATER,
    SECRETS,
    TOKEN_ADVICE,
    Failure,
    connection_failure,
    http_failure,
    http_timeout_s,
    redact,
)
from lib.core.errors import BadInput

if TYPE_CHECKING:
    from kaggle.api.kaggle_api_extended import KaggleApi

Result = TypeVar("Result")
Found = TypeVar("Found")

TRIES = 6
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 120.0
LOOKS_S = (2.0, 5.0, 10.0, 20.0)  # pauses before each search for what a call made whose response was lost
sleep, clock = time.sleep, time.monotonic  # every wait for Kaggle goes through these two


class KaggleError(Failed):
    """A call to Kaggle that failed; `status` is the HTTP status, or None without a response."""

    status: int | None = None
    pause_s: float | None = None  # the wait that Kaggle requires


class OutcomeUnknown(BadInput):
    """The outcome is not known yet: the time limit passed, or Kaggle does not report it."""

    exit_code = UNKNOWN


class ResponseLost(OutcomeUnknown, KaggleError):
    """A call that must not be repeated blindly, since it may have succeeded: check before calling again."""


class _Connection:
    """State of this process's connection to Kaggle."""

    closed = False
    responses = 0


def connect() -> "KaggleApi":
    """The client, logged in by its own order of credentials; missing or expired ones are an error with instructions."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        api = client_class()()
        token, source = _token()
        SECRETS.update({token} - {""})
        try:
            call_kaggle("log in to Kaggle", api.authenticate, repeatable=True)
            logged_in = True
        except SystemExit:  # what the client does without credentials
            logged_in = False
    if not logged_in:
        raise BadInput(
            "not logged in to Kaggle",
            expected="a token, a kaggle.json, or a login by `kaggle auth login`",
            got=f"a token in {source} that Kaggle does not accept: wrong, expired or revoked" if token else "none",
            do=TOKEN_ADVICE,
        )
    key = api.get_config_value(api.CONFIG_NAME_KEY) or ""
    basic = b64encode(f"{username(api)}:{key}".encode()).decode() if key else ""  # as it travels
    SECRETS.update({api.get_config_value(api.CONFIG_NAME_TOKEN) or "", key, basic} - {""})
    for line in printed.getvalue().splitlines():
        if line.startswith("Warning"):
            print(redact(line), file=sys.stderr)
    return api


def username(api: "KaggleApi") -> str:
    """The user whose credentials are in use."""
    return api.get_config_value(api.CONFIG_NAME_USER)


def call_kaggle(what: str, call: Callable[[], Result], *, repeatable: bool) -> Result:
    """The call's result; a failed call is repeated where that is safe, with growing pauses, then raises KaggleError.

    Calls that are not repeatable are only repeated after a refused connection, in which they certainly did nothing.
    """
    pause_s = FIRST_PAUSE_S
    for attempt in range(1, TRIES + 1):
        result = _attempt(call)
        if not isinstance(result, Failure):
            return result
        failure: Failure = result
        wait_s = pause_s if failure.pause_s is None else failure.pause_s
        safe = repeatable or (failure.status is None and not failure.unsure)
        if not (failure.passing and safe) or attempt == TRIES or wait_s > LONGEST_PAUSE_S:
            break
        print(f"{what}: {failure.got}; again in {wait_s:.0f} s ({attempt}/{TRIES})", file=sys.stderr, flush=True)
        sleep(wait_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    tried = f" ({attempt} times)" if attempt > 1 else ""
    kind = ResponseLost if failure.unsure and not repeatable else KaggleError
    error = kind(f"could not {what}", expected="a response from Kaggle", got=failure.got + tried, do=failure.do)
    error.status, error.pause_s = failure.status, failure.pause_s
    raise error  # after the except block, so that it carries no request with its headers


def call_once(what: str, call: Callable[[], Result], find: Callable[[], Found | None]) -> Result | Found:
    """The result of a call that must not be made twice, or what `find` finds of it on Kaggle after any trouble.

    It is made again only when Kaggle asked to wait (429) and a search then finds nothing.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return call_kaggle(what, call, repeatable=False)
        except KaggleError as error:
            trouble = error
        print(f"{what}: {trouble.got}; searching Kaggle for what it made", flush=True)
        found, searched = search(find, LOOKS_S if isinstance(trouble, ResponseLost) else (0.0,))
        if found is not None:
            return found
        wait_s = FIRST_PAUSE_S * 2**attempt if trouble.pause_s is None else trouble.pause_s
        if trouble.status != 429 or not searched or wait_s > LONGEST_PAUSE_S or attempt == TRIES:
            break
        print(f"{what}: nothing there; again in {wait_s:.0f} s ({attempt}/{TRIES})", flush=True)
        sleep(wait_s)
    if isinstance(trouble, ResponseLost):
        do = "run the same command again: it searches once more, and sends only what is not there"
        raise ResponseLost(trouble.what, expected=trouble.expected, got=trouble.got, do=do)
    raise trouble


def search(find: Callable[[], Found | None], pauses_s: tuple[float, ...] = LOOKS_S) -> tuple[Found | None, bool]:
    """What `find` finds, searching after each pause until it finds something; and whether Kaggle could be searched."""
    searched = False
    for pause_s in pauses_s:
        sleep(pause_s)
        try:
            if (found := find()) is not None:
                return found, True
            searched = True
        except KaggleError as error:
            print(f"{error.what}: {error.got}", file=sys.stderr, flush=True)
    return None, searched


def _limit_requests() -> None:
    """Give every request of this process a time limit, and count the responses; once."""
    if requests.Session.send.__name__ == "send_limited":
        return
    send = requests.Session.send

    def send_limited(self, request, **settings):
        if _Connection.closed:
            raise requests.ConnectionError("no request while the client is imported")
        if settings.get("timeout") is None:
            settings["timeout"] = http_timeout_s()
        response = send(self, request, **settings)
        _Connection.responses += 1
        return response

    setattr(requests.Session, "send", send_limited)  # noqa: B010 - assigning to a method


def client_class() -> type["KaggleApi"]:
    """The client's class. Its import logs in and hides every failure, so it is kept offline; `connect` logs in."""
    _limit_requests()
    _Connection.closed = True
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it also prints login instructions
            from kaggle.api.kaggle_api_extended import KaggleApi
    finally:
        _Connection.closed = False
    return KaggleApi


def _token() -> tuple[str, str]:
    """The access token that the client would use, and where it found it; both empty where there is none."""
    from kagglesdk.kaggle_env import get_access_token_from_env

    token, source = get_access_token_from_env()
    return token or "", source or ""


def _attempt(call: Callable[[], Result]) -> Result | Failure:
    """The call's result, or its failure, redacted."""
    responses = _Connection.responses
    try:
        return call()
    except requests.HTTPError as error:
        return http_failure(error.response)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = redact(f"{type(error).__name__}: {error}")
        if _Connection.responses == responses:  # the client's own checks, before it sent anything
            return Failure(reason, "fix what the Kaggle client names, then repeat")
        got = f"a response that the Kaggle client cannot read ({reason})"
        return Failure(got, f"a proxy or a login page may be in between: {LATER}", passing=True, unsure=True)
    except requests.RequestException as error:
        return connection_failure(error)
