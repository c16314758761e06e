"""What is left when a sweep is over: its table, with the judge's verdicts; a ledger line a run; its page."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from sweep_file import Sweep
from sweep_page import write_sweep_page
from sweep_progress import in_a_line
from sweep_record import RunRecord, that_counts
from sweep_runs import Place, Run
from sweep_verdicts import judge_sweep

from lib.competition.places import ledger_path
from lib.competition.records import from_json, read_json, write_json, write_text
from lib.judge.ledger import LedgerLine, append, read


def write_sweep(sweep: Sweep, place: Place, runs: Sequence[Run]) -> None:
    """Write `sweep.json`: the sweep as it was understood, and the runs that belong to it now."""
    facts = asdict(sweep) | {"notebook": sweep.notebook.stem, "runs": [run.id for run in runs]}
    write_json(place.folder / "sweep.json", json.loads(json.dumps(facts)))


def write_results(sweep: Sweep, place: Place, records: Sequence[RunRecord]) -> Path:
    """Write the table and the ledger lines of runs that have ended, and return the page."""
    verdicts = _verdicts(place, records)
    table = [_row(record, verdicts.get(record.id, "")) for record in records]
    write_json(place.folder / "results.json", table)
    write_text(place.folder / "results.csv", _csv(table))
    _append_lines(sweep, place, records, verdicts)
    return write_sweep_page(place.folder)


def _csv(table: Sequence[dict]) -> str:
    """The table with a column a parameter, errors in a line."""
    rows = [row["parameters"] | row | {"error": row["error"] and in_a_line(row["error"])} for row in table]
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "parameters"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _verdicts(place: Place, records: Sequence[RunRecord]) -> dict[str, str]:
    """The judge's verdict on each run that was scored: that on its setting."""
    if not any(record.score is not None for record in records):
        return {}
    judged = judge_sweep(place.folder, read_json(place.folder / "sweep.json"), records)
    every = (verdict for stage in judged.verdicts.values() for verdict in stage)
    return {record.id: verdict.decision.verdict for verdict in every for record in verdict.setting.records}


def _row(record: RunRecord, verdict: str) -> dict:
    """A run's row."""
    low, high = record.interval or (None, None)
    kept = ("id", "number", "stage", "seed", "parameters", "status", "score")
    return {name: getattr(record, name) for name in kept} | {
        "low": low, "high": high, "seconds": record.seconds, "verdict": verdict, "error": record.error,
        "notebook": record.notebook,
    }  # fmt: skip


def _append_lines(sweep: Sweep, place: Place, records: Sequence[RunRecord], verdicts: dict[str, str]) -> None:
    """Add what each run wrote to the ledger of all runs, once, under the sweep's question."""
    ledger = ledger_path(place.runs)
    there = {tag for line in read(ledger) if "sweep" in line.tags for tag in line.tags}
    for record in records:
        if record.id not in there and record.status == "done" and record.ledger:
            lines = [from_json(LedgerLine, line, f"run {record.number}") for line in record.ledger]
            line = that_counts(lines, sweep.metric)
            tags = ("sweep", sweep.name, record.id)
            append(ledger, replace(line, question=sweep.question, tags=tags, verdict=verdicts.get(record.id, "park")))
