"""What failed in a call to Kaggle: its reason, its advice, whether it may pass and whether Kaggle may have done it.

No token reaches a message: every text goes through `redact`.
"""

import contextlib
import json
import os
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

HTTP_TIMEOUT_S = 60.0  # the client sets none, and a server that hangs would hang it for ever
TIMEOUT_VARIABLE = "PANTANAL_HTTP_TIMEOUT_S"
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
LATER = "check that you are online and kaggle.com responds, then repeat"
_SECRET = re.compile(r"KGAT_\w+|(?i:\b(?:bearer|basic)\s+[\w.~+/=-]{8,})|(?i:(?<=signature=)[\w%.~+/=-]+)")

SECRETS: set[str] = set()  # the credentials in use


@dataclass(frozen=True)
class Failure:
    """The reason why one attempt failed, and whether it may be repeated."""

    got: str
    do: str
    status: int | None = None
    passing: bool = False  # may go away by itself
    unsure: bool = False  # Kaggle may have carried out the request
    pause_s: float | None = None  # the wait that Kaggle requires


def redact(text: str) -> str:
    """The text without the credentials in use, nor anything that looks like a token or a signature."""
    for secret in SECRETS:
        text = text.replace(secret, "[secret]")
    return _SECRET.sub("[secret]", text)


def http_timeout_s() -> float:
    """The seconds that a request may take to connect, and then until the first byte."""
    return float(os.environ.get(TIMEOUT_VARIABLE, HTTP_TIMEOUT_S))


def http_failure(response: requests.Response) -> Failure:
    """The failure that an HTTP status and its body report."""
    status, pause_s = response.status_code, _retry_after_s(response.headers.get("Retry-After"))
    server_side = status >= 500
    waits = f", to be repeated after {pause_s:.0f} s" if pause_s else ""
    return Failure(
        got=redact(f"HTTP {status}, {error_reason(response.text)}{waits}"),
        do=LATER if server_side else _ADVICE.get(status, _ADVICE[400]),
        status=status,
        passing=server_side or status == 429,
        unsure=server_side,
        pause_s=pause_s,
    )


def connection_failure(error: requests.RequestException) -> Failure:
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
    return Failure(got, LATER, passing=True, unsure=arrived)


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
