"""A project of six toy kernels to push from, a clock that only moves by sleeping, and calls that can be killed."""

import json
import os
import signal
import traceback

import pytest

from build import rehearse
from build.kaggle_io import client
from build.kaggle_io.push_log import KERNELS
from build.kernels import metadata
from tests.support.toytree import allowed, kernel, write

NOTEBOOK = '# %% [markdown]\n# # A story, é\n\n# %% tags=["parameters"]\nn: int = 2\n\n# %%\nprint(n)\n'


class FakeTime:
    """A clock that only moves by sleeping."""

    def __init__(self):
        self.now_s, self.slept = 0.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now_s += seconds


@pytest.fixture
def faketime(monkeypatch):
    fake = FakeTime()
    monkeypatch.setattr(client, "sleep", fake.sleep)
    monkeypatch.setattr(client, "clock", lambda: fake.now_s)
    return fake


def toy_project(folder):
    """The folder with six toy kernels, which need no lib."""
    files = allowed()
    for slug in KERNELS.values():
        files |= kernel(slug) | {metadata.source_of(slug): NOTEBOOK}
    return write(folder, files)


@pytest.fixture
def root(tmp_path, kaggle, faketime):
    """A project of six toy kernels; Kaggle and time are not real."""
    return toy_project(tmp_path / "project")


@pytest.fixture
def rehearsed(monkeypatch):
    """The rehearsals run; each leaves a receipt."""
    rehearsals = []

    def rehearsal(arguments, root):
        rehearsals.append(arguments)
        receipt = {"inputs": {name: {"path": "/kaggle/input/x", "manifest": f"hash-{name}"} for name in ("l0", "l1")}}
        write(root, {"dist/rehearsal/here-public/receipt.json": json.dumps(receipt)})
        return 0

    monkeypatch.setattr(rehearse, "main", rehearsal)
    return rehearsals


def fork(work) -> int:
    """The process id of a copy of this process that runs `work` and ends with the code that it returns."""
    if pid := os.fork():
        return pid
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        code = work()
    except BaseException:
        traceback.print_exc()
        code = 99
    os._exit(code)


def join(pid: int) -> int:
    """The exit code of a process that `fork` made; negative, the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at(server, rpc: str, step: str, work) -> int:
    """Run `work` in a copy of this process that is killed when a request of this name has `come`, or is `done`."""
    pids = []

    def watch(name, at):
        if (name, at) == (rpc, step):
            server.watch = lambda name, at: None
            os.kill(pids[0], signal.SIGKILL)

    server.watch = watch
    with server.lock:  # no request is handled before the process is known
        pids.append(fork(work))
    return join(pids[0])
