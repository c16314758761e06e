"""The real Kaggle client, made safe: `connect()` logs in, `call_kaggle()` runs one call, repeated where that is safe.

Every request has a time limit; no token reaches a message or a traceback. What must not be done twice is a
`call_once()`: after any trouble Kaggle is searched for what the call would have made.
"""

import contextlib
import io
import json
import os
import re
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from build.cli.exit_codes import UNKNOWN, Failed
from lib.core.errors import BadInput

if TYPE_CHECKING:
    from kaggle.api.kaggle_api_extended import KaggleApi

Result = TypeVar("Result")
Found = TypeVar("Found")

HTTP_TIMEOUT_S = 60.0  # the client sets none, and a server that hangs would hang it for ever
TIMEOUT_VARIABLE = "PANTANAL_HTTP_TIMEOUT_S"
TRIES = 6
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 120.0
LOOKS_S = (2.0, 5.0, 10.0, 20.0)  # pauses before each search for what a call made whose response was lost
TOKEN_ADVICE = (
    'make one at https://www.kaggle.com/settings/api ("Generate New Token"), save it as ~/.kaggle/access_token '
    "(chmod 600) or export it as KAGGLE_API_TOKEN; or run `kaggle auth login`"
)
_ADVICE = {
    400: "fix what Kaggle names, then repeat",
    401: f"the token is wrong, expired or revoked: {TOKEN_ADVICE}",
    403: "check that owner and slug are right, the token is that owner's, and the competition's rules are accepted",
    404: "check that owner and slug are right; Kaggle also returns this for what is private to others",
    409: "something of this name exists or is being changed: check it on kaggle.com, wait a minute, repeat",
    429: "Kaggle allows fewer requests: wait, then repeat",
}
_LATER = "check that you are online and kaggle.com responds, then repeat"
_SECRET = re.compile(r"KGAT_\w+|(?i:\b(?:bearer|basic)\s+[\w.~+/=-]{8,})|(?i:(?<=signature=)[\w%.~+/=-]+)")

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


@dataclass(frozen=True)
class _Failure:
    """The reason why one attempt failed, and whether it may be repeated."""

    got: str
    do: str
    status: int | None = None
    passing: bool = False  # may go away by itself
    unsure: bool = False  # Kaggle may have carried out the request
    pause_s: float | None = None  # the wait that Kaggle requires


class _Connection:
    """State of this process's connection to Kaggle: responses so far, and the secrets in use."""

    closed = False
    responses = 0
    secrets: tuple[str, ...] = ()


def connect() -> "KaggleApi":
    """The client, logged in by its own order of credentials; missing or expired ones are an error with instructions."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        api = client_class()()
        token, source = _token()
        _Connection.secrets = (token,)
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
    _Connection.secrets += (api.get_config_value(api.CONFIG_NAME_TOKEN) or "", key, basic)
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
        if not isinstance(result, _Failure):
            return result
        failure: _Failure = result
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


def redact(text: str) -> str:
    """The text without the credentials in use, nor anything that looks like a token or a signature."""
    for secret in _Connection.secrets:
        if secret:
            text = text.replace(secret, "[secret]")
    return _SECRET.sub("[secret]", text)


def http_timeout_s() -> float:
    """The seconds that a request may take to connect, and then until the first byte."""
    return float(os.environ.get(TIMEOUT_VARIABLE, HTTP_TIMEOUT_S))


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


def _attempt(call: Callable[[], Result]) -> Result | _Failure:
    """The call's result, or its failure, redacted."""
    responses = _Connection.responses
    try:
        return call()
    except requests.HTTPError as error:
        return _http_failure(error.response)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = redact(f"{type(error).__name__}: {error}")
        if _Connection.responses == responses:  # the client's own checks, before it sent anything
            return _Failure(reason, "fix what the Kaggle client names, then repeat")
        got = f"a response that the Kaggle client cannot read ({reason})"
        return _Failure(got, f"a proxy or a login page may be in between: {_LATER}", passing=True, unsure=True)
    except requests.RequestException as error:
        return _connection_failure(error)


def _http_failure(response: requests.Response) -> _Failure:
    """The failure that an HTTP status and its body report."""
    status, pause_s = response.status_code, _retry_after_s(response.headers.get("Retry-After"))
    server_side = status >= 500
    waits = f", to be repeated after {pause_s:.0f} s" if pause_s else ""
    return _Failure(
        got=redact(f"HTTP {status}, {error_reason(response.text)}{waits}"),
        do=_LATER if server_side else _ADVICE.get(status, _ADVICE[400]),
        status=status,
        passing=server_side or status == 429,
        unsure=server_side,
        pause_s=pause_s,
    )


def _connection_failure(error: requests.RequestException) -> _Failure:
    """The failure of a connection; it is unsure where the request may have arrived."""
    causes: list[BaseException] = []
    parts: list[object] = [error]
    while parts:
        part = parts.pop()
        if isinstance(part, BaseException):
            causes.append(part)
            parts += [*part.args, getattr(part, "reason", None)]
    before_sending = NewConnectionError | ConnectTimeoutError | ssl.SSLCertVerificationError
    arrived = not any(isinstance(cause, before_sending) for cause in causes)
    if isinstance(error, requests.Timeout):
        got = f"no response within {http_timeout_s():g} s"
    else:
        got = redact(f"{'the connection broke' if arrived else 'no connection'}: {causes[-1]}")
    return _Failure(got, _LATER, passing=True, unsure=arrived)


def error_reason(body: str) -> str:
    """The reason in an error body: flat or nested JSON, or the beginning of whatever else it is."""
    try:
        data = json.loads(body)
    except ValueError:
        title = re.search(r"<title>\s*(.*?)\s*</title>", body, re.IGNORECASE | re.DOTALL)
        text = title[1] if title else " ".join(re.sub(r"<[^>]*>", " ", body).split())
        return f"not JSON but {text[:200]!r}" if text else "without a reason"
    for part in (data.get("error"), data) if isinstance(data, dict) else ():
        if isinstance(part, dict) and part.get("message"):
            return str(part["message"])
        if isinstance(part, str) and part:
            return part
    return body[:200] or "without a reason"


def _retry_after_s(header: str | None) -> float | None:
    """The seconds in a Retry-After header, given as a number or a date."""
    if header is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(header))
    with contextlib.suppress(ValueError):
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    return None
