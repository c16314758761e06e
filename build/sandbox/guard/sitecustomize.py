"""Refuse connections that leave this machine; the open rehearsal puts this on PYTHONPATH of every Python below it."""

import errno
import os
import socket

_INSIDE = ("127.", "::1", "localhost", "0.0.0.0")


def _refuse_outside(address: object) -> None:
    """Raise what a machine without network raises; addresses of this machine and Unix sockets pass."""
    if isinstance(address, tuple) and not str(address[0]).startswith(_INSIDE):
        raise OSError(errno.ENETUNREACH, f"{os.strerror(errno.ENETUNREACH)} (rehearsal)", str(address))


class _GuardedSocket(socket.socket):
    """A socket that reaches this machine only."""

    def connect(self, address):
        _refuse_outside(address)
        return super().connect(address)

    def connect_ex(self, address):
        _refuse_outside(address)
        return super().connect_ex(address)

    def sendto(self, data, *rest):
        _refuse_outside(rest[-1])
        return super().sendto(data, *rest)


_getaddrinfo = socket.getaddrinfo


def _guarded_getaddrinfo(host, *rest, **options):
    if host is not None:
        _refuse_outside((host.decode() if isinstance(host, bytes) else host,))
    return _getaddrinfo(host, *rest, **options)


vars(socket).update(socket=_GuardedSocket, getaddrinfo=_guarded_getaddrinfo)
