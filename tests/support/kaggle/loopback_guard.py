"""Nothing leaves this machine: connections and look-ups of names beyond loopback fail at once.

Import this before onnxruntime: that reports to its maker from native code, which no guard in Python sees.
"""

import ipaddress
import os
import socket
import sys
import tempfile
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_CONNECT, _CONNECT_EX, _LOOK_UP = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo


class LeftLoopback(OSError):
    """A test tried to reach beyond this machine."""


def refuse_outside(host: object) -> None:
    """Raise unless the host is this machine itself."""
    name = host.decode() if isinstance(host, bytes) else str(host or "127.0.0.1")
    try:
        inside = ipaddress.ip_address(name).is_loopback
    except ValueError:
        inside = name == "localhost"
    if not inside:
        raise LeftLoopback(f"a test tried to reach {name}")


def connect(self, address):
    if self.family != socket.AF_UNIX:
        refuse_outside(address[0])
    return _CONNECT(self, address)


def connect_ex(self, address):
    if self.family != socket.AF_UNIX:
        refuse_outside(address[0])
    return _CONNECT_EX(self, address)


def getaddrinfo(host, *more, **settings):
    refuse_outside(host)
    return _LOOK_UP(host, *more, **settings)


_GUARDS = (
    (socket.socket, "connect", connect),
    (socket.socket, "connect_ex", connect_ex),
    (socket, "getaddrinfo", getaddrinfo),
)


def install() -> None:
    """Guard this process until its end."""
    for place, name, guarded in _GUARDS:
        setattr(place, name, guarded)


def isolate(folder: Path, proxy: str, token: str, monkeypatch) -> None:
    """Home, temporary folder, credentials and proxies, children's too: only the server at `proxy` can be reached."""
    for name in ("home", "tmp", "site"):
        (folder / name).mkdir(parents=True)
    for name in [name for name in os.environ if name.startswith("KAGGLE_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    guard = f"import sys\nsys.path.append({str(Path(__file__).resolve().parents[3])!r})\n"
    guard += "from tests.support.kaggle import loopback_guard\nloopback_guard.install()\n"
    (folder / "site" / "sitecustomize.py").write_text(guard)  # children run it when they start
    variables = {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "XDG_CONFIG_HOME": str(folder / "home" / ".config"),
        "PYTHONPATH": os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        "KAGGLE_API_TOKEN": token,
        "PANTANAL_HTTP_TIMEOUT_S": "2",
        **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), proxy),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", None)
    for name in [name for name in sys.modules if name == "kaggle" or name.startswith("kaggle.")]:
        monkeypatch.delitem(sys.modules, name)  # its class keeps the environment of its first import
    for place, name, guarded in _GUARDS:
        monkeypatch.setattr(place, name, guarded)
