"""The record of a run, written once, when the run has ended; and the settings that the records of a sweep tried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.core.errors import BadInput, shorten
from lib.core.records import from_json, read_json, to_json, write_json
from lib.judge.effects import value_name, varying
from lib.judge.ledger import LedgerLine

STAGES = ("only", "replay", "full")
STATUSES = ("done", "failed", "pruned")
LOG = "run.log"
MEMBERS = ("members", "discarded")  # below a notebook's output: 04 moves worse students to the second


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
    notebook: str  # the executed notebook; its page lies beside it
    member: str  # the folder with oof.parquet; empty where the notebook makes none
    ledger: list[dict]  # the lines that the run wrote

    def __post_init__(self):
        """Refuse a stage or status that readers do not know."""
        for value, known in ((self.stage, STAGES), (self.status, STATUSES)):
            if value not in known:
                raise BadInput(
                    "a run's record has an unknown word", expected=", ".join(known), got=value, do="fix the record"
                )

    @property
    def log(self) -> str:
        """The log of its process, which ends with the error."""
        return f"runs/{self.id}/{LOG}"

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


_NO_EFFECT = {"seed", "output_dir"}  # set by luck and bookkeeping


@dataclass(frozen=True, eq=False)
class Setting:
    """The runs of one stage that ended well and differ by their seed alone."""

    name: str
    records: tuple[RunRecord, ...]

    @property
    def score(self) -> float:
        """The mean over its seeds."""
        return float(np.mean([record.score for record in self.records]))


def effective_parameters(record: RunRecord) -> dict:
    """The parameters of a run that may change its outcome: all but its seed and its place."""
    return {name: value for name, value in record.parameters.items() if name not in _NO_EFFECT}


def varied_parameters(records: Sequence[RunRecord]) -> tuple[str, ...]:
    """The parameters that vary within a stage; what a replay changes for all is none of them."""
    stages = [[effective_parameters(record) for record in records if record.stage == stage] for stage in STAGES]
    return tuple(dict.fromkeys(name for each in stages for name in varying(each)))


def settings_by_stage(sweep: Mapping, records: Sequence[RunRecord]) -> tuple[dict[str, list[Setting]], bool]:
    """The settings of each stage, the baseline's or its stand-in first; and whether the baseline ran.

    The records come by their numbers.
    """
    by_stage: dict[str, dict[str, list[RunRecord]]] = {}
    for record in records:
        if record.status == "done" and record.score is not None:
            key = repr(sorted(effective_parameters(record).items()))
            by_stage.setdefault(record.stage, {}).setdefault(key, []).append(record)
    first: dict = next(iter(sweep["points"] or [effective_parameters(record) for record in records]), {})
    replay = (sweep["promote"] or {}).get("replay", {})
    names = varied_parameters(records)
    found, all_ran = {}, True
    for stage, groups in by_stage.items():
        full = first | (replay if stage == "replay" else {})
        baseline = {name: value for name, value in full.items() if name not in _NO_EFFECT}
        order = sorted(groups.values(), key=lambda group: effective_parameters(group[0]) != baseline)
        ran = effective_parameters(order[0][0]) == baseline
        all_ran &= ran
        found[stage] = [
            Setting(_setting_name(group[0], order[0][0], names, ran and n == 0), tuple(group))
            for n, group in enumerate(order)
        ]
    return found, all_ran


def _setting_name(record: RunRecord, reference: RunRecord, names: Sequence[str], baseline: bool) -> str:
    """The setting's name in sentences: its first run's number, and what it sets otherwise than the reference."""
    if baseline:
        return "the baseline"
    ours, theirs = effective_parameters(record), effective_parameters(reference)
    other = [f"{name}={value_name(ours[name])}" for name in names if name in ours and ours[name] != theirs.get(name)]
    return f"run {record.number}" + (f" ({', '.join(other)})" if other else "")
