"""What the loopback Kaggle keeps: runs of kernels, datasets, competitions; and how it refuses."""

from dataclasses import dataclass, field


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
    outputs: dict[str, bytes] = field(default_factory=dict)
    log: str = '[{"stream_name":"stdout","time":0.1,"data":"hello\\n"}]'

    def status(self) -> str:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@dataclass
class Dataset:
    """A dataset: its title and the files of each version."""

    title: str
    private: bool = True
    versions: list[dict[str, bytes]] = field(default_factory=list)
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
