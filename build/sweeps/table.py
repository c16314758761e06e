"""The table of a sweep's runs: parameters and results, as HTML for the page, as JSON and CSV for programs."""

import csv
import html
import io
from dataclasses import replace
from pathlib import Path

import numpy as np

from build.notebooks.verdict import short_failure
from build.sweeps.record import RunRecord, effective_parameters
from build.sweeps.verdicts import JudgedSweep, Verdict, format_interval
from lib.core.records import write_json, write_text
from lib.judge.effects import UNSET, value_name
from lib.judge.ledger import append_ledger_line, read_ledger
from lib.show.html import Html

_COLUMNS = 5  # parameters that have a column each; more share one

_STAGES = {"full": 0, "only": 0, "replay": 1}  # the one that decides comes first


def write_table(folder: Path, judged: JudgedSweep) -> None:
    """Write `results.json` and `results.csv` into the sweep's folder."""
    rows = [_run_row(record, judged) for record in judged.records]
    write_json(folder / "results.json", rows)
    rows = [row["parameters"] | row | {"error": " | ".join(short_failure(row["error"]).split("\n"))} for row in rows]
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "parameters"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "results.csv", text.getvalue())


def append_lines(ledger: Path, judged: JudgedSweep) -> None:
    """Add the line that counts of each run that ended well to a ledger, once."""
    sweep = judged.sweep
    there = {tag for line in read_ledger(ledger) if "sweep" in line.tags for tag in line.tags}
    for record in judged.records:
        if record.id not in there and record.status == "done" and record.ledger:
            tags, verdict = ("sweep", sweep["name"], record.id), judged.verdict_of(record) or "park"
            if line := record.line(sweep["metric"]):
                append_ledger_line(ledger, replace(line, question=sweep["question"], tags=tags, verdict=verdict))


def _run_row(record: RunRecord, judged: JudgedSweep) -> dict:
    """A run's row for programs."""
    low, high = record.interval or (None, None)
    kept = ("id", "number", "stage", "seed", "parameters", "status", "score")
    return {name: getattr(record, name) for name in kept} | {
        "low": low,
        "high": high,
        "seconds": record.seconds,
        "verdict": judged.verdict_of(record),
        "error": record.error,
        "notebook": record.notebook,
    }


def runs_table(folder: Path, judged: JudgedSweep) -> Html:
    """Every run: its parameters, its score and its page; the decisive stage first, the best first, failures last."""
    records = sorted(
        judged.records,
        key=lambda record: (record.status != "done", _STAGES[record.stage], -(record.score or 0), record.number),
    )
    staged = len({record.stage for record in records}) > 1
    rows = [_row(folder, record, judged, staged) for record in records]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0][1])
    body = "".join(f"<tr class='{look}'>{''.join(cells.values())}</tr>" for look, cells in rows)
    return Html(f"<div class='runs'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def _row(folder: Path, record: RunRecord, judged: JudgedSweep, staged: bool) -> tuple[str, dict]:
    """The row's CSS class and its cells."""
    found = judged.of(record)
    set_ = {name: value_name(effective_parameters(record).get(name, UNSET)) for name in judged.names}
    if len(set_) > _COLUMNS:
        set_ = {"parameters": ", ".join(f"{name}={value}" for name, value in set_.items())}
    folds = list(record.per_fold.values())
    gain = found and found.over_recordings
    texts = {
        **({"stage": record.stage} if staged else {}),
        **set_,
        **({"seed": str(record.seed)} if len({each.seed for each in judged.records}) > 1 else {}),
        "score": "" if record.score is None else f"{record.score:.4f}",
        "90 % interval": f"[{record.interval[0]:.3f}, {record.interval[1]:.3f}]" if record.interval else "",
        "folds, std": f"{min(folds):.3f} … {max(folds):.3f}, {np.std(folds, ddof=1):.3f}" if len(folds) > 1 else "",
        "seconds": f"{record.seconds:.0f}",
        "gain of the setting, all at once": f"{gain.gain:+.4f} {format_interval(gain.adjusted)}" if gain else "",
        "verdict": verdict_word(record, found),
        "error": short_failure(record.error),
    }
    if not any(each.error for each in judged.records):
        del texts["error"]
    cells = {"run": f"<td>{_links(folder, record)}</td>"}
    for name, text in texts.items():
        look = f" class='text {name}'" if name in ("error", "parameters") else ""
        cells[name] = f"<td{look}>{html.escape(text)}</td>"
    return "failed" if record.status == "failed" else verdict_word(record, found), cells


def verdict_word(record: RunRecord, found: Verdict | None) -> str:
    """The verdict on a run, as a word."""
    if record.status != "done" or found is None:
        return record.status
    return "baseline" if found.setting.name == "the baseline" else found.decision.verdict


def _links(folder: Path, record: RunRecord) -> str:
    """The run's number, linked to its page or else its notebook; and its log where it did not end well."""
    beside = Path(record.notebook)
    places = [
        place for place in (beside.with_suffix(".html"), beside) if record.notebook and (folder / place).is_file()
    ]
    shown = _link(places[0], str(record.number)) if places else str(record.number)
    log = Path(record.log)
    return shown + (f" {_link(log, 'log')}" if record.status != "done" and (folder / log).is_file() else "")


def _link(place: Path, text: str) -> str:
    return f"<a href='{html.escape(place.as_posix())}'>{html.escape(text)}</a>"
