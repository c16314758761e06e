"""Enter the sealed room: `python sealed.py <request.json>` moves itself into new namespaces and becomes the command.

A new root is put together on a tmpfs of everything in `/`, read-only, with a `/tmp` and a `/kaggle` of its own and an
empty folder over the checkout; so nothing has to exist on the host, and nothing is left there. Linux only.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

_NEW_MOUNTS, _NEW_USER, _NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000  # linux/sched.h
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 32, 4096, 16384, 1 << 18  # linux/mount.h
_KEPT_FLAGS = 2 | 4 | 8 | 1024 | 2048  # nosuid, nodev, noexec, noatime, nodiratime: locked inside a user namespace
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
_OWN = {"tmp", "kaggle", "lost+found"}
_LIVE = {"dev", "proc", "sys", "run"}
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments) -> None:
    """Call libc; a failure raises OSError that names the call and its arguments."""
    if getattr(_libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}{arguments}: {os.strerror(code)}")


def _mount(source: str, target: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    """mount(2)."""
    encoded = [text.encode() if text is not None else None for text in (source, str(target), kind, options)]
    _call("mount", *encoded[:3], ctypes.c_ulong(flags), encoded[3])


def _bind(source: Path, target: Path, read_only: bool) -> None:
    """Mount `source`, a folder or a file, at `target`, with everything mounted below it."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.touch()
    _mount(str(source), target, None, _BIND | _RECURSIVE)
    if read_only:
        kept = os.statvfs(target).f_flag & _KEPT_FLAGS
        _mount("none", target, None, _REMOUNT | _BIND | _READ_ONLY | kept)


def enter_namespaces(as_user: bool) -> None:
    """New mounts and a network of its own with only loopback, which kernels need; as user: root only in there."""
    user, group = os.getuid(), os.getgid()
    _call("unshare", _NEW_MOUNTS | _NEW_NETWORK | (_NEW_USER if as_user else 0))
    if as_user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _mount("none", Path("/"), None, _RECURSIVE | _PRIVATE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        flags = struct.unpack_from("16sh", fcntl.ioctl(sock, _GET_FLAGS, struct.pack("16sh14x", b"lo", 0)))[1]
        fcntl.ioctl(sock, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


def make_root(root: Path, request: dict) -> None:
    """Mount the new root at `root`: the host's folders, then those that the request mounts, moves and hides."""
    _mount("tmpfs", root, "tmpfs", 0, "mode=755")
    for entry in sorted(os.scandir("/"), key=lambda entry: entry.name):
        if entry.is_symlink():
            (root / entry.name).symlink_to(os.readlink(entry.path))
        elif entry.name not in _OWN:
            _bind(Path(entry.path), root / entry.name, read_only=entry.name not in _LIVE)
    (root / "tmp").mkdir(mode=0o777)
    for target, source in request["moved"].items():
        _bind(Path(source), root / target.lstrip("/"), read_only=True)
    for folder in request["hidden"]:
        covered = root / folder.lstrip("/")
        if covered.is_dir():
            _mount("tmpfs", covered, "tmpfs", _READ_ONLY, "mode=755")
    for name, source in request["inputs"].items():
        _bind(Path(source), root / "kaggle" / "input" / name, read_only=True)
    _bind(Path(request["working"]), root / "kaggle" / "working", read_only=False)


def main(request_path: str) -> None:
    """Enter, probe, and become the command; never returns unless the probe finds a fault."""
    request = json.loads(Path(request_path).read_text())
    root = Path(request["root"])
    enter_namespaces(request["as_user"])
    make_root(root, request)
    os.chroot(root)
    os.chdir("/kaggle/working")
    probe = subprocess.run(request["probe"], env=request["variables"], check=False)
    if probe.returncode:
        sys.exit(probe.returncode)
    os.execve(request["command"][0], request["command"], request["variables"])


if __name__ == "__main__":
    main(sys.argv[1])
