"""What the loopback Kaggle keeps: runs of kernels, datasets, competitions; and how it refuses."""

import json
from dataclasses import dataclass, field

from lib.core.fingerprint import of_bytes

SEALED = {"01": "prepared", "02": "member", "03": "member", "04": "member", "05": "recipes"}


class Refusal(Exception):
    """A call that Kaggle answers with an HTTP status and a reason; nested, as its gateway does, or flat."""

    def __init__(self, status: int, reason: str, nested: bool = False):
        super().__init__(reason)
        body = {"code": status, "message": reason}
        self.status, self.body = status, {"error": body} if nested else body


@dataclass
class Run:
    """What becomes of a pushed version: each question for its status takes one off, the last one stays."""

    statuses: list[str] = field(default_factory=lambda: ["QUEUED", "RUNNING", "COMPLETE"])
    failure: str = ""
    outputs: dict[str, bytes] | None = None  # None: what the kernel writes in a good run
    log: str = '[{"stream_name":"stdout","time":0.1,"data":"hello\\n"}]'

    def status(self) -> str:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@dataclass
class Dataset:
    """A dataset: its title and the files of each version."""

    title: str
    private: bool = True
    versions: list[dict[str, bytes]] = field(default_factory=list)
    description: str = ""
    notes: dict[int, str] = field(default_factory=dict)  # by version, from the second on
    statuses: list[str] = field(default_factory=lambda: ["READY"])


@dataclass
class Competition:
    """A competition: its files, whether its rules are accepted, and what becomes of a submission."""

    files: dict[str, bytes] = field(default_factory=dict)
    rules_accepted: bool = True
    allowed_now: int = 5
    statuses: list[str] = field(default_factory=lambda: ["PENDING", "COMPLETE"])
    public_score: str = "0.712"
    private_score: str = ""
    error: str = ""
    submissions: list[dict] = field(default_factory=list)


def whole_outputs(slug: str, text: str = "{}", **more: bytes) -> dict[str, bytes]:
    """What a kernel of the bundle writes in a good run, and more: a sealed folder, or a submission with its receipt."""
    number = slug.partition("pantanal-")[2][:2]
    if kind := SEALED.get(number):
        made = {f"{kind}/a.csv": b"1,2\n" * 50}
        manifest = {"kind": kind, "files": {"a.csv": of_bytes(made[f"{kind}/a.csv"])}}
        return made | {f"{kind}/manifest.json": json.dumps(manifest).encode()} | more
    submission = b"row_id,a\nT_5,0.5\n" * 20
    lib = json.loads(text).get("metadata", {}).get("pantanal", {}).get("lib_fingerprint")
    receipt = {"submission": of_bytes(submission), "lib_fingerprint": lib, "inputs": {}}
    return {"submission.csv": submission, "receipt.json": json.dumps(receipt).encode()} | more
