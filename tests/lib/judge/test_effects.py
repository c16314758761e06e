"""Effects pair what can be paired, name what they compared, and find what was planted and nothing else."""

from itertools import product

import numpy as np
import pytest

from lib.judge.effects import MOST_VALUES, UNSET, SweepRun, effects, value_name, varying

SPACE = {"loss": ["bce", "focal"], "front_end": ["small", "pcen", "wide"], "mixup_p": [0.0, 0.5]}
GRID = [dict(zip(SPACE, values, strict=True)) for values in product(*SPACE.values())]


def tried(rng, points, gain, seeds=(1,)):
    """Trials of all points: noise of each cell, of each fold, and the gain that `gain` gives a point."""
    by_fold = rng.normal(0.7, 0.05, 5)
    made = []
    for point, seed in product(points, seeds):
        folds = by_fold + rng.normal(0, 0.015, 5) + gain(point)
        made.append(SweepRun(point, seed, float(folds.mean()), {str(n): float(score) for n, score in enumerate(folds)}))
    return made


def found(trials, reference):
    return {(effect.parameter, effect.value): effect for effect in effects(trials, reference)}


def sure(trials):
    return {
        (effect.parameter, effect.value)
        for effect in effects(trials, trials[0].parameters)
        if effect.gain and (effect.gain.better or effect.gain.worse)
    }


def test_a_grid_pairs_all_runs_that_share_the_rest():
    trials = tried(np.random.default_rng(0), GRID, lambda point: 0.0, seeds=(1, 2))
    table = found(trials, GRID[0])
    pcen, focal = table["front_end", "pcen"], table["loss", "focal"]
    assert (pcen.gain.pairs, pcen.gain.folds, pcen.runs, focal.gain.pairs) == (8, 5, 8, 12)
    assert table["front_end", "small"].gain is None
    scores = {
        value: np.mean([t.score for t in trials if t.parameters["front_end"] == value]) for value in ("small", "pcen")
    }
    assert pcen.gain.gain == pytest.approx(scores["pcen"] - scores["small"])
    assert pcen.score == pytest.approx(scores["pcen"])


def test_a_run_without_its_partner_is_left_out_of_the_pairs():
    trials = tried(np.random.default_rng(1), GRID, lambda point: 0.0)
    lost = [trial for trial in trials if trial.parameters != {"loss": "bce", "front_end": "pcen", "mixup_p": 0.5}]
    assert found(lost, GRID[0])["front_end", "pcen"].gain.pairs == 3


def test_changes_one_at_a_time_are_held_against_the_baseline():
    points = [{"a": 0, "b": 0}, {"a": 1, "b": 0}, {"a": 0, "b": 1}]
    table = found(tried(np.random.default_rng(2), points, lambda point: 0.1 * point["b"]), points[0])
    assert table["b", "1"].gain.pairs == 1
    assert table["b", "1"].gain.gain == pytest.approx(0.1, abs=0.03)
    assert table["b", "1"].gain.better
    assert not table["a", "1"].gain.better


def test_the_folds_that_all_have_are_used_and_without_any_the_whole_score():
    one, other = SweepRun({"a": 0}, 1, 0.5, {"0": 0.4, "1": 0.6}), SweepRun({"a": 1}, 1, 0.9, {"1": 0.7})
    gain = found([one, other], {"a": 0})["a", "1"].gain
    assert (gain.gain, gain.folds) == (pytest.approx(0.1), 1)
    bare = found([one, SweepRun({"a": 1}, 1, 0.9)], {"a": 0})["a", "1"].gain
    assert (bare.gain, bare.folds, bare.interval) == (pytest.approx(0.4), 1, None)


def test_a_random_space_compares_means_and_sees_numbers_in_thirds():
    rng = np.random.default_rng(3)
    points = [
        {"rate": float(rng.uniform()), "mixup_p": float(rng.uniform()), "loss": str(rng.choice(["bce", "focal"]))}
        for _ in range(30)
    ]
    table = found(tried(rng, points, lambda point: 0.06 * (point["rate"] > 2 / 3)), points[0])
    rates = {key[1]: effect for key, effect in table.items() if key[0] == "rate"}
    assert len(rates) == 3
    assert sum(effect.runs for effect in rates.values()) == 30
    assert all(effect.gain is None or effect.gain.pairs == 0 for effect in table.values())
    best = max(rates.values(), key=lambda effect: effect.score)
    assert float(best.value.split(" … ")[0]) > 0.55


def test_seeds_of_one_setting_are_no_further_settings():
    points = [{"a": 0, "b": 0}, {"a": 1, "b": 1}, {"a": 0, "b": 2}, {"a": 1, "b": 3}]
    once = found(tried(np.random.default_rng(4), points, lambda point: 0.0), points[0])["a", "1"].gain
    again = [
        SweepRun(t.parameters, seed, t.score, t.per_fold)
        for seed in range(9)
        for t in tried(np.random.default_rng(4), points, lambda point: 0.0)
    ]
    many = found(again, points[0])["a", "1"].gain
    assert many.pairs == once.pairs == 0
    assert (many.gain, many.interval.low) == (pytest.approx(once.gain), pytest.approx(once.interval.low))


def test_values_come_in_order_the_references_first_and_what_is_not_set_is_a_value():
    points = [{"n": 5}, {"n": 10}, {}, {"n": 2}]
    table = effects(tried(np.random.default_rng(5), points, lambda point: 0.0), {"n": 10})
    assert [effect.value for effect in table] == ["10", "2", "5", UNSET]
    assert {effect.reference for effect in table} == {"10"}


def test_few_numbers_are_values_and_many_are_thirds():
    for count, seen in ((MOST_VALUES, MOST_VALUES), (MOST_VALUES + 1, 3)):
        points = [{"n": n} for n in range(count)]
        assert len(effects(tried(np.random.default_rng(6), points, lambda point: 0.0), points[0])) == seen


def test_what_does_not_vary_has_no_effect():
    assert varying([{"a": 1, "b": 2}, {"a": 1, "b": 3}]) == ["b"]
    assert effects([SweepRun({"a": 1}, 1, 0.5), SweepRun({"a": 1}, 2, 0.6)], {"a": 1}) == []


def test_values_are_named_as_readers_see_them():
    assert [value_name(value) for value in (0.001, 10, "bce", "", True)] == ["0.001", "10", "bce", "(empty)", "True"]


def test_the_planted_effect_is_found_and_alone():
    draws = [
        sure(tried(np.random.default_rng(seed), GRID, lambda p: 0.03 * (p["front_end"] == "pcen")))
        for seed in range(20)
    ]
    assert sum(("front_end", "pcen") in each for each in draws) >= 18
    assert sum(bool(each - {("front_end", "pcen")}) for each in draws) <= 4


def test_where_nothing_was_planted_nothing_is_found():
    draws = [sure(tried(np.random.default_rng(seed), GRID, lambda point: 0.0)) for seed in range(60)]
    assert sum(map(bool, draws)) <= 9
