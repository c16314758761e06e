"""Check a rehearsal from inside, before the kernel runs; arguments: the hidden folders and the inputs, in JSON."""

import errno
import importlib.util
import json
import os
import socket
import sys
import time


def faults(hidden: list[str], read_only: list[str]) -> list[str]:
    """The resources that a kernel could use here but not on Kaggle, in a sentence each."""
    found = [f"{folder} can be listed" for folder in hidden if os.path.isdir(folder) and os.listdir(folder)]
    found += [f"{folder} can be written" for folder in read_only if not os.statvfs(folder).f_flag & os.ST_RDONLY]
    if (lib := importlib.util.find_spec("lib")) is not None:
        found.append(f"lib can be imported from {lib.origin}")
    if extra := sorted(set(os.listdir(".")) - {"__notebook__.ipynb"}):
        found.append(f"the working folder holds {', '.join(extra)}")
    return found + _network_fault()


def _network_fault() -> list[str]:
    """A sentence unless connecting to an outside address fails at once with 'network is unreachable'."""
    start = time.monotonic()
    with socket.socket() as sock:
        sock.settimeout(3)
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError as error:
            if error.errno == errno.ENETUNREACH and time.monotonic() - start < 1:
                return []
            return [f"connecting out failed otherwise than at once and unreachable: {error}"]
    return ["connecting out succeeds"]


if __name__ == "__main__":
    found = faults(json.loads(sys.argv[1]), json.loads(sys.argv[2]))
    sys.exit("the rehearsal is not sealed:\n  " + "\n  ".join(found) if found else 0)
