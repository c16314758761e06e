"""Searches: as many runs as set, chosen by the scores of earlier ones; they resume, are shared, and prune."""

import json

import pytest

from build.sweeps import stages
from build.sweeps.config import read_sweep
from build.sweeps.record import RunRecord
from build.sweeps.runs import place_of
from build.sweeps.search import SearchedRuns
from lib.core.errors import BadInput
from tests.build.test_sweep import Place
from tests.support.toysweep import ToyEngine

pytest.importorskip("optuna", reason="Optuna is optional: requirements-dev.txt")
SEARCH = """question: how much gain
notebook: "02"
fixed: {word: a}
search: {runs: 12, seed: 1, space: {gain: {low: -0.3, high: 0.3}}, pruner: none}
metric: toy
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    place, there = Place(tmp_path), {}
    monkeypatch.setattr(stages, "_make_engine", lambda *_: there["engine"])
    monkeypatch.setattr(stages, "_POLL_S", 0.0)

    def make(text=SEARCH, **how):
        there["engine"] = ToyEngine(**how)
        return place.make(text), there["engine"].made

    return place, make


def test_a_search_makes_as_many_runs_as_set_and_later_ones_are_better(place):
    place, make = place
    code, made = make(SEARCH.replace("runs: 12", "runs: 24"))
    assert code == 0
    assert len({run.id for run in made}) == len(made) == 24 == len(place.table())
    assert all(run.parameters["word"] == "a" for run in made)
    gains = [run.parameters["gain"] for run in made]
    assert sum(gains[12:]) / 12 > sum(gains[:12]) / 12 + 0.05


def test_an_interrupted_search_goes_on_with_the_same_runs_and_draws_none_again(place):
    place, make = place
    code, first = make(interrupt_after=7)
    assert code == 130
    begun = {path.parent.name for path in place.sweep.glob("runs/*/request.json")}
    assert len(begun) > 7
    code, second = make()
    assert code == 0
    assert len(place.table()) == 12 == len(first) + len(second)
    assert begun <= {row["id"] for row in place.table()}
    assert not make()[1]


def test_a_changed_file_begins_a_new_search_and_a_baseline_is_no_part_of_it(place):
    place, make = place
    make()
    _, made = make(SEARCH.replace("word: a", "word: b") + "baseline: {gain: 0.0}\n")
    assert len(made) == 13
    assert made[0].parameters == {"word": "b", "gain": 0.0}
    assert [row["number"] for row in place.table()] == list(range(1, 14))


def test_a_run_is_behind_when_its_epochs_score_below_the_median_of_earlier_runs(place):
    place, _ = place
    place.file.write_text(SEARCH.replace("none", "median"))
    sweep = read_sweep(place.file, place.sources)
    where = place_of(sweep, place.runs, place.folder)
    where.folder.mkdir(parents=True)
    source = SearchedRuns(sweep, sweep.search, where)
    for _ in range(4):
        run = source.next()
        _trained(where, run, 0.7)
        assert source.prune_reason(run) == ""
        source.record_result(_record(run, 0.7))
    ahead, behind = source.next(), source.next()
    _trained(where, ahead, 0.8)
    _trained(where, behind, 0.6)
    assert source.prune_reason(ahead) == ""
    assert source.prune_reason(behind) == "ended early: 0.6000 after 2 epochs, behind earlier runs"


def test_two_who_see_one_folder_search_together(place):
    place, _ = place
    place.file.write_text(SEARCH)
    sweep = read_sweep(place.file, place.sources)
    where = place_of(sweep, place.runs, place.folder)
    where.folder.mkdir(parents=True)
    both, found = [SearchedRuns(sweep, sweep.search, where) for _ in range(2)], []
    while runs := [run for source in both if (run := source.next())]:
        for source, run in zip(both, runs, strict=False):
            source.record_result(_record(run, 0.6))
        found += runs
    assert len({run.id for run in found}) == len(found) == 12


def test_a_space_with_fewer_points_than_runs_ends_the_search_and_a_search_needs_scores(place):
    place, make = place
    assert len(make(SEARCH.replace("{low: -0.3, high: 0.3}", "[0.0, 0.1]"))[1]) == 2
    sweep = read_sweep(place.file, place.sources)
    place.file.write_text(SEARCH)
    again = read_sweep(place.file, place.sources)
    source = SearchedRuns(again, again.search, place_of(sweep, place.runs, place.folder))
    run = source.next()
    with pytest.raises(BadInput, match="needs scores"):
        source.record_result(_record(run, None))


def _trained(where, run, score):
    """Two epochs of a fold."""
    folder = where.folder / "runs" / run.id / "runs/02_toy/training/toy-1/fold0"
    folder.mkdir(parents=True)
    rows = [{"epoch": epoch, "scores": {"soundscapes": score, "clips": 0.0}} for epoch in (1, 2)]
    (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _record(run, score):
    """A record of a run that is done."""
    return RunRecord(run.id, run.number, "only", run.parameters, "done", score, None, {}, 1, 0.1, "", "", "", "", [])
