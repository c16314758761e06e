"""A notebook's page shows text and outputs in full, folds code and logs away, and puts a failure first."""

import base64
import re
from html import unescape

import nbformat
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from build.notebooks.pages import write_page
from build.notebooks.run_child import RunResult
from build.pages.notebook import notebook_body, summary_of
from tests.support.pagecheck import faults_of

DRAWS = "from lib.show.plots import ladder as drawn\n\nrows = 1\ndrawn(rows)"


def png() -> str:
    from io import BytesIO

    file = BytesIO()
    Figure(figsize=(3, 1)).savefig(file, format="png")
    return base64.b64encode(file.getvalue()).decode()


def shown(kind: str, data: str):
    return new_output("display_data", data={"text/plain": "<Figure>", kind: data})


def printed(text: str, name: str = "stdout"):
    return new_output("stream", text=text, name=name)


def body_of(*cells, **more) -> str:
    return notebook_body(new_notebook(cells=list(cells)), **more)


@pytest.mark.parametrize(
    ("source", "summary"),
    [
        ("# What it does\nimport os", "What it does"),
        ("import os\nfrom a import (\n    b,\n)\n\nx = b(\n    1)", "x = b("),
        ("import os\nimport sys", "import os"),
        ("%time x = 1", "%time x = 1"),
    ],
)
def test_a_folded_cell_shows_its_comment_or_the_first_line_that_does_something(source, summary):
    assert summary_of(source) == summary


def test_code_is_folded_but_for_parameters_and_nothing_is_left_unescaped():
    cells = [
        new_code_cell("x = '<b>'"),
        new_code_cell("seed: int = 1", metadata={"tags": ["parameters"]}),
        new_code_cell("seed = 2", metadata={"tags": ["injected-parameters"]}),
    ]
    body = body_of(*cells)
    assert re.findall(r"<details class=\"code\"( open)?>\n<summary>(.*?)</summary>", body) == [
        ("", "x = &#39;&lt;b&gt;&#39;"),
        (" open", "Parameters"),
        (" open", "Parameters of this run"),
    ]
    assert "<b>" not in body


def test_an_image_is_described_by_its_heading_and_by_what_its_function_draws():
    cells = [new_markdown_cell("# T\n\n## Rungs"), new_code_cell(DRAWS, outputs=[shown("image/png", png())])]
    foreign = shown("text/html", "<img src='data:,'><img alt='mine' src='data:,'>")
    body = body_of(*cells, new_code_cell("plot()", outputs=[shown("image/png", png()), foreign]))
    first, second = re.findall(r'style="--width:300px"><img alt="(.*?)"', body)
    assert first == "Rungs: Scores with intervals, one line a row of the table: columns name, score, low, high"
    assert second == "Rungs: figure"
    assert """<img alt="Rungs: figure" src='data:,'><img alt='mine' src""" in body


def test_progress_and_warnings_are_folded_away_and_what_was_printed_stays():
    progress = "sounds: 3/9, 2.0/s, 3 s left", "sounds: 9/9, 2.0/s, in 4.5 s", "fold 0: step 4/9, 2 s left, loss 0.2"
    counts = "\n".join([progress[0], "12 clips are left", *progress[1:], ""])
    body = body_of(new_code_cell("run()", outputs=[printed("old\rnew\n" + counts), printed("Warning: w\n", "stderr")]))
    output, log = body.split('<details class="log">')
    assert re.search(r'<pre tabindex="0">new\n12 clips are left\n</pre>', output)
    assert "\n".join([*progress, "Warning: w"]) in log


def test_rich_outputs_are_shown_in_order_and_colours_of_a_terminal_become_html():
    outputs = [printed("\x1b[31mred\x1b[0m <\n"), shown("text/html", "<b>x</b>"), shown("text/plain", "a < b")]
    body = body_of(new_code_cell("run()", outputs=outputs))
    assert re.search(r'ansi-red-fg">red</span> &lt;\n</pre></div>\s*<div class="output"><b>x</b>', body)
    assert "a &lt; b" in body


def test_the_title_stands_once_and_a_failure_before_all_else(tmp_path):
    error = new_output("error", ename="ValueError", evalue="no", traceback=["\x1b[31mValueError\x1b[0m: no"])
    cells = [new_markdown_cell("# A title\n\nText.\n\n## Part"), new_code_cell("1 / 0", outputs=[error])]
    cells.insert(0, new_markdown_cell("An Exception was encountered", metadata={"tags": ["papermill-error-cell-tag"]}))
    nbformat.write(new_notebook(cells=cells), tmp_path / "01_one.ipynb")
    texts = dict.fromkeys(("summary", "started", "source", "source_hash"), "")
    numbers = {"duration_s": 1.0, "code_cells": 1, "completed_cells": 0, "parameters": {}}
    result = RunResult(
        name="01_one",
        title="A title",
        status="failed with ValueError",
        failure="01_one: failed <here>",
        executed=str(tmp_path / "01_one.ipynb"),
        **texts,
        **numbers,
    )
    page = write_page(result)
    text = unescape(page.read_text())
    assert faults_of(page) == []
    assert re.findall(r"<h1>(.*?)</h1>", text) == ["A title (failed with ValueError)"]
    assert "An Exception" not in text
    order = ["01_one: failed <here>", 'href="#error"', "Text.", 'id="error"', "ValueError</span>: no"]
    assert sorted(order, key=text.index) == order
