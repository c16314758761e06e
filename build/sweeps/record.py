"""The record of a run: written once, when the run has ended; its presence means that it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.core.errors import BadInput, shorten
from lib.core.records import from_json, read_json, to_json, write_json
from lib.judge.ledger import LedgerLine

STAGES = ("only", "replay", "full")
STATUSES = ("done", "failed", "pruned")
MEMBERS = ("members", "discarded")  # where notebooks leave them below their output: 04 lays aside what is worse


@dataclass(frozen=True)
class RunRecord:
    """One run: its parameters, its outcome, and where it lies; paths are relative to the sweep's folder."""

    id: str  # the fingerprint of all that decides the outcome
    number: int  # its place in the sweep's table, from 1
    stage: str  # "only"; or "replay", then "full" for the promoted
    parameters: dict  # all that the file sets, fixed ones included; settings of `overrides` by their own names
    status: str
    score: float | None  # out of fold, by the judge; None where nothing was judged
    interval: list[float] | None  # low, high
    per_fold: dict[str, float]  # by the number of the fold that was held out
    seed: int | None
    seconds: float
    started: str  # ISO time with zone
    error: str  # what went wrong, or why it was pruned; empty when done
    notebook: str  # the executed notebook; its page and log lie beside it
    member: str  # the folder with oof.parquet; empty where the notebook makes none
    ledger: list[dict]  # the lines that the run wrote

    def __post_init__(self):
        """Refuse a stage or status that readers do not know."""
        for value, known in ((self.stage, STAGES), (self.status, STATUSES)):
            if value not in known:
                raise BadInput(
                    "a run's record has an unknown word", expected=", ".join(known), got=value, do="fix the record"
                )

    def line(self, metric: str) -> LedgerLine | None:
        """The ledger line that counts, of those that the run wrote."""
        return counting_line([from_json(LedgerLine, line, f"run {self.number}") for line in self.ledger], metric)


def write_record(sweep: Path, record: RunRecord) -> None:
    """Write the record into its run's folder, whole or not at all."""
    write_json(record_path(sweep, record.id), to_json(record))


def read_record(sweep: Path, identity: str) -> RunRecord | None:
    """The record of a run that has ended, or None for one that has not."""
    path = record_path(sweep, identity)
    return from_json(RunRecord, read_json(path), str(path)) if path.is_file() else None


def counting_line(lines: Sequence[LedgerLine], metric: str) -> LedgerLine | None:
    """The ledger line that counts: the newest tagged with the metric; without a metric the newest, if there is any."""
    found = [line for line in lines if not metric or metric in line.tags]
    if metric and not found:
        raise BadInput(
            "the notebook wrote no score of that name",
            expected=f"a ledger line tagged {metric}",
            got=shorten(" ".join(line.tags) for line in lines) or "no line",
            do="set metric to one of the tags",
        )
    return found[-1] if found else None


def record_path(sweep: Path, identity: str) -> Path:
    """The path of a run's record."""
    return sweep / "runs" / identity / "run.json"
