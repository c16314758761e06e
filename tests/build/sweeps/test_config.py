"""A sweep's file: its keys, and that every error in it is reported with its line before anything starts."""

import math

import pytest

from build.project import ROOT
from build.sweeps.config import join_overrides, read_sweep
from build.sweeps.space import Range, draw_points
from lib.core.errors import BadInput
from tests.support.toysweep import toy_sources

HEAD = 'question: does it gain\nnotebook: "02"\n'


@pytest.fixture
def read(tmp_path):
    """What reads a file that begins with the head, about the toy."""
    sources = toy_sources(tmp_path / "sources")

    def reader(text: str, head: str = HEAD):
        (tmp_path / "try.yaml").write_text(head + text)
        return read_sweep(tmp_path / "try.yaml", sources)

    return reader


def test_a_grid_is_every_combination_with_what_is_fixed_in_the_parameters_types(read):
    sweep = read("fixed: {word: a}\ngrid:\n  gain: [0, 1e-1]\n  steps: [1, '2']\n")
    rows = [(point["word"], point["gain"], point["steps"]) for point in sweep.points]
    assert rows == [("a", 0.0, 1), ("a", 0.0, 2), ("a", 0.1, 1), ("a", 0.1, 2)]
    assert type(sweep.points[0]["gain"]) is float
    assert sweep.varied == ("gain", "steps")
    assert (sweep.name, sweep.question, sweep.notebook.stem) == ("try", "does it gain", "02_toy")


def test_a_list_is_just_these_and_a_seed_repeats_each(read):
    sweep = read("list:\n  - {}\n  - {gain: 0.1, word: b}\nseeds: [1, 2]\n")
    assert sweep.points == ({}, {"gain": 0.1, "word": "b"})
    assert sweep.repeats({"gain": 0.1}) == [{"gain": 0.1, "seed": 1}, {"gain": 0.1, "seed": 2}]
    assert sweep.varied == ("gain", "word", "seed")


def test_a_random_space_is_drawn_once_and_for_all(read):
    text = "random: {runs: 6, seed: 3, space: {gain: {low: 1e-4, high: 1e-1, log: true}, steps: {low: 1, high: 2}}}\n"
    sweep = read(text)
    assert sweep.points == read(text).points
    assert sweep.points != read(text.replace("seed: 3", "seed: 4")).points
    assert len(sweep.points) == 6
    assert {point["steps"] for point in sweep.points} == {1, 2}
    assert all(1e-4 <= point["gain"] <= 1e-1 for point in sweep.points)


def test_a_logarithmic_range_is_drawn_evenly_by_magnitude_and_whole_ones_reach_both_ends():
    points = draw_points({"rate": Range(1e-4, 1.0, log=True), "n": Range(1, 3, whole=True)}, 400, 0)
    assert 150 < sum(point["rate"] < 1e-2 for point in points) < 250
    counts = [sum(point["n"] == n for point in points) for n in (1, 2, 3)]
    assert sum(counts) == 400
    assert min(counts) > 100


def test_the_baseline_comes_first_whether_or_not_it_is_among_the_runs(read):
    grid = "grid: {gain: [0.0, 0.1, 0.2]}\n"
    assert [point["gain"] for point in read(grid + "baseline: {gain: 0.1}\n").points] == [0.1, 0.0, 0.2]
    assert read(grid + "baseline: {}\n").points[0] == {}
    assert len(read(grid + "baseline: {}\n").points) == 4


def test_settings_of_overrides_go_by_their_own_names_in_their_types(read):
    grid = (
        "fixed: {overrides.epochs: 2}\ngrid: {overrides.mixup_p: [0, 5e-1], overrides.loss: [bce, focal], gain: [0]}\n"
    )
    sweep = read(grid + "baseline: {overrides.loss: focal}\n")
    assert sweep.points[0] == {"epochs": 2, "loss": "focal"}
    assert sweep.points[2] == {"epochs": 2, "mixup_p": 0.0, "loss": "focal", "gain": 0.0}
    assert type(sweep.points[2]["mixup_p"]) is float
    assert sweep.varied == ("loss", "mixup_p", "gain")
    written = read('list: [{overrides: "gain_p=0, loss=focal", overrides.epochs: 3}, {}]\n')
    assert written.points == ({"gain_p": 0.0, "loss": "focal", "epochs": 3}, {})
    search = read("search: {runs: 5, space: {overrides.epochs: {low: 1, high: 4}, overrides.mixup_p: [0, 1]}}\n").search
    assert search.space == {"epochs": Range(1, 4, whole=True), "mixup_p": (0.0, 1.0)}


def test_a_run_is_given_its_settings_as_one_text(read):
    (point,) = read("list: [{gain: 0.1, overrides.mixup_p: 1, overrides.loss: focal}]\n").points
    known = ("gain", "steps", "overrides")
    assert join_overrides(point | {"seed": 1}, (*known, "seed")) == {
        "gain": 0.1,
        "seed": 1,
        "overrides": "mixup_p=1.0,loss=focal",
    }
    assert join_overrides({"gain": 0.1}, known) == {"gain": 0.1}


def test_a_search_and_a_promotion_are_read_whole(read):
    search = read("search: {runs: 5, space: {gain: {low: 0, high: 1}, word: [a, b]}, pruner: none}\n").search
    assert search.space == {"gain": Range(0.0, 1.0), "word": ("a", "b")}
    assert (search.runs, search.pruner) == (5, "none")
    promote = read("grid: {gain: [0, 1]}\npromote: {replay: {steps: 1}, keep: 1}\n").promote
    assert (promote.replay, promote.keep) == ({"steps": 1}, 1)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("grid: {gain: [0, 1]}\nsteps: 3\n", "line 4, steps", "no such key"),
        ("grid: {gian: [0, 1]}\n", "line 3, grid.gian", "no parameter gian"),
        ("fixed: {}\ngrid:\n  word: [a]\n  gain: [0, small]\n", "line 6, grid.gain", "cannot take this value"),
        ("list:\n  - {gain: 0.1}\n  - {gain: 1.0e-1}\n", "line 5, list.2", "run 2 is run 1 again"),
        ("grid: {gain: [0, 0.0]}\n", "line 3, grid.gain", "stands twice"),
        ("grid: {gain: 0.5}\n", "line 3, grid.gain", "no values to try"),
        ("grid: {gain: []}\n", "line 3, grid", "nothing varies"),
        ("list: []\n", "line 3, list", "nothing varies"),
        ("fixed: {gain: 1}\nfixed: {gain: 2}\n", "line 4", "not a key here"),
        ("grid: {gain: [0]}\nlist: [{}]\n", "line 1", "what to vary"),
        ("fixed: {gain: 1}\n", "line 1", "what to vary"),
        ("fixed: {gain: 1}\ngrid: {gain: [0, 1]}\n", "line 3, fixed", "sets what grid varies"),
        ("fixed: {output_dir: x}\ngrid: {gain: [0, 1]}\n", "line 3, fixed.output_dir", "sets this by itself"),
        ("grid: {seed: [1, 2]}\nseeds: [1]\n", "line 4, seeds", "sets what grid varies"),
        ("grid: {gain: [0]}\nseeds: [one]\n", "line 4, seeds", "cannot take"),
        ("grid: {gain: [0]}\nbaseline: {gian: 0}\n", "line 4, baseline.gian", "no parameter"),
        ("grid: {gain: [0]}\npromote: {keep: 2}\n", "line 4, promote", "something is missing"),
        ("grid: {gain: [0]}\npromote: {replay: {steps: 1}, keep: 2, gain: 0.1}\n", "line 4, promote", "too many"),
        ("fixed: {steps: 1}\ngrid: {gain: [0]}\npromote: {replay: {steps: 1}}\n", "line 5, promote", "the full run"),
        ("grid: {gain: [0]}\npromote: {replay: {gain: 1}}\n", "line 4, promote", "sets what grid varies"),
        ("random: {runs: 3, space: {word: [a, b]}}\n", "line 3, random", "too few points"),
        ("random: {runs: 3, space: {gain: {low: 2, high: 1}}}\n", "line 3, random.space.gain", "not a range"),
        ("random: {runs: 3, space: {gain: {low: 0, high: 1, log: true}}}\n", "random.space.gain", "not a range"),
        ("random: {runs: 3, space: {word: {low: 0, high: 1}}}\n", "random.space.word", "only numbers"),
        ("random: {runs: 0, space: {word: [a]}}\n", "line 3, random.runs", "counts nothing"),
        ("search: {runs: 3, space: {gain: {low: 0, high: 1}}, pruner: hard}\n", "line 3, search.pruner", "pruner"),
        ("search: {runs: 3, space: {gain: {low: 0, high: 1}}}\nseeds: [1, 2]\n", "line 4, seeds", "each run once"),
        ("search: {runs: 3, space: {gain: []}}\n", "line 3, search.space", "nothing varies"),
        ("grid: {gain: [0]}\ncores: 0\n", "line 4, cores", "counts nothing"),
        ("grid: {gain: [0]}\nresources: {GPU: one}\n", "line 4, resources.GPU", "counts nothing"),
        ("grid: {gain: [0]\n", "try.yaml", "cannot be read"),
        ("grid: {overrides.mixupp: [0, 1]}\n", "line 3, grid.overrides.mixupp", "no setting 'mixupp'"),
        ("grid: {overrides.mixup_p: [0, high]}\n", "line 3, grid.overrides.mixup_p", "cannot take this value"),
        ("grid: {overrides.loss: [5]}\n", "line 3, grid.overrides.loss", "cannot take this value"),
        ("list: [{overrides: loss}]\n", "line 3, list.1.overrides", "settings cannot be read"),
        ("list: [{overrides: loss=bce, overrides.loss: focal}]\n", "line 3, list.1.overrides.loss", "stands twice"),
        ("grid: {overrides: [loss=bce, loss=focal]}\n", "line 3, grid.overrides", "varied as a whole"),
        ("fixed: {overrides.loss: bce}\ngrid: {overrides.loss: [bce]}\n", "line 3, fixed", "sets what grid varies"),
    ],
)
def test_errors_are_reported_with_their_line(read, text, line, what):
    with pytest.raises(BadInput, match=what) as error:
        read(text)
    assert line in error.value.what


def test_a_number_of_a_notebook_wants_quotes_and_one_that_is_there(read):
    with pytest.raises(BadInput, match=r"line 2, notebook: it is of another type"):
        read("grid: {gain: [0]}\n", head="question: a\nnotebook: 2\n")
    with pytest.raises(BadInput, match="no such notebook"):
        read("grid: {gain: [0]}\n", head='question: a\nnotebook: "07"\n')


@pytest.mark.parametrize("file", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_sweeps_that_ship_are_understood_and_small(file):
    sweep = read_sweep(file)
    runs = sweep.search.runs if sweep.search else sum(len(sweep.repeats(point)) for point in sweep.points)
    assert 4 <= runs <= 12
    assert math.prod(map(len, [sweep.question, sweep.varied])) > 0
