"""The real client against a Kaggle on loopback: logging in, time limits, what is repeated, what is printed."""

import os
import socket
import ssl
import subprocess
import sys
import traceback
from base64 import b64encode

import pytest
import requests
import urllib3

from build.kaggle_io import client
from build.kaggle_io.client import KaggleError, ResponseLost, call_kaggle, connect, username
from build.kaggle_io.failures import redact
from lib.core.errors import BadInput
from tests.support.kaggle.loopback import LEGACY_KEY, TOKEN
from tests.support.kaggle.loopback_faults import hang, instead, page, refused, reset
from tests.support.kaggle.loopback_guard import LeftLoopback


@pytest.fixture
def pauses(monkeypatch):
    """The pauses requested, none of them taken."""
    taken = []
    monkeypatch.setattr(client, "sleep", taken.append)
    return taken


@pytest.fixture
def api(kaggle):
    kaggle.state.SaveKernel({"slug": "alice/a-kernel", "text": "{}"})
    return connect()


def status_of(api, repeatable=True):
    """Get the kernel's status, by `call_kaggle`."""
    return call_kaggle("get the status", lambda: raw_status(api), repeatable=repeatable)


def raw_status(api):
    """The kernel's status, by the client's own object."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

    request = ApiGetKernelSessionStatusRequest()
    request.user_name, request.kernel_slug = "alice", "a-kernel"

    with api.build_kaggle_client() as kaggle:
        return kaggle.kernels.kernels_api_client.get_kernel_session_status(request).status.name


def test_the_token_logs_in_with_one_request_and_nothing_printed(kaggle, capsys):
    assert username(connect()) == "alice"
    assert [request.rpc for request in kaggle.requests] == ["IntrospectToken"]
    assert capsys.readouterr() == ("", "")


def test_a_legacy_key_logs_in_too(kaggle, monkeypatch):
    kaggle.state.SaveKernel({"slug": "alice/a-kernel", "text": "{}"})
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_USERNAME", "alice")
    monkeypatch.setenv("KAGGLE_KEY", LEGACY_KEY)
    assert status_of(connect()) == "QUEUED"
    assert redact(f"key {LEGACY_KEY}") == "key [secret]"
    assert redact(f"sent {b64encode(f'alice:{LEGACY_KEY}'.encode()).decode()}") == "sent [secret]"


def test_no_credentials_say_how_to_get_a_token(kaggle, monkeypatch, capsys):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    with pytest.raises(BadInput, match="settings/api") as caught:
        connect()
    assert "got:      none" in str(caught.value)
    assert capsys.readouterr().out == ""


def test_an_expired_token_is_named_but_not_shown(kaggle):
    kaggle.state.token_active = False
    with pytest.raises(BadInput, match="KAGGLE_API_TOKEN that Kaggle does not accept") as caught:
        connect()
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("fault", [refused(401, "Unauthenticated"), refused(401, "Unauthenticated", nested=True)])
def test_a_refused_login_says_how_to_get_a_token(kaggle, fault):
    kaggle.fail("IntrospectToken", fault)
    with pytest.raises(KaggleError, match=r"(?s)HTTP 401, Unauthenticated.*settings/api") as caught:
        connect()
    assert caught.value.status == 401


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("status", "advice"), [(400, "fix"), (401, "token"), (403, "rules"), (404, "slug"), (409, "exists")]
)
def test_a_refusal_gives_its_reason_from_flat_and_nested_bodies_and_is_not_repeated(
    kaggle, api, pauses, status, advice, nested
):
    kaggle.fail("GetKernelSessionStatus", refused(status, "because of the moon", nested))
    with pytest.raises(KaggleError, match=rf"(?s)HTTP {status}, because of the moon.*{advice}") as caught:
        status_of(api)
    assert caught.value.status == status
    assert not isinstance(caught.value, ResponseLost)
    assert pauses == []


def test_what_passes_is_waited_for_with_growing_pauses_and_retry_after(kaggle, api, pauses, capsys):
    faults = [refused(503, "busy"), reset(), page(), refused(429, "slow", headers={"Retry-After": "7"})]
    kaggle.fail("GetKernelSessionStatus", *faults)
    assert status_of(api) == "QUEUED"
    assert pauses == [1, 2, 4, 7]
    assert "HTTP 503, busy; again in 1 s" in capsys.readouterr().err


def test_what_does_not_pass_ends_after_a_few_tries(kaggle, api, pauses):
    kaggle.fail("GetKernelSessionStatus", *[refused(502, "", nested=True)] * 20)
    with pytest.raises(KaggleError, match=rf"HTTP 502.*\({client.TRIES} times\)"):
        status_of(api)
    assert pauses == [1, 2, 4, 8, 16]


def test_a_retry_after_of_an_hour_is_reported_instead_of_waited_for(kaggle, api, pauses):
    kaggle.fail("GetKernelSessionStatus", refused(429, "quota", headers={"Retry-After": "3600"}))
    with pytest.raises(KaggleError, match=r"HTTP 429, quota, to be repeated after 3600 s"):
        status_of(api)
    assert pauses == []


def test_a_retry_after_may_be_a_date(kaggle, api, pauses):
    kaggle.fail("GetKernelSessionStatus", refused(429, "", headers={"Retry-After": "Sat, 21 Nov 2020 10:00:00 GMT"}))
    assert status_of(api) == "QUEUED"
    assert pauses == [0]


@pytest.mark.parametrize(
    ("fault", "printed"),
    [
        (reset(done=True), "broke"),
        (refused(504, "gateway"), "HTTP 504"),
        (page(), "cannot read"),
        (instead(status="WHAT_IS_THIS"), "cannot read"),
    ],
)
def test_a_lost_answer_is_not_repeated_unless_that_is_safe(kaggle, api, pauses, fault, printed):
    kaggle.fail("GetKernelSessionStatus", fault)
    with pytest.raises(ResponseLost, match=printed):
        status_of(api, repeatable=False)
    assert pauses == []
    assert len(kaggle.calls_to("GetKernelSessionStatus")) == 1


def test_a_server_that_hangs_is_given_up_in_time(kaggle, api, pauses, monkeypatch):
    monkeypatch.setenv("PANTANAL_HTTP_TIMEOUT_S", "0.2")
    kaggle.fail("GetKernelSessionStatus", hang())
    with pytest.raises(ResponseLost, match=r"no response within 0\.2 s"):
        status_of(api, repeatable=False)


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_refused_connection_did_nothing_and_may_be_repeated(kaggle, api, pauses, monkeypatch, repeatable):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(KaggleError, match=r"no connection.*refused") as caught:
            status_of(api, repeatable)
    assert not isinstance(caught.value, ResponseLost)
    assert pauses == [1, 2, 4, 8, 16]


def test_429_is_repeated_only_after_a_search_that_finds_nothing(kaggle, api, pauses):
    slow = refused(429, "slow", headers={"Retry-After": "7"})
    kaggle.fail("GetKernelSessionStatus", slow)
    assert once(api, iter([None])) == "QUEUED"
    assert pauses == [0, 7]
    kaggle.fail("GetKernelSessionStatus", slow)
    assert once(api, iter([None, "made"])) == "RUNNING"
    kaggle.fail("GetKernelSessionStatus", slow, slow)
    assert once(api, iter([None, "made"])) == "made"


def once(api, found):
    """Get the kernel's status as if that could not be repeated; `found` are the results of the searches."""
    return client.call_once("get", lambda: raw_status(api), lambda: next(found))


def test_a_call_whose_traces_cannot_be_searched_for_is_not_repeated(kaggle, api, pauses):
    kaggle.fail("GetKernelSessionStatus", refused(429, "slow"), *[refused(403, "no")] * 9)
    with pytest.raises(KaggleError, match="HTTP 429"):
        client.call_once("get", lambda: raw_status(api), lambda: status_of(api))
    assert len(kaggle.calls_to("GetKernelSessionStatus")) == 2


def test_a_certificate_that_fails_is_no_lost_answer_but_a_broken_one_may_be(api, pauses):
    def broken(reason):
        def call():
            raise requests.exceptions.SSLError(urllib3.exceptions.SSLError(reason))

        with pytest.raises(KaggleError) as caught:
            call_kaggle("push", call, repeatable=False)
        return type(caught.value)

    assert broken(ssl.SSLCertVerificationError("expired")) == KaggleError
    assert broken(ssl.SSLEOFError("EOF in violation of protocol")) == ResponseLost


def test_what_the_client_refuses_by_itself_is_no_lost_answer(kaggle, api, tmp_path):
    with pytest.raises(KaggleError, match="Metadata file not found") as caught:
        call_kaggle("push", lambda: api.kernels_push(str(tmp_path)), repeatable=False)
    assert not isinstance(caught.value, ResponseLost)


def test_secrets_stay_out_of_messages_and_tracebacks(kaggle, api):
    printed = f"token {TOKEN}, other KGAT_abcdefgh12345, Bearer abcdefgh12345678, ?X-Goog-Signature=00ff00ff&x=1"
    kaggle.fail("GetKernelSessionStatus", refused(400, printed))
    with pytest.raises(BadInput) as caught:
        status_of(api)
    text = "".join(traceback.format_exception(caught.value))
    assert "token [secret], other [secret], [secret], ?X-Goog-Signature=[secret]&x=1" in text
    assert TOKEN not in text
    assert caught.value.__context__ is None


def test_nothing_leaves_loopback_from_this_process_or_its_children(kaggle):
    for reach in (
        lambda: socket.create_connection(("192.0.2.1", 443), timeout=1),
        lambda: socket.socket().connect_ex(("192.0.2.1", 443)),
        lambda: socket.getaddrinfo("api.kaggle.com", 443),
    ):
        with pytest.raises(LeftLoopback):
            reach()
    code = "import socket; socket.create_connection(('192.0.2.1', 443), timeout=1)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert "LeftLoopback: a test tried to reach 192.0.2.1" in child.stderr
    with pytest.raises(requests.RequestException):
        requests.get("https://api.kaggle.com/", timeout=2)
    assert requests.get("http://api.kaggle.com/", timeout=2).status_code == 502
    assert kaggle.strays == ["api.kaggle.com:443", "http://api.kaggle.com/"]
    kaggle.strays.clear()
