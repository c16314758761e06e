"""The table of a sweep's runs as HTML: what each set, what came out, and links to its executed notebook."""

import html
from pathlib import Path

import numpy as np
import project  # noqa: F401  makes lib importable
from sweep_record import RunRecord
from sweep_settings import effective
from sweep_verdicts import Judged, Verdict, signed

from lib.judge.effects import UNSET, value_name
from lib.show.pieces import Html

_COLUMNS = 5  # parameters that have a column each; more share one
_STAGES = {"full": 0, "only": 0, "replay": 1}  # the one that decides comes first


def runs_table(folder: Path, judged: Judged) -> Html:
    """Every run: what it set, what came out, and its page; the decisive stage first, the best first, failures last."""
    found = {record.id: each for group in judged.verdicts.values() for each in group for record in each.setting.records}
    records = sorted(
        judged.records,
        key=lambda record: (record.status != "done", _STAGES[record.stage], -(record.score or 0), record.number),
    )
    staged = len({record.stage for record in records}) > 1
    rows = [_row(folder, record, judged, found.get(record.id), staged) for record in records]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0][1])
    body = "".join(f"<tr class='{look}'>{''.join(cells.values())}</tr>" for look, cells in rows)
    return Html(f"<div class='runs'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def _row(folder: Path, record: RunRecord, judged: Judged, found: Verdict | None, staged: bool) -> tuple[str, dict]:
    """The row's look and its cells."""
    set_ = {name: value_name(effective(record).get(name, UNSET)) for name in judged.names}
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
        "gain, all at once": f"{gain.gain:+.4f} {signed(gain.adjusted)}" if gain else "",
        "verdict": word_of(record, found),
        "error": record.error.strip().splitlines()[-1][:200] if record.error.strip() else "",
    }
    if not any(each.error.strip() for each in judged.records):
        del texts["error"]
    cells = {"run": f"<td>{_links(folder, record)}</td>"}
    for name, text in texts.items():
        look = " class='text'" if name in ("error", "parameters") else ""
        cells[name] = f"<td{look}>{html.escape(text)}</td>"
    return "failed" if record.status == "failed" else word_of(record, found), cells


def word_of(record: RunRecord, found: Verdict | None) -> str:
    """The verdict on a run, in a word."""
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
    log = beside.with_suffix(".log")
    return shown + (f" {_link(log, 'log')}" if record.status != "done" and (folder / log).is_file() else "")


def _link(place: Path, text: str) -> str:
    return f"<a href='{html.escape(place.as_posix())}'>{html.escape(text)}</a>"
