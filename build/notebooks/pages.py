"""Write HTML pages: each executed notebook, and an index built from the records of runs."""

import os
import re
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from html import escape
from pathlib import Path

import nbformat
from markupsafe import Markup

from build.notebooks.run_child import RunResult, hash_of
from build.notebooks.source import read_notebook, title_and_summary
from build.pages.notebook import notebook_body
from build.pages.page import TEMPLATES, write_body
from lib.core.errors import BadInput
from lib.core.progress import format_duration
from lib.core.records import from_json, read_json, write_json

FAILED = ".failed"  # in the names of the files of a run that did not succeed; the last good run's lie beside them
_FILES = (("page", ".html"), ("notebook", ".ipynb"), ("log", ".log"))


@dataclass(frozen=True)
class Entry:
    """A notebook in the index."""

    number: str
    title: Markup
    summary: Markup
    status: str
    look: str = "failed"
    page: str = ""
    facts: tuple[str, ...] = ()
    changed: bool = False
    failure: str = ""
    links: tuple[tuple[str, str], ...] = ()
    parameters: dict[str, str] = field(default_factory=dict)
    later: "Entry | None" = None  # the run after the last good one, which failed or did not end


def write_page(result: RunResult) -> Path:
    """Write the executed notebook as a page beside it, and return its path."""
    executed = Path(result.executed)
    page = executed.with_suffix(".html")
    if not executed.exists():
        page.unlink(missing_ok=True)  # an older success must not outlive this run
        return page
    notebook = nbformat.read(executed, as_version=4)
    body = notebook_body(notebook, "" if result.ok else result.status, result.failure)
    write_body(page, result.title if result.ok else f"{result.title} ({result.status})", body)
    return page


def write_record(result: RunResult, dist: Path) -> None:
    """Write the result as JSON beside the executed notebook, where any later index reads it."""
    write_json(dist / f"{Path(result.executed).stem}.json", asdict(result))


def write_index(dist: Path, sources: list[Path]) -> Path:
    """Write `index.html`: the sources in order, each with its last good run and the run after it that failed."""
    entries = [_entry(dist, source) for source in sorted(sources, key=lambda source: source.stem)]
    page = dist / "index.html"
    write_body(page, "All notebooks", TEMPLATES.get_template("index.html.j2").render(entries=entries))
    return page


def _entry(dist: Path, source: Path) -> Entry:
    """The index's entry of one notebook."""
    name = source.stem
    title, summary = (_inline(text) for text in title_and_summary(read_notebook(source), name))
    blank = Entry(name.split("_")[0], _unnumbered(title), summary, "not run yet", look="never")
    good, later = _entry_of_run(blank, dist, name, source), _entry_of_run(blank, dist, name + FAILED, source)
    return replace(good, later=later) if good and later else good or later or blank


def _entry_of_run(blank: Entry, dist: Path, name: str, source: Path) -> Entry | None:
    """The entry of the run whose files have this name; None without one."""
    record, page = dist / f"{name}.json", f"{name}.html"
    links = [(label, f"{name}{suffix}") for label, suffix in _FILES if (dist / f"{name}{suffix}").exists()]
    if not record.exists():
        if name.endswith(FAILED) and links:
            return replace(blank, status="did not end", look="failed", links=tuple(links))
        return None
    try:
        result = from_json(RunResult, read_json(record), str(record))
    except BadInput as error:
        return replace(blank, status="record unreadable", look="failed", failure=str(error))
    folder = result.parameters.get("output_dir")
    reports = sorted(Path(folder).rglob("*.html")) if folder else []
    return Entry(
        blank.number,
        _unnumbered(_inline(result.title)),
        _inline(result.summary),
        result.status,
        look="done" if result.ok else "failed",
        page=page if (dist / page).exists() else "",
        facts=(
            datetime.fromisoformat(result.started).strftime("%Y-%m-%d %H:%M %z"),
            format_duration(result.duration_s),
            f"{result.completed_cells} of {result.code_cells} code cells",
        ),
        changed=hash_of(source) != result.source_hash,
        failure=result.failure,
        links=(
            *(link for link in links if link[0] != "log" or not result.ok),
            *((f"report: {report.stem}", os.path.relpath(report, dist)) for report in reports),
        ),
        parameters={key: repr(value) for key, value in result.parameters.items()},
    )


def _unnumbered(title: Markup) -> Markup:
    """The title without the number that the page shows beside it."""
    return Markup(re.sub(r"^\d+\s*[·:.–-]\s*", "", title))


def _inline(markdown: str) -> Markup:
    """One paragraph's code, strong and emphasis as HTML, its links as plain text; all else is escaped."""
    text = escape(markdown)
    for pattern, html in _INLINE:
        text = re.sub(pattern, html, text)
    return Markup(text)


_INLINE = (
    (r"`([^`]+)`", r"<code>\1</code>"),
    (r"\*\*([^*]+)\*\*", r"<strong>\1</strong>"),
    (r"\*([^*\s][^*]*)\*", r"<em>\1</em>"),
    (r"\[([^\]]+)\]\(([^)\s]+)\)", r"\1"),  # a link of the notebook would not work from this page
)
