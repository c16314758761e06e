"""Write HTML pages: each executed notebook, and an index built from the records of runs."""

import os
import re
from dataclasses import asdict
from datetime import datetime
from html import escape
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from build.notebooks.meter import clock
from build.notebooks.run_child import RunResult, hash_of
from build.notebooks.source import read_notebook, title_and_summary
from lib.core.errors import BadInput
from lib.core.records import from_json, read_json, write_json, write_text

_STYLE = Path(__file__).with_name("pages.css")
_LABEL = {"done": "done", "unread": "record unreadable", "never": "not run yet"}


def write_page(result: RunResult) -> Path:
    """Write the executed notebook as HTML beside it, inputs shown, figures inside the file; return its path."""
    executed = Path(result.executed)
    page = executed.with_suffix(".html")
    if not executed.exists():
        page.unlink(missing_ok=True)  # an older success must not outlive this run
        return page
    notebook = nbformat.read(executed, as_version=4)
    # nothing is fetched by the page, except MathJax where there is a formula to set
    scripts = dict.fromkeys(("require_js_url", "jquery_url", "mermaid_js_url", "mermaid_layout_elk_js_url"), "")
    if not any(cell.cell_type == "markdown" and "$" in cell.source for cell in notebook.cells):
        scripts["mathjax_url"] = ""
    exporter = HTMLExporter(template_name="lab", embed_images=True, **scripts)
    body, _resources = exporter.from_notebook_node(notebook, resources={"metadata": {"name": result.title}})
    write_text(page, body)
    return page


def write_record(result: RunResult, dist: Path) -> None:
    """Write the result as JSON beside the pages, where any later index reads it."""
    write_json(dist / f"{result.name}.json", asdict(result))


def write_index(dist: Path, sources: list[Path]) -> Path:
    """Write `index.html`: the sources in order, those never run included, each with its last recorded run."""
    entries = "\n".join(_entry(dist, source) for source in sorted(sources, key=lambda source: source.stem))
    page = dist / "index.html"
    write_text(page, _PAGE.format(style=_STYLE.read_text(), entries=entries or "<p>No notebooks yet.</p>"))
    return page


def _entry(dist: Path, source: Path) -> str:
    """The index's lines about one notebook."""
    path = dist / f"{source.stem}.json"
    title, summary = title_and_summary(read_notebook(source), source.stem)
    if not path.exists():
        return _article(source.stem, _inline(_unnumbered(title)), "never", "", summary, "")
    try:
        result = from_json(RunResult, read_json(path), str(path))
    except BadInput as error:
        return _article(
            source.stem, _inline(_unnumbered(title)), "unread", "", summary, f"<pre>{escape(str(error))}</pre>"
        )
    linked = _inline(_unnumbered(result.title))
    if (dist / f"{result.name}.html").exists():
        linked = f'<a href="{escape(result.name)}.html">{linked}</a>'
    body = f"<pre>{escape(result.failure)}</pre>" if result.failure else ""
    return _article(
        result.name, linked, result.status, _facts(result, source), result.summary, body + _links(result, dist)
    )


def _article(name: str, title: str, status: str, facts: str, summary: str, body: str) -> str:
    """One notebook's block."""
    look = status if status in _LABEL else "failed"
    return f"""<article class="{look}">
<header><span class="number">{escape(name.split("_")[0])}</span><h2>{title}</h2>
<span class="status">{escape(_LABEL.get(status, status))}</span></header>
<p>{_inline(summary)}</p>
{facts}{body}
</article>"""


def _facts(result: RunResult, source: Path) -> str:
    """The run's date, duration and cells done, with a mark where the source has changed since."""
    when = datetime.fromisoformat(result.started).strftime("%Y-%m-%d %H:%M %z")
    facts = [when, clock(result.duration_s), f"{result.completed_cells} of {result.code_cells} code cells"]
    if hash_of(source) != result.source_hash:
        facts.append('<strong class="stale">the source has changed since</strong>')
    return f'<p class="facts">{" · ".join(facts)}</p>\n'


def _links(result: RunResult, dist: Path) -> str:
    """Links to the page, the notebook, where it failed its log, its reports; and the parameters, folded away."""
    name = result.name
    beside = {"page": f"{name}.html", "notebook": f"{name}.ipynb"}
    if not result.ok:
        beside["log"] = f"{name}.log"
    links = [(label, file) for label, file in beside.items() if (dist / file).exists()]
    folder = result.parameters.get("output_dir")
    reports = sorted(Path(folder).rglob("*.html")) if folder else []
    links += [(f"report: {report.stem}", os.path.relpath(report, dist)) for report in reports]
    listed = "".join(f'<a href="{escape(to)}">{escape(label)}</a>' for label, to in links)
    rows = "".join(
        f"<tr><th>{escape(key)}</th><td><code>{escape(repr(value))}</code></td></tr>"
        for key, value in result.parameters.items()
    )
    folded = f"<details><summary>{len(result.parameters)} parameters</summary><table>{rows}</table></details>"
    return f"<nav>{listed}</nav>{folded if rows else ''}"


def _unnumbered(title: str) -> str:
    """The title without the number that the page shows beside it."""
    return re.sub(r"^\d+\s*[·:.–-]\s*", "", title)


def _inline(markdown: str) -> str:
    """One paragraph's code, strong and emphasis as HTML, its links as plain text; all else is escaped."""
    text = escape(markdown)
    for pattern, html in _INLINE:
        text = re.sub(pattern, html, text)
    return text


_INLINE = (
    (r"`([^`]+)`", r"<code>\1</code>"),
    (r"\*\*([^*]+)\*\*", r"<strong>\1</strong>"),
    (r"\*([^*\s][^*]*)\*", r"<em>\1</em>"),
    (r"\[([^\]]+)\]\(([^)\s]+)\)", r"\1"),  # a link of the notebook would not work from this page
)

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pantanal notebooks</title><style>
{style}</style></head>
<body><main>
<h1>Pantanal notebooks</h1>
<p class="lead">The notebooks in the order in which they feed each other, as they last ran on this machine.</p>
{entries}
</main></body></html>
"""
