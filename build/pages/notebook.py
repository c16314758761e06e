"""An executed notebook as the body of a page: text in full, code folded, figures with descriptions, logs folded."""

import ast
import base64
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

from markupsafe import Markup
from nbconvert.filters import ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from build.pages.page import TEMPLATES, plot
from build.project import ROOT

_SUMMARIES = {"parameters": "Parameters", "injected-parameters": "Parameters of this run"}
_PROGRESS = re.compile(r".{1,100}: (step )?\d+/\d+, .*\b(left\b|in \d)")  # as lib/core/progress.py prints them
_PAPERMILLS = {"papermill-error-cell-tag"}
_UNDESCRIBED = re.compile(r"<img(?=\s)(?![^>]*\balt=)")


@dataclass(frozen=True)
class Cell:
    """A cell as the template shows it."""

    kind: str  # text or code
    html: Markup
    summary: str = ""
    open: bool = False
    outputs: tuple[Markup, ...] = ()
    log: str = ""


def notebook_body(notebook: NotebookNode, status: str = "", failure: str = "") -> str:
    """The body of the page of a notebook; a failure stands at its top."""
    heading, drawn, cells, first = "", _docstrings(notebook), [], True
    for cell in notebook.cells:
        if _PAPERMILLS.intersection(cell.metadata.get("tags", [])):
            continue  # the failure stands at the top
        if cell.cell_type == "markdown":
            text = _markdown(cell.source)
            if first:
                text, first = re.sub(r"<h1\b.*?</h1>", "", text, count=1, flags=re.DOTALL), False
            titles = re.findall(r"^#+\s+(.*)", cell.source, re.MULTILINE)
            heading = titles[-1] if titles else heading
            cells.append(Cell("text", Markup(text)))
        elif cell.cell_type == "code" and cell.source.strip():
            cells.append(_code(cell, heading, drawn))
    error = any('id="error"' in output for cell in cells for output in cell.outputs)
    template = TEMPLATES.get_template("notebook.html.j2")
    return template.render(cells=cells, status=status, failure=failure, error=error)


def _markdown(source: str) -> str:
    renderer = IPythonRenderer(escape=False, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(source)


def _code(cell: NotebookNode, heading: str, drawn: Mapping[str, str]) -> Cell:
    tags = cell.metadata.get("tags", [])
    named = next((_SUMMARIES[tag] for tag in tags if tag in _SUMMARIES), "")
    coloured = highlight(cell.source, PythonLexer(), HtmlFormatter(nowrap=True))
    outputs, log = _outputs(cell, heading, drawn)
    return Cell("code", Markup(coloured), named or summary_of(cell.source), bool(named), tuple(outputs), log)


def summary_of(source: str) -> str:
    """The cell's first line: its comment, or the first that does more than import."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    if lines[0].startswith("# "):
        return lines[0].removeprefix("# ")
    try:
        done = [node for node in ast.parse(source).body if not isinstance(node, ast.Import | ast.ImportFrom)]
    except SyntaxError:
        return lines[0]
    return source.splitlines()[done[0].lineno - 1].strip() if done else lines[0]


def _outputs(cell: NotebookNode, heading: str, drawn: Mapping[str, str]) -> tuple[list[Markup], str]:
    """The outputs as HTML, and apart from them what was written about progress and to stderr."""
    shown: list[Markup] = []
    texts: list[str] = []  # printed since the last other output
    log: list[str] = []
    descriptions = _descriptions(cell.source, heading, drawn)

    def close_text() -> None:
        if "".join(texts).strip():
            shown.append(Markup(f'<pre tabindex="0">{ansi2html("".join(texts))}</pre>'))
        texts.clear()

    for name, printed in groupby(cell.get("outputs", []), key=lambda output: output.get("name", "")):
        if name in ("stdout", "stderr"):
            for line in _lines("".join(output.text for output in printed)):
                (log if name == "stderr" or _PROGRESS.match(line.strip()) else texts).append(line)
            continue
        close_text()
        shown += [_rich(output, descriptions) for output in printed]
    close_text()
    return shown, Markup(ansi2html("".join(log))) if log else ""


def _rich(output: NotebookNode, descriptions: Iterator[str]) -> Markup:
    """The HTML of an output that was not printed."""
    if output.output_type == "error":
        trace = ansi2html("\n".join(output.traceback))
        return Markup(f'<pre id="error" tabindex="0">{trace}</pre>')
    return Markup(_data(output.data, descriptions))


def _lines(text: str) -> list[str]:
    """The lines as a terminal leaves them: what follows a carriage return is written over what is before."""
    lines = [line.removesuffix("\r").rpartition("\r")[2] for line in text.removesuffix("\n").split("\n")]
    return [f"{line}\n" for line in lines]


def _data(data: Mapping, descriptions: Iterator[str]) -> str:
    """The richest form of an output as HTML."""
    if "text/html" in data:
        return _UNDESCRIBED.sub(lambda found: f'{found[0]} alt="{escape(next(descriptions))}"', data["text/html"])
    for kind in ("image/png", "image/jpeg", "image/svg+xml"):
        if kind in data:
            return _image(kind, data[kind], next(descriptions))
    if "text/markdown" in data:
        return _markdown(data["text/markdown"])
    return f'<pre tabindex="0">{escape(data.get("text/plain", ""))}</pre>'


def _image(kind: str, content: str, description: str) -> str:
    if kind == "image/svg+xml":
        content = base64.b64encode(content.encode()).decode()
    content = "".join(content.split())
    width = 640
    if kind == "image/png":
        width = struct.unpack(">I", base64.b64decode(content[:64])[16:20])[0]
    return plot(f'<img alt="{escape(description)}" src="data:{kind};base64,{content}">', width)


def _docstrings(notebook: NotebookNode) -> dict[str, str]:
    """What each function of lib/show that the notebook imports draws, by the name that it has there."""
    found: dict[str, str] = {}
    for cell in notebook.cells:
        if cell.cell_type != "code" or "lib.show" not in cell.source:
            continue
        for node in ast.walk(_parsed(cell.source)):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if isinstance(node, ast.ImportFrom) and module.startswith("lib.show."):
                known = _first_sentences(ROOT / f"{module.replace('.', '/')}.py")
                found |= {each.asname or each.name: known[each.name] for each in node.names if each.name in known}
    return found


def _first_sentences(module: Path) -> dict[str, str]:
    """The first sentence of each function's docstring."""
    functions = [
        node for node in ast.parse(module.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    ]
    texts = {node.name: " ".join((ast.get_docstring(node) or "").split()) for node in functions}
    return {name: re.split(r"(?<=\.)\s", text)[0].rstrip(".") for name, text in texts.items() if text}


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def _descriptions(source: str, heading: str, drawn: Mapping[str, str]) -> Iterator[str]:
    """For each image of a cell: the heading above it and what the function draws that drew it."""
    calls = [node for node in ast.walk(_parsed(source)) if isinstance(node, ast.Call)]
    calls.sort(key=lambda node: (node.lineno, node.col_offset))
    names = [node.func.id for node in calls if isinstance(node.func, ast.Name) and node.func.id in drawn]
    for name in names:
        yield f"{heading}: {drawn[name]}"
    while True:
        yield f"{heading}: {drawn[names[-1]]}" if names else f"{heading}: figure"
