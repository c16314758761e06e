"""The notebook runner: what it refuses before starting, and how it judges runs that papermill would call completed."""

import json
import re
import signal
import subprocess
import sys
import time
from html import unescape
from pathlib import Path

import nbformat
import psutil
import pytest

from build import run
from build.notebooks.last_runs import begin_run, end_run
from build.notebooks.pages import write_index, write_record
from build.notebooks.parameters import parameters_of
from build.notebooks.run_child import RunResult, run_notebook
from build.notebooks.values import convert_parameters
from build.project import ROOT
from lib.core.errors import BadInput

_HEAD = """# %% [markdown]
# # 01 · A toy
#
# It says what it was
# **given** by `papermill`.

# %% tags=["parameters"]
competition_dir: str = ""  # where the competition's files are
inputs_dir: str = ""
output_dir: str = ""  # where this notebook writes
code: str = "x"  # a code that looks like a number
epochs: int = 1
rate: float = 0.5
quick: bool = False

# %% [markdown]
# ## The work
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder for toy sources."""
    folder = tmp_path / "sources"
    folder.mkdir()
    return folder


def _toy(folder: Path, name: str, *cells: str) -> Path:
    """A toy source with these code cells after its parameters."""
    path = folder / f"{name}.py"
    path.write_text(_HEAD + "".join(f"\n# %%\n{cell}\n" for cell in cells))
    return path


def _command(sources: Path, *more: str) -> int:
    """The exit status of the command line, with all folders beside the sources."""
    here = sources.parent
    folders = ["--runs", here / "runs", "--data", here / "data", "--dist", here / "dist"]
    return run.main([*more, "--sources", str(sources), *map(str, folders)])


def test_an_unknown_parameter_is_refused_before_anything_runs(sources: Path, capsys):
    _toy(sources, "01_one", "1")
    _toy(sources, "02_two", "1")
    assert _command(sources, "-p", "02:epoch=3") == 2
    printed = capsys.readouterr().err
    assert "02_two.py has no parameter epoch" in printed
    assert "epochs, rate, quick" in printed
    assert not (sources.parent / "dist").exists()


def test_a_parameter_for_a_notebook_that_is_not_run_is_refused(sources: Path, capsys):
    _toy(sources, "01_one", "1")
    _toy(sources, "02_two", "1")
    assert _command(sources, "01", "-p", "02:epochs=3") == 2
    assert "not run" in capsys.readouterr().err


def test_text_becomes_the_type_that_the_annotation_names(sources: Path):
    toy = _toy(sources, "01_one")
    given = {"code": "007", "epochs": "3", "rate": "1e-3", "quick": "true"}
    assert convert_parameters(toy, given) == {"code": "007", "epochs": 3, "rate": 0.001, "quick": True}
    assert type(convert_parameters(toy, {"rate": 2})["rate"]) is float


_CHOICES = """# %% tags=["parameters"]
runtime = "onnx"  # type: Literal["onnx","openvino"]  # which runtime
size = 10  # type: Literal[5,10,20]  # seconds of a crop
head = None  # type: Literal["sed","gem"]|None  # pooling; None: as in the preset
epochs = None  # type: int|None  # passes; None: as in the preset
rate = None  # type: float|None  # at its peak
member = None  # type: str|None  # its name; None: as the preset
"""


def test_choices_and_none_are_declared_by_a_type_that_papermill_reads(sources: Path):
    toy = sources / "01_one.py"
    toy.write_text(_CHOICES)
    known = parameters_of(toy)
    assert known["head"].kind == 'Literal["sed","gem"]|None'
    assert known["head"].help == "pooling; None: as in the preset"
    assert [p.base for p in known.values()] == ["str", "int", "str", "int", "float", "str"]
    given = {"runtime": "openvino", "size": "20", "head": "gem", "epochs": "3", "rate": "1e-3", "member": "x"}
    expected = {"runtime": "openvino", "size": 20, "head": "gem", "epochs": 3, "rate": 0.001, "member": "x"}
    assert convert_parameters(toy, given) == expected
    optional = ("head", "epochs", "rate", "member")
    for none in ("", "None", None):
        assert convert_parameters(toy, dict.fromkeys(optional, none)) == dict.fromkeys(optional)


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("runtime", "tflite", "one of onnx, openvino"),
        ("runtime", "", "one of onnx, openvino"),
        ("runtime", None, "one of onnx, openvino"),
        ("size", "7", "one of 5, 10, 20"),
        ("head", "mean", "one of sed, gem, or None"),
        ("epochs", "few", "int: a whole number, or None"),
    ],
)
def test_a_value_that_is_no_choice_is_refused(sources: Path, name: str, value: object, accepted: str):
    toy = sources / "01_one.py"
    toy.write_text(_CHOICES)
    with pytest.raises(BadInput, match=f"expected: {accepted}"):
        convert_parameters(toy, {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", "3.5"),
        ("epochs", "1_000"),
        ("epochs", True),
        ("epochs", ""),
        ("rate", "fast"),
        ("rate", "nan"),
        ("quick", "1"),
        ("quick", "yes"),
        ("code", 7),
    ],
)
def test_a_value_that_does_not_fit_is_refused(sources: Path, name: str, value: object):
    with pytest.raises(BadInput, match=f"the parameter {name}"):
        convert_parameters(_toy(sources, "01_one"), {name: value})


def test_help_lists_parameters_with_types_defaults_and_descriptions(sources: Path, capsys):
    _toy(sources, "01_one")
    assert _command(sources, "--help-notebook", "01") == 0
    printed = capsys.readouterr().out
    assert '  code: str = "x"\n      a code that looks like a number' in printed
    assert "A toy\nIt says what it was **given** by `papermill`." in printed


_SLOW = """import time
from lib.core.progress import progress
for _ in progress(range(4), "embedding", 4):
    time.sleep(0.4)"""


def test_a_good_run_leaves_notebook_page_record_and_index(sources: Path, capsys, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")  # figures must reach the page all the same
    monkeypatch.setattr("build.notebooks.meter._EVERY_S", 0.0)
    _toy(
        sources,
        "01_one",
        "import os, lib, matplotlib\nprint([code, epochs, os.getcwd(), 'inline' in matplotlib.get_backend()])",
        "from pathlib import Path\n_ = Path('views.html').write_text('a report')",
        _SLOW,
    )
    assert _command(sources, "01", "-p", "code=007", "-p", "01:epochs=4") == 0
    dist, folder = sources.parent / "dist", sources.parent / "runs/01_one"
    record = json.loads((dist / "01_one.json").read_text())
    assert record["status"] == "done"
    assert record["completed_cells"] == record["code_cells"] == 4
    assert record["parameters"]["output_dir"] == str(folder)
    page = (dist / "01_one.html").read_text()
    assert f"['007', 4, '{folder}', True]" in unescape(page)
    assert "https://cdn" not in page
    index = (dist / "index.html").read_text()
    for fragment in (
        "<strong>given</strong> by <code>papermill</code>",
        ">A toy<",
        'href="01_one.html"',
        "report: views",
        "&#39;007&#39;",
    ):
        assert fragment in index
    printed = capsys.readouterr().out
    assert "01_one: done in" in printed
    assert re.search(r"3/4 code cells, .*, at “The work”; embedding: [23]/4, \d\.\d/s, \d\.\d s left", printed)
    assert page.count("embedding: ") == 1  # what moves on the terminal is no part of the page
    assert "has changed since" not in index


def test_a_failing_cell_is_located_and_later_notebooks_are_not_started(sources: Path, capsys):
    _toy(sources, "01_one", "fine = 1", "\nwrong = fine / 0", "print('never')")
    _toy(sources, "02_two", "1")
    assert _command(sources, "all") == 1
    printed = capsys.readouterr().err
    assert "01_one: failed with ZeroDivisionError in code cell 3 of 4" in printed
    assert "line 24)\n  the cell begins: wrong = fine / 0" in printed
    assert "ZeroDivisionError: division by zero" in printed
    assert "not started: 02_two" in printed
    dist = sources.parent / "dist"
    assert not (dist / "02_two.ipynb").exists()
    index = (dist / "index.html").read_text()
    assert "failed with ZeroDivisionError" in index
    assert "not run yet" in index
    assert "division by zero" in (dist / "01_one.failed.html").read_text()
    assert not (dist / "01_one.html").exists()


def _record(name: str, executed: Path, **facts: object) -> RunResult:
    """The record of a run that was done."""
    texts = dict.fromkeys(("title", "summary", "failure"), "") | {"name": name, "status": "done", "source_hash": "old"}
    numbers = {"duration_s": 3.0, "code_cells": 1, "completed_cells": 1, "started": "2026-06-01T10:00:00+00:00"}
    return RunResult(**(texts | numbers | {"parameters": {}, "source": name, "executed": str(executed)} | facts))


def test_a_failed_run_stands_beside_the_last_good_one_until_the_next_good_one(sources: Path, tmp_path: Path):
    toy, dist = _toy(sources, "01_one", "1"), tmp_path

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in dist.glob("01_one*")}

    def kept(good: dict[str, bytes]) -> bool:  # pages have links to each other, which are renewed
        return all(files()[name] == data for name, data in good.items() if name != "01_one.html")

    def ran(**facts: object) -> str:
        executed = begin_run(dist, "01_one")
        nbformat.write(nbformat.v4.new_notebook(), executed)
        executed.with_suffix(".log").write_text(str(facts))
        end_run(_record("01_one", executed, **facts), dist)
        return write_index(dist, [toy]).read_text().partition("</style>")[2]

    assert 'href="01_one.html"' in ran()
    good = files()
    assert sorted(good) == ["01_one.html", "01_one.ipynb", "01_one.json", "01_one.log"]
    index = ran(status="failed with ZeroDivisionError", failure="division by zero")
    for fragment in (
        'href="01_one.html"',
        'href="01_one.failed.html"',
        "failed with Zero",
        "division by zero",
        ">done<",
    ):
        assert fragment in index
    assert kept(good)
    assert {name.replace(".failed", "") for name in files() if name not in good} == set(good)
    begin_run(dist, "01_one").with_suffix(".log").touch()
    assert "did not end" in write_index(dist, [toy]).read_text()
    assert "failed" not in ran()
    assert sorted(files()) == sorted(good)


@pytest.mark.parametrize("how", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_run_that_is_ended_ends_its_kernel_and_leaves_the_last_good_run(sources: Path, how: signal.Signals):
    here, dist = sources.parent, sources.parent / "dist"
    _toy(sources, "01_one", "import os, time\nos.mkdir(f'pid{os.getpid()}')\ntime.sleep(600)")
    dist.mkdir()
    (dist / "01_one.html").write_text("the last good page")
    folders = ["--sources", sources, "--runs", here / "runs", "--data", here / "data", "--dist", dist]
    command = [sys.executable, "-m", "build.run", *map(str, folders)]
    runner = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not (begun := list(here.glob("runs/01_one/pid*"))):
        assert runner.poll() is None
        time.sleep(0.1)
    kernel = psutil.Process(int(begun[0].name.removeprefix("pid")))
    runner.send_signal(how)
    assert f"exit {128 + how}: " in runner.communicate(timeout=30)[1]
    assert not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE
    assert (dist / "01_one.html").read_text() == "the last good page"
    assert "did not end" in (dist / "index.html").read_text()


def _states(executed: Path) -> list[str]:
    """The status of each code cell of a saved run, papermill's injected one left out."""
    cells = nbformat.read(executed, as_version=4).cells
    return [
        cell.metadata.papermill.status
        for cell in cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    ]


def test_a_killed_kernel_is_a_failure_and_the_saved_notebook_says_so(sources: Path):
    toy = _toy(sources, "01_one", "import os", "print('before', flush=True)\nos._exit(9)", "print('never')")
    result = run_notebook(toy, {"epochs": 2}, sources / "out/one.ipynb")
    assert not result.ok
    assert result.status.startswith("lost its kernel")
    assert "in code cell 3 of 4" in result.failure
    assert "the cell begins: print('before', flush=True)" in result.failure
    assert result.completed_cells == 2
    assert _states(Path(result.executed)) == ["completed", "completed", "failed", "pending"]


def test_sys_exit_zero_is_a_failure(sources: Path):
    toy = _toy(sources, "01_one", "import sys\nsys.exit(0)", "print('never')")
    result = run_notebook(toy, {}, sources / "out/one.ipynb")
    assert result.status == "stopped itself by sys.exit"
    assert "in code cell 2 of 3" in result.failure
    assert _states(Path(result.executed)) == ["completed", "failed", "pending"]


def test_a_timeout_ends_the_kernel_and_is_a_failure(sources: Path):
    toy = _toy(sources, "01_one", "import os, time\nprint('pid', os.getpid(), flush=True)\ntime.sleep(600)", "1")
    start = time.monotonic()
    result = run_notebook(toy, {}, sources / "out/one.ipynb", timeout_s=6)
    assert time.monotonic() - start < 20
    assert result.status == "timed out"
    assert "timed out after 6 s in code cell 2 of 3" in result.failure
    assert "import os, time" in result.failure
    assert _states(Path(result.executed)) == ["completed", "failed", "pending"]
    running = [p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"]) if p.ppid() == psutil.Process().pid]
    assert not any("build.notebooks.child" in " ".join(command) for command in running)


def test_a_runner_that_cannot_start_is_a_failure_with_its_reason(sources: Path, monkeypatch):
    toy = _toy(sources, "01_one", "1")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    result = run_notebook(toy, {}, sources / "out/one.ipynb")
    assert result.status == "could not be run: its process ended with code 1"
    assert "before its first cell" in result.failure


def test_an_index_keeps_the_lines_of_notebooks_not_run_this_time(sources: Path, capsys):
    for name in ("01_one", "02_two"):
        _toy(sources, name)
        write_record(_record(name, sources / f"{name}.ipynb"), sources)
    (sources / "02_two.json").write_text('{"of": "another version"}')
    index = write_index(sources, sorted(sources.glob("*.py"))).read_text()
    assert "2026-06-01 10:00" in index
    assert "the source has changed since" in index
    assert "record unreadable" in index
