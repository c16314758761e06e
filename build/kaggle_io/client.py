"""The real Kaggle client, made safe: `connect()` logs in, `ask()` runs one call, names its trouble, repeats if it may.

Every request has a time limit; what cannot be repeated without harm is not; no token reaches a message or a traceback.
"""

import contextlib
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, SSLError

from lib.core.errors import BadInput

if TYPE_CHECKING:
    from kaggle.api.kaggle_api_extended import KaggleApi

Answer = TypeVar("Answer")

HTTP_TIMEOUT_S = 60.0  # the client sets none, and a server that hangs would hang it for ever
TIMEOUT_VARIABLE = "PANTANAL_HTTP_TIMEOUT_S"
TRIES = 6
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 120.0
GET_A_TOKEN = (
    'make one at https://www.kaggle.com/settings/api ("Generate New Token"), save it as ~/.kaggle/access_token '
    "(chmod 600) or export it as KAGGLE_API_TOKEN; or run `kaggle auth login`"
)
_ADVICE = {
    400: "mend what Kaggle names, then repeat",
    401: f"the token is wrong, expired or revoked: {GET_A_TOKEN}",
    403: "look whether owner and slug are right, the token is that owner's, and the competition's rules are accepted",
    404: "look whether owner and slug are right; Kaggle also says this of private things of other people",
    409: "something of this name exists or is being changed: look at it on kaggle.com, wait a minute, repeat",
    429: "Kaggle wants fewer requests: wait, then repeat",
}
_LATER = "look whether you are online and kaggle.com answers, then repeat"
_SECRET = re.compile(r"KGAT_\w+|(?i:\b(?:bearer|basic)\s+[\w.~+/=-]{8,})|(?i:(?<=signature=)[\w%.~+/=-]+)")

sleep, clock = time.sleep, time.monotonic  # every wait for Kaggle goes through these two


class KaggleTrouble(BadInput):
    """A call to Kaggle that failed; `status` is the HTTP status, or None where no answer came."""

    status: int | None = None


class StillUnknown(BadInput):
    """How it ends is not known yet: the time limit passed, or Kaggle does not tell."""


class AnswerLost(KaggleTrouble):
    """A call that must not be repeated blindly, and may have happened: look before calling again."""


@dataclass(frozen=True)
class _Trouble:
    """Why one attempt failed, and what that means for the next."""

    got: str
    do: str
    status: int | None = None
    passing: bool = False  # may go away by itself
    unsure: bool = False  # Kaggle may have done what was asked
    pause_s: float | None = None  # how long Kaggle asks to wait


class _Wire:
    """What this process and Kaggle exchange."""

    closed = False
    answers = 0
    secrets: tuple[str, ...] = ()


def connect() -> "KaggleApi":
    """The client, logged in by its own order of credentials; none, or expired ones, are an error that says how."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        api = client_class()()
        token, source = _token()
        _Wire.secrets = (token,)
        try:
            ask("log in to Kaggle", api.authenticate, repeatable=True)
            logged_in = True
        except SystemExit:  # what the client does without credentials
            logged_in = False
    if not logged_in:
        raise BadInput(
            "not logged in to Kaggle",
            expected="a token, a kaggle.json, or a login by `kaggle auth login`",
            got=f"a token in {source} that Kaggle does not accept: wrong, expired or revoked" if token else "none",
            do=GET_A_TOKEN,
        )
    _Wire.secrets += tuple(api.get_config_value(name) or "" for name in (api.CONFIG_NAME_TOKEN, api.CONFIG_NAME_KEY))
    for line in said.getvalue().splitlines():
        if line.startswith("Warning"):
            print(redacted(line), file=sys.stderr)
    return api


def username(api: "KaggleApi") -> str:
    """The user whose credentials are in use."""
    return api.get_config_value(api.CONFIG_NAME_USER)


def ask(what: str, call: Callable[[], Answer], *, repeatable: bool) -> Answer:
    """What the call returns; trouble is repeated where that is safe, with growing pauses, and then a KaggleTrouble.

    Not repeatable calls are only repeated after trouble in which they certainly did nothing: a refused connection, 429.
    """
    pause_s = FIRST_PAUSE_S
    for attempt in range(1, TRIES + 1):
        answer, trouble = _attempt(call)
        if trouble is None:
            return answer
        wait_s = pause_s if trouble.pause_s is None else trouble.pause_s
        safe = repeatable or not trouble.unsure
        if not (trouble.passing and safe) or attempt == TRIES or wait_s > LONGEST_PAUSE_S:
            break
        print(f"{what}: {trouble.got}; again in {wait_s:.0f} s ({attempt}/{TRIES})", file=sys.stderr, flush=True)
        sleep(wait_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    tried = f" ({attempt} times)" if attempt > 1 else ""
    kind = AnswerLost if trouble.unsure and not repeatable else KaggleTrouble
    error = kind(f"could not {what}", expected="an answer of Kaggle's", got=trouble.got + tried, do=trouble.do)
    error.status = trouble.status
    raise error  # after the except block, so that it carries no request with its headers


def redacted(text: str) -> str:
    """The text without the credentials in use, nor anything that looks like a token or a signature."""
    for secret in _Wire.secrets:
        if secret:
            text = text.replace(secret, "[secret]")
    return _SECRET.sub("[secret]", text)


def http_timeout_s() -> float:
    """How many seconds a request may take to connect, and then to say anything."""
    return float(os.environ.get(TIMEOUT_VARIABLE, HTTP_TIMEOUT_S))


def _limit_requests() -> None:
    """Give every request of this process a time limit, and count the answers; once."""
    if requests.Session.send.__name__ == "send_limited":
        return
    send = requests.Session.send

    def send_limited(self, request, **settings):
        if _Wire.closed:
            raise requests.ConnectionError("no request while the client is imported")
        if settings.get("timeout") is None:
            settings["timeout"] = http_timeout_s()
        answer = send(self, request, **settings)
        _Wire.answers += 1
        return answer

    requests.Session.send = send_limited


def client_class() -> type["KaggleApi"]:
    """The client's class. Its import logs in and hides every failure: it is kept offline, and we log in ourselves."""
    _limit_requests()
    _Wire.closed = True
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it also prints how to log in
            from kaggle.api.kaggle_api_extended import KaggleApi
    finally:
        _Wire.closed = False
    return KaggleApi


def _token() -> tuple[str, str]:
    """The access token that the client would use, and where it found it; both empty where there is none."""
    from kagglesdk.kaggle_env import get_access_token_from_env

    token, source = get_access_token_from_env()
    return token or "", source or ""


def _attempt(call: Callable[[], Answer]) -> tuple[Answer | None, _Trouble | None]:
    """The call's answer, or its trouble, redacted."""
    answers = _Wire.answers
    try:
        return call(), None
    except requests.HTTPError as error:
        return None, _of_status(error.response)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = redacted(f"{type(error).__name__}: {error}")
        if _Wire.answers == answers:  # the client's own checks, before it sent anything
            return None, _Trouble(said, "mend what the Kaggle client names, then repeat")
        got = f"an answer that the Kaggle client cannot read ({said})"
        return None, _Trouble(got, f"a proxy or a login page may be in between: {_LATER}", passing=True, unsure=True)
    except requests.RequestException as error:
        return None, _of_connection(error)


def _of_status(response: requests.Response) -> _Trouble:
    """What an HTTP status and its body say."""
    status, pause_s = response.status_code, _retry_after_s(response.headers.get("Retry-After"))
    server_side = status >= 500
    waits = f", and the wish to be left alone for {pause_s:.0f} s" if pause_s else ""
    return _Trouble(
        got=redacted(f"HTTP {status}, {reason_in(response.text)}{waits}"),
        do=_LATER if server_side else _ADVICE.get(status, _ADVICE[400]),
        status=status,
        passing=server_side or status == 429,
        unsure=server_side,
        pause_s=pause_s,
    )


def _of_connection(error: requests.RequestException) -> _Trouble:
    """What a failed connection means: whether the request can have arrived."""
    causes, parts = [], [error]
    while parts:
        part = parts.pop()
        if isinstance(part, BaseException):
            causes.append(part)
            parts += [*part.args, getattr(part, "reason", None)]
    arrived = not any(isinstance(cause, NewConnectionError | ConnectTimeoutError | SSLError) for cause in causes)
    if isinstance(error, requests.Timeout):
        got = f"no answer within {http_timeout_s():g} s"
    else:
        got = redacted(f"{'the connection broke' if arrived else 'no connection'}: {causes[-1]}")
    return _Trouble(got, _LATER, passing=True, unsure=arrived)


def reason_in(body: str) -> str:
    """The reason in an error body: flat or nested JSON, or the beginning of whatever else it is."""
    try:
        data = json.loads(body)
    except ValueError:
        title = re.search(r"<title>\s*(.*?)\s*</title>", body, re.IGNORECASE | re.DOTALL)
        said = title[1] if title else " ".join(re.sub(r"<[^>]*>", " ", body).split())
        return f"not JSON but {said[:200]!r}" if said else "without a reason"
    for part in (data.get("error"), data) if isinstance(data, dict) else ():
        if isinstance(part, dict) and part.get("message"):
            return str(part["message"])
        if isinstance(part, str) and part:
            return part
    return body[:200] or "without a reason"


def _retry_after_s(header: str | None) -> float | None:
    """The seconds that a Retry-After header asks for, given as a number or a date."""
    if header is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(header))
    with contextlib.suppress(ValueError):
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    return None
