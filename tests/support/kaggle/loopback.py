"""A Kaggle on 127.0.0.1 for the real client: `kaggle` is the server, with faults to script and a record of requests.

    def test_…(kaggle):
        kaggle.state.competitions["birdclef-2026"] = Competition(files={"taxonomy.csv": b"…"})
        kaggle.fail("SaveKernel", refused(429, "slow down", headers={"Retry-After": "2"}), reset())
        …
        assert kaggle.calls_to("SaveKernel") == […]

The environment of the fixture (and of children that inherit it) leads the unmodified client here and nowhere else.
"""

import json
import socket
import struct
import sys
import threading
from base64 import b64encode
from collections import defaultdict, deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.support.kaggle.loopback_faults import JSON, Fault
from tests.support.kaggle.loopback_guard import isolate
from tests.support.kaggle.loopback_services import Kaggle, Refusal, as_json

USER, TOKEN, LEGACY_KEY = "alice", "KGAT_loopback0123456789", "0123456789abcdef0123456789abcdef"
_FREE = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    rpc: str
    data: dict
    headers: dict[str, str]
    path: str


class KaggleServer(ThreadingHTTPServer):
    """The HTTP server: its `state`, the calls received (`requests`), and those meant for other hosts (`strays`)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.state = Kaggle(self.base, USER, TOKEN)
        self.requests: list[Call] = []
        self.strays: list[str] = []
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.late: list[list] = []  # [requests to come, the call to carry out]
        self.first: dict[str, tuple[int, bytes, dict]] = {}  # the first true answer of each name
        self.watch = lambda rpc, step: None  # called when a request has "come" and when it is "done"
        self.stopping, self.lock = threading.Event(), threading.Lock()

    def fail(self, rpc: str, *faults: Fault) -> None:
        """Let the next requests of this name go wrong so, in order; files are requested by GET and sent by PUT."""
        self.faults[rpc].extend(faults)

    def calls_to(self, rpc: str) -> list[dict]:
        """The JSON of every request of this name so far."""
        return [request.data for request in self.requests if request.rpc == rpc]

    def close(self) -> None:
        """Stop, those that hang included."""
        self.stopping.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """A client that went away is none of ours; everything else is printed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection: every request is recorded, then goes wrong or is answered."""

    server: KaggleServer
    body = b""

    def log_message(self, *message):
        """Nothing: tests read the record."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        rpc = urlsplit(self.path).path.rpartition("/")[2]
        self._handle(rpc, json.loads(body or b"{}"), lambda data: self._answer_of(rpc, data))

    def do_GET(self):
        self._handle("GET", {}, lambda _: self._file())

    def do_HEAD(self):
        self._handle("HEAD", {}, lambda _: self._file())

    def do_PUT(self):
        self._handle("PUT", {}, lambda _: self._upload())

    def do_CONNECT(self):
        self.server.strays.append(self.path)
        self._send(502, b"this proxy leads nowhere")

    def _handle(self, rpc: str, data: dict, answer) -> None:
        server = self.server
        with server.lock:
            server.requests.append(Call(rpc, data, dict(self.headers), self.path))
            fault = server.faults[rpc].popleft() if server.faults[rpc] else Fault()
            for waiting in server.late:
                waiting[0] -= 1
                if waiting[0] == 0:
                    waiting[1]()
            if fault.after:
                server.late.append([fault.after, lambda: answer(data)])
        server.watch(rpc, "come")
        if urlsplit(self.path).hostname not in (*_FREE, None):
            server.strays.append(self.path)
            self._send(502, b"this proxy leads nowhere")
            return
        if rpc == "PUT":
            length = int(self.headers.get("Content-Length", 0))
            self.body = self.rfile.read(length if fault.kept_bytes is None else min(fault.kept_bytes, length))
        true = None
        if fault == Fault() or fault.done or fault.also or fault.kept_bytes is not None:
            with server.lock:
                true = answer(data)
                server.first.setdefault(rpc, true)
            server.watch(rpc, "done")
        if fault.hang_s:
            server.stopping.wait(fault.hang_s)
        if fault.broken:
            self._break(true, fault)
        elif fault.status:
            self._send(fault.status, fault.body.encode(), {"Content-Type": fault.kind} | fault.headers)
        else:
            status, body, headers = server.first.get(rpc, true) if fault.earlier else true
            self._send(status, as_json(json.loads(body) | fault.also) if fault.also else body, headers)

    def _answer_of(self, rpc: str, data: dict) -> tuple[int, bytes, dict]:
        """What Kaggle answers to a remote call."""
        state = self.server.state
        login = (f"Bearer {state.token}", "Basic " + b64encode(f"{state.user}:{LEGACY_KEY}".encode()).decode())
        if rpc != "IntrospectToken" and (self.headers.get("Authorization") not in login or not state.token_active):
            return 401, as_json({"code": 401, "message": "Unauthenticated"}), {"Content-Type": JSON}
        try:
            answer = getattr(state, rpc)(data)
        except Refusal as refusal:
            return refusal.status, as_json(refusal.body), {"Content-Type": JSON}
        if isinstance(answer, str):
            return 302, b"", {"Location": answer}
        return 200, as_json(answer), {"Content-Type": JSON}

    def _file(self) -> tuple[int, bytes, dict]:
        """A stored file, or the part of it that is requested."""
        data = self.server.state.storage.get(urlsplit(self.path).path)
        if data is None:
            return 404, b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", {"Content-Type": "text/xml"}
        mark = f'"{hash(data):x}"'
        headers = {"Accept-Ranges": "bytes", "ETag": mark, "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
        byte_range, unchanged = self.headers.get("Range"), self.headers.get("If-Range") in (None, mark)
        if not byte_range or not unchanged:
            return 200, data, headers
        start = int(byte_range.removeprefix("bytes=").partition("-")[0])
        if start >= len(data):
            return 416, b"", headers
        return 206, data[start:], headers | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}

    def _upload(self) -> tuple[int, bytes, dict]:
        """Take (the beginning of) an upload, or report how much of it is here."""
        upload = self.server.state.uploads.get(urlsplit(self.path).path.rpartition("/")[2])
        if upload is None:
            return 404, b"", {}
        place = self.headers.get("Content-Range", "")
        if not place.startswith("bytes */"):
            start = int(place.removeprefix("bytes ").partition("-")[0]) if place else 0
            upload["data"] = upload["data"][:start] + self.body
        if len(upload["data"]) == upload["size"]:
            return 200, b"", {}
        return 308, b"", {"Range": f"bytes=0-{len(upload['data']) - 1}"} if upload["data"] else {}

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _break(self, true: tuple[int, bytes, dict] | None, fault: Fault) -> None:
        """End the connection by a reset, or in good order after the beginning of an answer."""
        if true is not None and fault.kept_bytes is not None and self.command != "PUT":
            status, body, headers = true
            self.send_response(status)
            for name, value in (headers | ({} if fault.unsized else {"Content-Length": str(len(body))})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: fault.kept_bytes])
        else:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.connection.close()


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """A fresh Kaggle, and an environment in which nothing else can be reached; alice is logged in by a token."""
    server = KaggleServer()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    isolate(tmp_path / "loopback", server.base, TOKEN, monkeypatch)
    try:
        yield server
    finally:
        server.close()
    assert not server.strays, f"requests meant for others: {server.strays}"
