"""Nothing leaves this machine: connections and look-ups of names beyond loopback fail at once.

Import this before onnxruntime: that reports to its maker from native code, which no guard in Python sees.
"""

import ipaddress
import os
import socket

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


def install() -> None:
    """Guard this process until its end."""
    socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo = connect, connect_ex, getaddrinfo
