"""Runs on this machine: as many at once as its cores allow, each on a fair share of them; or as its GPUs allow."""

import os
import subprocess
from pathlib import Path

from sweep_runs import begin, end, own_cores, shares

from lib.competition.errors import BadInput


class Local:
    """Processes of this machine."""

    def __init__(self, wanted: int, cores: int = 1, gpus: int = 0):
        """Room for up to `wanted` runs at once, each with `cores` at least, and with so many GPUs."""
        ours, there = own_cores(), _gpus() if gpus else []
        if gpus > len(there):
            raise BadInput("this machine has too few GPUs", expected=f"{gpus} a run", got=len(there),
                           do="ask for fewer in resources, or give ENGINE a cluster that has them")  # fmt: skip
        at_once = max(1, min(wanted, len(ours) // cores))
        at_once = min(at_once, len(there) // gpus) if gpus else at_once
        self._free = [(share, there[n * gpus : (n + 1) * gpus]) for n, share in enumerate(shares(ours, at_once))]
        self._running: dict[str, tuple[subprocess.Popen, tuple]] = {}
        self.places = at_once

    def __str__(self) -> str:
        return f"{self.places} at once on {len(own_cores())} cores of this machine"

    def start(self, request: Path) -> None:
        """Begin the run that the request describes."""
        cores, gpus = room = self._free.pop(0)
        environment = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}
        self._running[request.parent.name] = (begin(request, cores, environment), room)

    def ended(self) -> dict[str, str]:
        """The runs that have ended since this was asked, each with what ended it where it left no record."""
        found = {}
        for identity, (process, room) in list(self._running.items()):
            if process.poll() is not None:
                found[identity] = f"its process ended with code {process.returncode}"
                self._forget(identity, process, room)
        return found

    def close(self) -> None:
        """End all runs."""
        for identity, (process, room) in list(self._running.items()):
            self._forget(identity, process, room)

    def _forget(self, identity: str, process: subprocess.Popen, room: tuple) -> None:
        """Make sure that nothing of the run is left, and free its room."""
        end(process)
        del self._running[identity]
        self._free.append(room)


def _gpus() -> list[str]:
    """The GPUs that this process may use, by number or name."""
    if said := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return said.split(",")
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return []
    return [str(number) for number, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]
