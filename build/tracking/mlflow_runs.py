"""Convert the ledger's lines and the sweeps' runs to MLflow runs: an experiment a notebook, a parent run a sweep."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from build.sweeps.record import RunRecord, varied_parameters
from build.sweeps.report import read_records
from build.sweeps.runs import format_parameters, output_of
from build.tracking.artifacts import Artifact, Curves, find_artifacts_of
from lib.core import fingerprint
from lib.core.paths import ledger_path
from lib.core.records import read_json, to_json
from lib.judge.ledger import LedgerLine, read_ledger

_STATUS = {"done": "FINISHED", "failed": "FAILED", "pruned": "KILLED"}
_LONGEST = 4000  # characters of a text that MLflow's store still takes
_OTHER = "other lines of the ledger"  # of what lies no longer below RUNS, so that no notebook can be named


@dataclass(frozen=True)
class TrackedRun:
    """One run, ready for MLflow: `id` identifies it, and `content` changes with it."""

    experiment: str
    id: str
    name: str
    status: str
    started_ms: int
    ended_ms: int
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    parent: str = ""  # the id of the run below which MLflow shows it

    @cached_property
    def content(self) -> str:
        """The fingerprint of all but its times, which a ledger's line does not have."""
        facts = [self.experiment, self.name, self.status, self.parameters, self.metrics, self.curves, self.tags]
        return fingerprint.of_json([*facts, self.parent])


def iterate_runs(runs: Path) -> Iterator[TrackedRun]:
    """The runs of all sweeps below RUNS, then the lines of its ledger that belong to no run of a sweep."""
    exported: set[str] = set()
    for sweep in sorted(runs.glob("sweeps/*/sweep.json")):
        for each in _of_sweep(sweep.parent):
            exported.add(each.tags.get("run", ""))
            yield each
    yield from _of_ledger(runs, exported)


def _of_sweep(folder: Path) -> Iterator[TrackedRun]:
    """The sweep itself, then those of its runs that have ended."""
    sweep, results = read_json(folder / "sweep.json"), folder / "results.json"
    rows = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else []
    verdicts = {row["id"]: row["verdict"] for row in rows}
    records, whole = read_records(folder, sweep), f"sweep/{folder.name}"
    if not records:
        return
    times = [_times(record) for record in records]
    yield TrackedRun(
        experiment=sweep["notebook"],
        id=whole,
        name=f"sweep {folder.name}",
        status="FINISHED",
        started_ms=min(start for start, _ in times),
        ended_ms=max(end for _, end in times),
        tags={"question": sweep["question"], "mlflow.note.content": f"{sweep['question']}: `{folder / 'index.html'}`"},
    )
    names = [*varied_parameters(records), "seed"]
    for record, (started_ms, ended_ms) in zip(records, times, strict=True):
        artifact = _of_record(folder, sweep, record)
        metrics = {"score": record.score, "seconds": record.seconds}
        metrics |= dict(zip(("low", "high"), record.interval or (), strict=False))
        metrics |= {f"fold_{fold}": score for fold, score in record.per_fold.items()}
        stage = "" if record.stage == "only" else f" {record.stage}"
        plan = artifact.plan if artifact else {}
        yield TrackedRun(
            experiment=sweep["notebook"],
            id=f"{folder.name}/{record.id}",
            name=f"{folder.name} {record.number}{stage}: {format_parameters(record.parameters, names)}",
            status=_STATUS[record.status],
            started_ms=started_ms,
            ended_ms=ended_ms,
            parameters=_short(plan | {name: str(value) for name, value in record.parameters.items()}),
            metrics={name: value for name, value in metrics.items() if value is not None},
            curves=artifact.curves if artifact else {},
            tags=_tags(folder, sweep, record, verdicts),
            parent=whole,
        )


def _times(record: RunRecord) -> tuple[int, int]:
    """The start and the end of a run, in milliseconds."""
    started = int(datetime.fromisoformat(record.started).timestamp() * 1000)
    return started, started + int(1000 * record.seconds)


def _of_record(folder: Path, sweep: Mapping, record: RunRecord) -> Artifact | None:
    """The member or recipe that a run of a sweep was scored by."""
    line = record.line(sweep["metric"]) if record.ledger else None
    made = find_artifacts_of(output_of(folder, record.id, Path(sweep["notebook"])))
    return next((each for each in made if line and each.config == line.config and each.name in line.tags), None)


def _tags(folder: Path, sweep: Mapping, record: RunRecord, verdicts: Mapping[str, str]) -> dict[str, str]:
    """Further facts about a run of a sweep, and the paths of its files."""
    page = str(Path(record.notebook).with_suffix(".html"))
    log = record.log if record.error else ""
    places = {"page": page, "notebook": record.notebook, "log": log, "member": record.member}
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


def _of_ledger(runs: Path, exported: set[str]) -> Iterator[TrackedRun]:
    """The ledger's lines; the second of two equal ones is a run of its own.

    They have no time: they end one after another, the last when the ledger was last written to.
    """
    path, seen = ledger_path(runs), Counter[str]()
    lines = read_ledger(path)
    ended = int(path.stat().st_mtime * 1000) - len(lines) if lines else 0
    made = [each for folder in sorted(runs.glob("[0-9]*")) for each in find_artifacts_of(folder)]
    for number, line in enumerate(lines, start=1):
        identity = fingerprint.of_json(to_json(line))
        seen[identity] += 1
        if not ("sweep" in line.tags and exported.intersection(line.tags)):
            yield _of_line(line, made, identity, seen[identity], ended + number)


def _of_line(line: LedgerLine, made: list[Artifact], identity: str, time: int, ended_ms: int) -> TrackedRun:
    """One line, with the plan and curves of what it scored where that is still there as it was."""
    named = [each for each in made if each.name in line.tags]
    same = next((each for each in named if each.config == line.config), None)
    name = named[0].name if named else " ".join(line.tags) or line.question
    again = f", again {time}" if time > 1 else ""
    facts = ("config", "fold_version", "data_version", "seed", "classes")
    return TrackedRun(
        experiment=named[0].notebook if named else _OTHER,
        id=f"ledger/{identity}/{time}",
        name=f"{name}, seed {line.seed}, {line.config[:6]}{again}",
        status="FINISHED",
        started_ms=ended_ms - int(1000 * line.seconds),
        ended_ms=ended_ms,
        parameters=_short((same.plan if same else {}) | {name: str(getattr(line, name)) for name in facts}),
        metrics={"score": line.score, "low": line.interval[0], "high": line.interval[1], "seconds": line.seconds},
        curves=same.curves if same else {},
        tags={"question": line.question, "verdict": line.verdict, "tags": " ".join(line.tags)},
    )


def _short(parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters as MLflow's store takes them."""
    return {name: text[:_LONGEST] for name, text in parameters.items()}
