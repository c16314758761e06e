"""Write HTML pages: each executed notebook, and an index built from the records of runs."""

import os
import re
from dataclasses import asdict, dataclass, field
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
    """Write the result as JSON beside the pages, where any later index reads it."""
    write_json(dist / f"{result.name}.json", asdict(result))


def write_index(dist: Path, sources: list[Path]) -> Path:
    """Write `index.html`: the sources in order, those never run included, each with its last recorded run."""
    entries = [_entry(dist, source) for source in sorted(sources, key=lambda source: source.stem)]
    page = dist / "index.html"
    write_body(page, "All notebooks", TEMPLATES.get_template("index.html.j2").render(entries=entries))
    return page


def _entry(dist: Path, source: Path) -> Entry:
    """The index's entry of one notebook."""
    path, number = dist / f"{source.stem}.json", source.stem.split("_")[0]
    title, summary = (_inline(text) for text in title_and_summary(read_notebook(source), source.stem))
    title = _unnumbered(title)
    if not path.exists():
        return Entry(number, title, summary, "not run yet", look="never")
    try:
        result = from_json(RunResult, read_json(path), str(path))
    except BadInput as error:
        return Entry(number, title, summary, "record unreadable", failure=str(error))
    page = f"{result.name}.html"
    return Entry(
        number,
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
        links=tuple(_links(result, dist)),
        parameters={name: repr(value) for name, value in result.parameters.items()},
    )


def _links(result: RunResult, dist: Path) -> list[tuple[str, str]]:
    """Label and address of the page, the notebook, where it failed its log, and its reports."""
    name = result.name
    beside = {"page": f"{name}.html", "notebook": f"{name}.ipynb"}
    if not result.ok:
        beside["log"] = f"{name}.log"
    links = [(label, file) for label, file in beside.items() if (dist / file).exists()]
    folder = result.parameters.get("output_dir")
    reports = sorted(Path(folder).rglob("*.html")) if folder else []
    return links + [(f"report: {report.stem}", os.path.relpath(report, dist)) for report in reports]


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
