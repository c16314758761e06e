"""The end of processes that a tool started, with all that these have started themselves."""

import os
from contextlib import suppress

import psutil  # ipykernel brings it


def end_tree(pid: int) -> None:
    """Kill the process and all it started; the kernel has a session of its own, so a group signal would miss it."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        family = [*root.children(recursive=True), root]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs([member for member in family if member.pid != pid], timeout=10)


def end_session(leader: int) -> None:
    """Kill all processes of the session that this process leads or led."""
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == leader:
                process.kill()
