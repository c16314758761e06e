"""A sweep's page advises what was planted and nothing where there is nothing; no sweep is too broken for a page."""

import re
from html import unescape
from itertools import product

import numpy as np
import pytest

from build.sweeps import report
from build.sweeps.advice import advice_sentences, verdict_sentences
from build.sweeps.report import judge_folder, write_sweep_page
from lib.competition.scores import load_scores
from lib.core.records import read_json, write_json
from lib.judge.bootstrap import bootstrap, interval
from tests.support.pagecheck import faults_of
from tests.support.tinysweep import make_finished_run, make_prepared, make_record, make_sweep
from tests.support.toysweep import FAILURE

SPACE = {"loss": ["bce", "focal"], "front_end": ["small", "pcen", "wide"]}
GRID = [dict(zip(SPACE, values, strict=True)) | {"epochs": 2} for values in product(*SPACE.values())]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The folder of runs, and what 01 left there."""
    runs = tmp_path_factory.mktemp("runs")
    return runs, make_prepared(runs)


def swept(world, name, points, lift_of, luck=0, **facts):
    """The folder of a sweep of these points, each as good as `lift_of` gives."""
    runs, prepared = world
    folder = make_sweep(runs, name, points=points, **facts)
    for number, point in enumerate(points, start=1):
        make_finished_run(folder, prepared, number, point, lift_of(point), 1000 * luck + number)
    return folder


def text_of(folder):
    page = write_sweep_page(folder, judge_folder(folder))
    assert page == folder / "index.html"
    return unescape(page.read_text())


def sentences_of(folder):
    """The verdict, and the advice and notes after it, as the page has them."""
    judged = judge_folder(folder)
    return verdict_sentences(judged), [*advice_sentences(judged), *judged.notes]


def test_the_page_opens_with_the_question_the_verdict_and_the_advice(world):
    folder = swept(world, "opening", GRID, lambda p: 1.5 + 0.5 * (p["loss"] == "focal"), question="which loss?")
    opening = text_of(folder).split("The runs</h2>")[0]
    first, rest = sentences_of(folder)
    assert "Question: which loss?" in opening
    assert re.findall(r"<p>(.*?)</p>", opening.split("Verdict</h2>")[1]) == [first, *rest]
    assert first.startswith("Promote")


def test_the_planted_parameter_is_named_and_a_run_with_it_promoted(world):
    named, others = 0, 0
    for luck in range(3):
        folder = swept(world, f"planted{luck}", GRID, lambda p: 1.5 + 0.5 * (p["front_end"] == "pcen"), luck)
        first, rest = sentences_of(folder)
        named += any(sentence.startswith("Set front_end=pcen: +") for sentence in rest)
        named += first.startswith("Promote run") and "front_end=pcen" in first
        others += any("Set" in sentence and "loss" in sentence for sentence in rest)
    assert named >= 5
    assert others <= 1


def test_where_nothing_was_planted_nothing_is_advised(world):
    wrong = 0
    for luck in range(6):
        first, rest = sentences_of(swept(world, f"nothing{luck}", GRID, lambda p: 1.5, 50 + luck))
        wrong += not first.startswith("Keep the baseline") or any(line.startswith(("Set", "Keep")) for line in rest)
    assert wrong <= 2


def test_the_best_of_many_equal_runs_is_no_winner(world):
    points = [{"rate": float(rate)} for rate in np.linspace(0.1, 1.0, 30)]
    first, _ = sentences_of(swept(world, "many", points, lambda p: 1.5, 90))
    assert re.match(r"Keep the baseline: .* as \d+\.\d of 29 would by luck", first)


def test_luck_of_training_that_one_seed_had_makes_no_winner(world):
    runs, prepared = world
    folder = make_sweep(runs, "lucky", points=[{"a": 0}, {"a": 1}], seeds=[1, 2, 3])
    for number, (a, seed) in enumerate(product((0, 1), (1, 2, 3)), start=1):
        make_finished_run(folder, prepared, number, {"a": a, "seed": seed}, 2.6 if (a, seed) == (1, 2) else 1.5, number)
    first, rest = sentences_of(folder)
    assert first.startswith("Keep the baseline")
    assert first.endswith("Over recordings alone it is for run 4 (a=1): more seeds would decide.")
    assert not any(line.startswith("Set") for line in rest)
    page = text_of(folder)
    assert "may be luck" in page


def test_luck_that_one_run_had_in_all_folds_is_not_told_from_a_gain_without_seeds_and_the_page_says_so(world):
    runs, _prepared = world
    folder = make_sweep(runs, "once", points=[{"a": 0}, {"a": 1}])
    for a in (0, 1):
        folds = {str(fold): 0.7 + 0.05 * a + 0.001 * (a * fold % 3) for fold in range(5)}
        make_record(folder, a + 1, {"a": a}, score=0.7 + 0.05 * a, interval=[0.6, 0.9], per_fold=folds)
    first, rest = sentences_of(folder)
    assert first.startswith("Keep the baseline")
    assert rest[0].startswith("No setting was repeated with another seed")
    assert rest[1].startswith("Repeat a=1 with seeds: +0.05")


def test_one_run_against_one_is_believed_where_redrawn_recordings_bear_it_out_too(world):
    first, rest = sentences_of(swept(world, "single_pair", [{"a": 0}, {"a": 1}], lambda p: 1.5 + p["a"], 8))
    assert first.startswith("Promote run 2 (a=1)")
    assert re.search(r"over folds\.", first)
    assert any(line.startswith("Set a=1: +0.") for line in rest)


def test_with_seeds_the_page_does_not_ask_for_them(world):
    runs, prepared = world
    folder = make_sweep(runs, "repeated", points=[{"a": 0}, {"a": 1}], seeds=[1, 2])
    for number, (a, seed) in enumerate(product((0, 1), (1, 2)), start=1):
        make_finished_run(folder, prepared, number, {"a": a, "seed": seed}, 1.5 + a, number)
    first, rest = sentences_of(folder)
    assert re.search(r"over folds and seeds\.", first)
    assert not any("seed" in line for line in rest)


def test_a_setting_that_loses_is_killed_or_at_least_not_kept(world):
    folder = swept(world, "loser", [{"a": 0}, {"a": 1}], lambda p: 2.2 if p["a"] == 0 else 1.2, 7)
    first, rest = sentences_of(folder)
    assert first == "Keep the baseline: none of the 1 others scores above it."
    assert any(line.startswith("Keep a=0: 1 gains -0.") for line in rest)


def test_the_table_links_pages_and_shows_every_run_failures_too(world):
    folder = swept(world, "table", GRID[:2], lambda p: 1.5, 3)
    make_record(folder, 3, GRID[2], status="failed", error=FAILURE)
    make_record(folder, 4, GRID[3], status="pruned", error="behind the median")
    (folder / "runs/000000000001/notebook.html").write_text("x")
    (folder / "runs/000000000002/notebook.ipynb").write_text("x")
    (folder / "runs/000000000003/run.log").write_text("x")
    raw = write_sweep_page(folder, judge_folder(folder)).read_text()
    links = re.findall(r"<a href='(.*?)'>(.*?)</a>", raw)
    assert sorted(links) == [
        ("runs/000000000001/notebook.html", "1"),
        ("runs/000000000002/notebook.ipynb", "2"),
        ("runs/000000000003/run.log", "log"),
    ]
    assert faults_of(folder / "index.html") == []
    assert (
        "  BadInput: fail is set\n    expected: False\n    got:      3 &lt; 4\n    do this:  set fail=False</td>" in raw
    )
    assert "4 runs: 2 done, 1 failed, 1 pruned" in raw
    assert not re.search(r"(src|href)=['\"]https?:", raw)


def test_a_run_that_the_sweep_no_longer_asks_for_is_left_out(world):
    folder = swept(world, "changed", GRID[:2], lambda p: 1.5, 4)
    facts = read_json(folder / "sweep.json")
    write_json(folder / "sweep.json", facts | {"runs": facts["runs"][:1]})
    page = text_of(folder)
    assert re.search(r"1 run: 1 done; \d+\.\d minutes\.", page)
    write_json(folder / "sweep.json", facts | {"runs": [facts["runs"][0], "f" * 12]})
    assert "minutes; 1 to come." in text_of(folder)
    assert ">stage</th>" not in page


def test_sweeps_with_nothing_to_compare_have_a_page_that_says_so(world):
    runs, prepared = world
    empty = make_sweep(runs, "empty", points=GRID[:1])
    assert "No run has ended yet." in text_of(empty)
    failed = make_sweep(runs, "failed", points=GRID[:2])
    make_record(failed, 1, GRID[0], status="failed", error="boom")
    assert sentences_of(failed)[0] == "No run ended well, so there is nothing to choose from."
    single = swept(world, "single", GRID[:1], lambda p: 1.5)
    assert re.match(r"One setting has a score, 0\.\d{4}: there is nothing", sentences_of(single)[0])
    seeds = make_sweep(runs, "seeds", points=[{"a": 1}])
    for seed in (1, 2):
        make_finished_run(seeds, prepared, seed, {"a": 1, "seed": seed}, 1.5, seed)
    assert sentences_of(seeds)[0].startswith("One setting has a score")


def test_without_its_baseline_a_sweep_says_what_stands_in(world):
    runs, prepared = world
    folder = make_sweep(runs, "headless", points=[{"a": 0}, {"a": 1}, {"a": 2}])
    make_record(folder, 1, {"a": 0}, status="failed", error="boom")
    make_finished_run(folder, prepared, 2, {"a": 1}, 1.5, 1)
    make_finished_run(folder, prepared, 3, {"a": 2}, 2.4, 2)
    first, _ = sentences_of(folder)
    assert "run 2 stands in for it" in first
    assert "over run 2, all judged at once" in first


def test_a_setting_that_sets_more_than_the_baseline_is_not_taken_for_it(world):
    runs, prepared = world
    folder = make_sweep(runs, "bald", points=[{"epochs": 2}, {"epochs": 2, "a": 1}, {"epochs": 2, "a": 2}])
    make_record(folder, 1, {"epochs": 2}, status="failed", error="boom")
    for a in (1, 2):
        make_finished_run(folder, prepared, a + 1, {"epochs": 2, "a": a}, 1.5, a)
    assert sentences_of(folder)[0].startswith("The baseline has no score in every stage; run 2 stands in for it.")


@pytest.mark.parametrize("stage", ["only", "replay"])
def test_the_interval_of_two_seeds_is_that_of_their_mean_and_no_runs_own(world, stage):
    runs, prepared = world
    promote = {"replay": {}, "keep": 1} if stage == "replay" else None
    folder = make_sweep(runs, f"means_{stage}", points=[{"a": 0}], seeds=[1, 2], promote=promote)
    made = [
        make_finished_run(folder, prepared, seed, {"a": 0, "seed": seed}, lift, seed, stage=stage)
        for seed, lift in ((1, 1.0), (2, 2.5))
    ]
    judged = judge_folder(folder)
    (verdict,) = judged.verdicts[stage]
    mean, span = np.mean([run.score for run in made]), verdict.interval
    assert made[0].score + 0.04 < span.low < mean < span.high < made[1].score - 0.04  # far from either's interval
    both = {run.id: load_scores(folder / run.member / "oof.parquet") for run in made}
    drawn = np.mean(list(bootstrap(prepared.labels, both).values()), axis=0)
    assert span == pytest.approx(interval(mean, drawn))
    assert "each the mean over its seeds" in text_of(folder)


def test_without_stored_scores_a_mean_has_no_interval_and_the_page_says_so(world):
    runs, _prepared = world
    folder = make_sweep(runs, "bare_means", points=[{"a": 0}, {"a": 1}], seeds=[1, 2])
    for number, (a, seed) in enumerate(product((0, 1), (1, 2)), start=1):
        make_record(folder, number, {"a": a, "seed": seed}, score=0.6 + 0.1 * seed, interval=[0.5, 0.9])
    assert [each.interval for each in judge_folder(folder).last] == [None, None]
    assert "Scores by window are not stored of the baseline, run 3 (a=1): no interval." in text_of(folder)


def test_without_stored_scores_nobody_leads(world):
    runs, _prepared = world
    folder = make_sweep(runs, "bare", points=[{"a": 0}, {"a": 1}])
    for a in (0, 1):
        make_record(folder, a + 1, {"a": a}, score=0.7 + 0.1 * a, interval=[0.6, 0.9])
    first, rest = sentences_of(folder)
    assert first == "Keep the baseline: the best other, run 2 (a=1), gains +0.1000, and is not shown to be better."
    assert any("add seeds" in line for line in rest)


def test_scores_of_rows_that_a_run_has_seen_are_left_out_and_named(world):
    folder = swept(world, "cheat", GRID[:3], lambda p: 1.5, 5)
    training = folder / "runs/000000000002/runs/02_fold_training/members/net/training.json"
    training.write_text(training.read_text().replace('"fold_version": "', '"fold_version": "x'))
    assert any("Run 2 is not compared by its scores" in line for line in sentences_of(folder)[1])


def test_a_replay_sends_on_and_the_full_runs_decide(world):
    runs, prepared = world
    folder = make_sweep(
        runs,
        "staged",
        points=[{"a": a, "epochs": 9} for a in range(4)],
        promote={"replay": {"epochs": 1}, "keep": 2, "gain": 0.0},
    )
    for a, score in enumerate((0.70, 0.74, 0.72, 0.60)):
        make_record(folder, a + 1, {"a": a, "epochs": 1}, stage="replay", score=score, interval=[0.5, 0.9])
    assert (
        sentences_of(folder)[0]
        == "Only the replay has ended; to be fitted in full: the baseline, run 2 (a=1), run 3 (a=2)."
    )
    for number, a in ((5, 0), (6, 1)):
        make_finished_run(folder, prepared, number, {"a": a, "epochs": 9}, 1.5 + 0.8 * a, number, stage="full")
    first, _ = sentences_of(folder)
    assert first.startswith("Promote run 6 (a=1): it gains +0.")
    decided = text_of(folder).split("Go or no-go</h2>")[1]
    assert ">stage</th>" in decided
    assert "+0.0200 in the replay, but others went first" in decided
    assert re.search(r"-0\.1000 in the replay, which promotes from \+0\.000, and kills below -0\.030", decided)


def test_the_command_writes_the_page_and_says_what_is_missing(world, tmp_path, capsys):
    folder = swept(world, "again", GRID[:2], lambda p: 1.5, 6)
    assert report.main([str(folder)]) == 0
    assert "index.html" in capsys.readouterr().out
    assert report.main([str(tmp_path)]) == 2
    assert "sweep.json" in capsys.readouterr().err
