"""A sweep from the file to the table: what is made, what is not made again, what failed, what an interrupt leaves."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from build import sweep
from build.project import ROOT
from build.sweeps import stages
from build.sweeps.config import read_sweep
from build.sweeps.engines import Local
from build.sweeps.runs import place_of, split_cores
from lib.core.errors import BadInput
from lib.core.records import write_json
from lib.judge.ledger import read_ledger
from tests.support.toysweep import TOY, ToyEngine, toy_sources

GRID = 'question: does the toy gain\nnotebook: "02"\ngrid: {gain: [0.0, 0.1, 0.2]}\nseeds: [1, 2]\nmetric: toy\n'


class Place:
    """Files and folders for a sweep of the toy, and a command line about them."""

    def __init__(self, folder):
        self.folder, self.file, self.runs = folder, folder / "toy.yaml", folder / "runs/mini"
        self.sources = toy_sources(folder / "sources")

    @property
    def sweep(self):
        return self.runs / "sweeps/toy"

    def arguments(self, *more):
        places = ["--runs", self.runs, "--data", self.folder, "--sources", self.sources]
        return [str(self.file), *map(str, places), *more]

    def make(self, text=GRID, *more):
        self.file.write_text(text)
        return sweep.main(self.arguments(*more))

    def table(self):
        return json.loads((self.sweep / "results.json").read_text())


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def engine(monkeypatch):
    """What makes the runs from now on; another can be put in its place."""
    there = {"engine": ToyEngine()}
    monkeypatch.setattr(stages, "_make_engine", lambda *_: there["engine"])
    monkeypatch.setattr(stages, "_POLL_S", 0.0)

    def use(**how):
        there["engine"] = ToyEngine(**how)
        return there["engine"]

    return use


def test_every_run_is_made_once_and_has_a_row_a_ledger_line_and_a_place_on_the_page(place, engine):
    toy = engine()
    assert place.make() == 0
    assert [run.number for run in toy.made] == [1, 2, 3, 4, 5, 6]
    assert toy.closed
    rows = [(row["number"], row["parameters"], row["score"], row["status"]) for row in place.table()]
    assert rows[0] == (1, {"gain": 0.0, "seed": 1}, 0.6, "done")
    assert rows[5] == (6, {"gain": 0.2, "seed": 2}, pytest.approx(0.8), "done")
    lines = read_ledger(place.folder / "runs/ledger.jsonl")
    assert [(line.question, line.tags[:2], line.score) for line in lines][:1] == [
        ("does the toy gain", ("sweep", "toy"), 0.6)
    ]
    assert len(lines) == 6
    assert {line.tags[2] for line in lines} == {row["id"] for row in place.table()}
    with (place.sweep / "results.csv").open() as file:
        assert [float(row["gain"]) for row in csv.DictReader(file)] == [0.0, 0.0, 0.1, 0.1, 0.2, 0.2]
    assert "does the toy gain" in (place.sweep / "index.html").read_text()


def test_settings_of_overrides_have_columns_of_their_own_and_reach_the_notebook_as_one_text(place, engine):
    place.make(
        GRID.replace("gain: [0.0, 0.1, 0.2]", "overrides.mixup_p: [0.0, 1.0]") + "fixed: {overrides.epochs: 2}\n"
    )
    row = place.table()[-1]
    assert row["parameters"] == {"epochs": 2, "mixup_p": 1.0, "seed": 2}
    request = json.loads((place.sweep / "runs" / row["id"] / "request.json").read_text())
    assert request["values"]["overrides"] == "epochs=2,mixup_p=1.0"
    assert "mixup_p" not in request["values"]
    with (place.sweep / "results.csv").open() as file:
        assert [row["mixup_p"] for row in csv.DictReader(file)] == ["0.0", "0.0", "1.0", "1.0"]


def test_what_has_ended_is_not_made_again_and_a_changed_file_makes_only_what_is_new(place, engine):
    place.make()
    before = {row["id"] for row in place.table() if row["parameters"]["gain"] != 0.1}
    assert place.make() == 0
    assert not engine().made
    toy = engine()
    place.make(GRID.replace("[0.0, 0.1, 0.2]", "[0.05, 0.0, 0.2]"))
    assert {run.parameters["gain"] for run in toy.made} == {0.05}
    assert [row["number"] for row in place.table()] == [1, 2, 3, 4, 5, 6]
    assert {row["parameters"]["gain"] for row in place.table()} == {0.05, 0.0, 0.2}
    assert {row["id"] for row in place.table() if row["parameters"]["gain"] != 0.05} == before
    assert len(read_ledger(place.folder / "runs/ledger.jsonl")) == 8
    assert json.loads((place.sweep / "sweep.json").read_text())["runs"] == [row["id"] for row in place.table()]


def test_a_changed_notebook_makes_all_anew(place, engine):
    place.make()
    source = place.sources / "02_toy.py"
    source.write_text(source.read_text() + "\n# %%\n1\n")
    toy = engine()
    place.make()
    assert len(toy.made) == 6


def test_an_interrupted_sweep_goes_on_where_it_was(place, engine, capsys):
    first = engine(interrupt_after=3)
    assert place.make() == 130
    assert first.closed
    second = engine()
    assert place.make() == 0
    assert len(first.made) == 3
    assert {run.id for run in first.made} | {run.id for run in second.made} == {row["id"] for row in place.table()}
    assert len(second.made) == 3


def test_a_failed_run_is_shown_with_its_whole_error_and_its_log_and_is_tried_again_when_asked(place, engine, capsys):
    text = GRID.replace("grid: {gain: [0.0, 0.1, 0.2]}", "list: [{}, {fail: true}, {gain: 0.1}]")
    text = text.replace("[1, 2]", "[1]")
    assert place.make(text) == 1
    assert [row["status"] for row in place.table()] == ["done", "failed", "done"]
    log = place.sweep / "runs" / place.table()[1]["id"] / "run.log"
    assert (
        f"""run 2 (fail=True, seed=1) FAILED: 02_toy: failed with BadInput in code cell 2 of 3 (02_toy.py, line 23)
  BadInput: fail is set
    expected: False
    got:      3 < 4
    do this:  set fail=False
  log: {log}
"""
        in capsys.readouterr().out
    )
    toy = engine()
    assert place.make(text) == 1
    assert [run.parameters.get("fail") for run in toy.made] == [True]
    assert len(read_ledger(place.folder / "runs/ledger.jsonl")) == 2


def test_a_run_that_is_lost_without_a_word_has_failed(place, engine):
    engine(lose=(0.1,))
    assert place.make(GRID.replace("[1, 2]", "[1]")) == 1
    lost = place.table()[1]
    assert (lost["status"], lost["score"], lost["error"]) == ("failed", None, "its process ended with code -9")


def test_a_run_that_falls_behind_is_ended_and_is_neither_failed_nor_made_again(place, engine, monkeypatch):
    behind = lambda self, run: "ended early" if run.parameters["gain"] == 0.1 else ""  # noqa: E731
    monkeypatch.setattr(stages.ListedRuns, "prune_reason", behind)
    toy = engine(never_ends=(0.1,))
    assert place.make() == 0
    assert len(toy.made) == 6
    ended = [(row["status"], row["error"], row["score"]) for row in place.table() if row["parameters"]["gain"] == 0.1]
    assert ended == [("pruned", "ended early", None)] * 2
    again = engine()
    assert place.make() == 0
    assert not again.made


def test_a_replay_promotes_the_best_and_the_baseline_and_only_they_run_in_full(place, engine):
    toy = engine()
    place.make(GRID + "promote: {replay: {steps: 1}, keep: 1}\n")
    replayed, full = ([run for run in toy.made if run.stage == stage] for stage in ("replay", "full"))
    assert len(replayed) == 6
    assert all(run.parameters["steps"] == 1 for run in replayed)
    assert [(run.number, run.parameters) for run in full] == [
        (7, {"gain": 0.0, "seed": 1}),
        (8, {"gain": 0.0, "seed": 2}),
        (9, {"gain": 0.2, "seed": 1}),
        (10, {"gain": 0.2, "seed": 2}),
    ]
    assert len(place.table()) == 10
    verdicts = {row["parameters"]["gain"]: row["verdict"] for row in place.table() if row["stage"] == "replay"}
    assert verdicts[0.2] == "promote"
    assert verdicts[0.1] != "promote"


def test_a_replay_promotes_by_gain_over_the_baseline(place, engine):
    toy = engine()
    place.make(GRID + "baseline: {gain: 0.1}\npromote: {replay: {steps: 1}, gain: 0.05}\n")
    assert {run.parameters["gain"] for run in toy.made if run.stage == "full"} == {0.1, 0.2}


def test_what_is_asked_wrongly_starts_nothing_and_dry_shows_what_would_run(place, engine, capsys):
    toy = engine()
    assert place.make(GRID.replace("gain:", "gian:")) == 2
    assert "line 3, grid.gian" in capsys.readouterr().err
    assert place.make(GRID, "--dry") == 0
    shown = capsys.readouterr().out
    assert shown.count("to run") == 6
    assert "gain=0.2, seed=2" in shown
    assert not toy.made
    assert not place.sweep.exists()
    place.make()
    capsys.readouterr()
    place.make(GRID, "--dry")
    assert capsys.readouterr().out.count("done before") == 6


def test_cores_are_divided_fairly_and_none_is_given_twice(monkeypatch):
    assert split_cores(range(8), 3) == [[0, 1], [2, 3, 4], [5, 6, 7]]
    monkeypatch.setattr("build.sweeps.engines.available_cores", lambda: list(range(8)))
    assert [Local(wanted, cores).slots for wanted, cores in ((12, 1), (12, 2), (3, 1), (12, 16))] == [8, 4, 3, 1]


def test_a_run_that_wants_a_gpu_gets_one_of_its_own_or_is_refused(monkeypatch):
    monkeypatch.setattr("build.sweeps.engines.available_cores", lambda: list(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    engine = Local(12, gpus=1)
    assert engine.slots == 2
    assert [gpus for _, gpus in engine._free] == [["2"], ["5"]]
    with pytest.raises(BadInput, match="too few GPUs"):
        Local(12, gpus=3)


def test_runs_get_cores_of_their_own_which_are_free_again_when_they_end(monkeypatch, tmp_path):
    begun = []

    def begin(request, cores, environment):
        begun.append(cores)
        command = [sys.executable, "-c", "import sys; sys.exit(input() != 'end')"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)

    monkeypatch.setattr("build.sweeps.engines.available_cores", lambda: [3, 5])
    monkeypatch.setattr("build.sweeps.engines.start_process", begin)
    engine = Local(2)
    for name in ("one", "two"):
        engine.start(tmp_path / name / "request.json")
    first = engine._running["one"][0]
    first.communicate("wrong")
    assert engine.poll() == {"one": "its process ended with code 1"}
    engine.start(tmp_path / "three/request.json")
    assert begun == [[3], [5], [3]]
    left = [process for process, _ in engine._running.values()]
    assert [process.poll() for process in left] == [None, None]
    engine.close()
    assert all(process.poll() is not None for process in left)


def test_what_a_notebook_reads_must_be_there_but_for_what_it_reads_when_asked(place):
    place.file.write_text(GRID)
    sweep_ = read_sweep(place.file, place.sources)
    before = place_of(sweep_, place.runs, place.folder).facts
    source = place.sources / "02_toy.py"
    source.write_text(TOY + 'later = lambda: find_artifact("recipes", inputs_dir)\n')
    absent = place_of(sweep_, place.runs, place.folder).facts
    write_json(place.runs / "05_blend/recipes/manifest.json", {"kind": "recipes", "files": {}})
    assert len({before, absent, place_of(sweep_, place.runs, place.folder).facts}) == 3
    source.write_text(TOY + 'now = find_artifact("member", inputs_dir)\n')
    with pytest.raises(BadInput, match="nothing of kind 'member'"):
        place_of(sweep_, place.runs, place.folder)


@pytest.mark.slow
def test_papermill_runs_have_cores_a_ledger_and_a_page_of_their_own_and_an_interrupt_ends_them(place):
    """The real thing, in processes: one run ends well, one fails; then two are interrupted."""
    text = GRID.replace("gain: [0.0, 0.1, 0.2]", "fail: [false, true]").replace("seeds: [1, 2]\n", "")
    assert place.make(text) == 1
    done, failed = place.table()
    assert (done["status"], done["score"], failed["status"]) == ("done", 0.6, "failed")
    folder = place.sweep / "runs" / done["id"]
    cores = len(os.sched_getaffinity(0))
    notebook = (folder / "notebook.ipynb").read_text()
    assert "ValueError: as set" in (place.sweep / "runs" / failed["id"] / "run.log").read_text()
    assert f"cores {max(1, cores // 2)} threads {max(1, cores // 2)}" in notebook
    assert len(read_ledger(folder / "runs/ledger.jsonl")) == 2
    assert (folder / "notebook.html").is_file()

    source = place.sources / "02_toy.py"
    source.write_text(source.read_text().replace("if fail:", "import time\ntime.sleep(600)\nif fail:"))
    command = [sys.executable, "-m", "build.sweep", *place.arguments()]
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
            while len(children := psutil.Process(driver.pid).children(recursive=True)) < 4 and driver.poll() is None:
                time.sleep(0.1)
            driver.send_signal(number)
            printed = driver.communicate(timeout=60)[1]
        assert driver.returncode == code, printed
        assert f"exit {code}: " in printed
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        assert done["id"] in {run.parent.name for run in place.sweep.glob("runs/*/run.json")}  # what had ended is kept
