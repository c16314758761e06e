"""Convert the ledger's lines and the sweeps' runs to MLflow runs: parameters, metrics, tags and experiment."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from build.sweeps.record import RunRecord
from build.sweeps.report import read_records
from lib.core import fingerprint
from lib.core.paths import ledger_path
from lib.core.records import read_json, to_json
from lib.judge.ledger import LedgerLine, read_ledger

_STATUS = {"done": "FINISHED", "failed": "FAILED", "pruned": "KILLED"}
_LONGEST = 4000  # characters of a text that MLflow's store still takes


@dataclass(frozen=True)
class TrackedRun:
    """One run, ready for MLflow: `id` identifies it, and `content` changes with it."""

    experiment: str
    id: str
    name: str
    status: str
    started_ms: int
    ended_ms: int
    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]

    @cached_property
    def content(self) -> str:
        """The fingerprint of all but its times, which a ledger's line does not have."""
        return fingerprint.of_json([self.name, self.status, self.parameters, self.metrics, self.tags])


def iterate_runs(runs: Path) -> Iterator[TrackedRun]:
    """The runs of all sweeps below RUNS, then the lines of its ledger that belong to no run of a sweep."""
    exported: set[str] = set()
    for sweep in sorted(runs.glob("sweeps/*/sweep.json")):
        for each in _of_sweep(sweep.parent):
            exported.add(each.tags["run"])
            yield each
    yield from _of_ledger(ledger_path(runs), exported)


def _of_sweep(folder: Path) -> Iterator[TrackedRun]:
    """The runs of one sweep that have ended."""
    sweep = read_json(folder / "sweep.json")
    results = folder / "results.json"
    verdicts = (
        {row["id"]: row["verdict"] for row in json.loads(results.read_text(encoding="utf-8"))}
        if results.is_file()
        else {}
    )
    for record in read_records(folder, sweep):
        started = int(datetime.fromisoformat(record.started).timestamp() * 1000)
        metrics = {"score": record.score, "seconds": record.seconds}
        metrics |= dict(zip(("low", "high"), record.interval or (), strict=False))
        metrics |= {f"fold_{fold}": score for fold, score in record.per_fold.items()}
        yield TrackedRun(
            experiment=f"sweep {folder.name}",
            id=f"{folder.name}/{record.id}",
            name=f"{record.number} {record.stage}",
            status=_STATUS[record.status],
            started_ms=started,
            ended_ms=started + int(1000 * record.seconds),
            parameters={name: str(value)[:_LONGEST] for name, value in record.parameters.items()},
            metrics={name: value for name, value in metrics.items() if value is not None},
            tags=_tags(folder, sweep, record, verdicts),
        )


def _tags(folder: Path, sweep: Mapping, record: RunRecord, verdicts: Mapping[str, str]) -> dict[str, str]:
    """Further facts about a run of a sweep, and the paths of its files."""
    page = str(Path(record.notebook).with_suffix(".html"))
    places: dict[str, str] = {"page": page, "notebook": record.notebook, "member": record.member}
    tags = {
        "question": sweep["question"],
        "sweep": folder.name,
        "run": record.id,
        "stage": record.stage,
        "verdict": verdicts.get(record.id, ""),
        "error": record.error[:_LONGEST],
    }
    tags |= {name: str((folder / place).resolve()) for name, place in places.items() if str(place) not in ("", ".")}
    links = [f"- {name}: `{tags[name]}`" for name in places if name in tags]
    return {name: text for name, text in tags.items() if text} | {"mlflow.note.content": "\n".join(links)}


def _of_ledger(path: Path, exported: set[str]) -> Iterator[TrackedRun]:
    """The ledger's lines; the second of two equal ones is a run of its own."""
    seen: Counter[str] = Counter()
    ended = int(path.stat().st_mtime * 1000) if path.is_file() else 0
    for line in read_ledger(path):
        identity = fingerprint.of_json(to_json(line))
        seen[identity] += 1
        if not ("sweep" in line.tags and exported.intersection(line.tags)):
            yield _of_line(line, f"ledger/{identity}/{seen[identity]}", ended)


def _of_line(line: LedgerLine, identity: str, ended_ms: int) -> TrackedRun:
    """One line; it has no time, so it ends when the ledger was last written to."""
    facts = ("config", "fold_version", "data_version", "seed", "classes")
    return TrackedRun(
        experiment=line.question,
        id=identity,
        name=" ".join(line.tags) or line.config,
        status="FINISHED",
        started_ms=ended_ms - int(1000 * line.seconds),
        ended_ms=ended_ms,
        parameters={name: str(getattr(line, name)) for name in facts},
        metrics={"score": line.score, "low": line.interval[0], "high": line.interval[1], "seconds": line.seconds},
        tags={"question": line.question, "verdict": line.verdict, "tags": " ".join(line.tags)},
    )
