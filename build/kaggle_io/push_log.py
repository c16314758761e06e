"""Local records of kernels on Kaggle: their short names, the last push of each, and one line per run."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lib.core.errors import BadInput
from lib.core.records import from_json, read_json, to_json, write_json, write_text

KERNELS = {
    "prep": "pantanal-01-data-prep",
    "train": "pantanal-02-fold-training",
    "probe": "pantanal-03-perch-probe",
    "pseudo": "pantanal-04-pseudo-labels",
    "blend": "pantanal-05-blend",
    "infer": "pantanal-06-submission",
}


@dataclass(frozen=True)
class PushRecord:
    """The last push of a kernel, saved at each step of build/kaggle_io/push.py: a second call goes on there."""

    kernel: str  # owner/slug
    sha: str  # of the whole request
    version_before: int  # the latest that Kaggle had
    version: int  # 0 until it is known
    url: str
    pushed_at: str
    status: str  # of its run, once it is closed; empty until then
    dropped: list[str] = field(default_factory=list)  # sources that Kaggle did not attach


@dataclass(frozen=True)
class KaggleRun:
    """One run on Kaggle, as a line of `pushes.jsonl`."""

    kernel: str
    version: int
    sha: str
    status: str
    failure: str
    pushed_at: str
    ended_at: str
    outputs: list[str]
    url: str


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def kernel_folder(root: Path, slug: str) -> Path:
    """The folder with everything about one kernel on Kaggle."""
    return root / "runs" / "kaggle" / slug


def last_push(root: Path, slug: str) -> PushRecord | None:
    """The kernel's last push, or None."""
    path = kernel_folder(root, slug) / "pushed.json"
    return from_json(PushRecord, read_json(path), str(path)) if path.is_file() else None


def save_push(root: Path, slug: str, record: PushRecord | None) -> None:
    """Save a push as its kernel's last, in one step; None removes it."""
    path = kernel_folder(root, slug) / "pushed.json"
    if record:
        write_json(path, to_json(record))
    else:
        path.unlink(missing_ok=True)


def append_run(root: Path, line: KaggleRun) -> None:
    """Add the line of a run, in one step, unless that push has one."""
    known = read_runs(root)
    if (line.kernel, line.version, line.pushed_at) not in {(one.kernel, one.version, one.pushed_at) for one in known}:
        lines = [json.dumps(to_json(one), sort_keys=True, allow_nan=False) for one in [*known, line]]
        write_text(root / "runs" / "kaggle" / "pushes.jsonl", "".join(f"{text}\n" for text in lines))


def newest_run(root: Path, kernel: str) -> int:
    """The newest version of owner/slug whose run is in the list; 0 for none."""
    return max((line.version for line in read_runs(root) if line.kernel == kernel), default=0)


def read_runs(root: Path) -> list[KaggleRun]:
    """All lines so far; a torn or foreign line is an error that gives its number."""
    path = root / "runs" / "kaggle" / "pushes.jsonl"
    texts = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    try:
        return [from_json(KaggleRun, json.loads(text), f"{path} line {n}") for n, text in enumerate(texts, start=1)]
    except json.JSONDecodeError as error:
        raise BadInput(
            f"{path} is torn",
            expected="one JSON object a line",
            got=error,
            do="fix or delete the line",
        ) from error
