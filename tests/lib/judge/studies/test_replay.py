"""Replays take the same small part each time, keep rare classes, and measure their agreement with full validation."""

import numpy as np
import pandas as pd
import pytest

from lib.core.errors import BadInput
from lib.judge.studies.replay import ReplaySettings, replay_agreement, replay_subset, triage
from lib.judge.studies.separation import mean_place, separation


def tables():
    """Ten soundscapes in five folds, of which one alone has a rare class; forty clips of two classes."""
    labels = [("common",)] * 9 + [("common", "rare")]
    windows = pd.DataFrame({"stem": [f"s{n}" for n in range(10)], "labels": labels})
    clips = pd.DataFrame({"filename": [f"c{n}" for n in range(40)], "primary_label": ["common"] * 38 + ["rare"] * 2})
    return clips, windows, np.arange(10) % 5


@pytest.mark.parametrize("most", [1, 3, 10])
def test_the_soundscape_of_a_rare_class_is_always_kept(most):
    subset = replay_subset(*tables(), ReplaySettings(soundscapes=most, clips_a_class=3))
    assert "s9" in subset.stems
    assert len(subset.stems) == most


def test_each_class_keeps_its_clips_up_to_the_limit():
    subset = replay_subset(*tables(), ReplaySettings(clips_a_class=3))
    rare = {"c38", "c39"}
    assert rare < subset.clips
    assert len(subset.clips - rare) == 3


def test_the_folds_with_most_classes_are_held_out():
    assert replay_subset(*tables(), ReplaySettings(folds=2)).folds == (0, 4)  # fold 4 has the rare class


def test_the_order_of_the_rows_does_not_matter():
    clips, windows, folds = tables()
    settings = ReplaySettings(soundscapes=4, clips_a_class=2)
    turned = replay_subset(clips[::-1], windows[::-1], folds[::-1], settings)
    assert turned == replay_subset(clips, windows, folds, settings)


def test_an_idea_is_promoted_parked_or_killed_by_its_gain():
    verdicts = triage({"base": 0.60, "better": 0.61, "near": 0.59, "far": 0.5}, "base", ReplaySettings())
    assert verdicts == {"base": "promote", "better": "promote", "near": "park", "far": "kill"}


def test_agreement_is_spearmans_with_an_interval_that_narrows_with_more_ideas():
    rng = np.random.default_rng(0)
    widths = []
    for count in (8, 200):
        a = rng.normal(size=count)
        found = replay_agreement(a, a + rng.normal(size=count))
        assert found.interval.low < found.spearman < found.interval.high
        widths.append(found.interval.high - found.interval.low)
    assert widths[1] < widths[0] / 3
    assert replay_agreement([1, 2, 3, 4, 5], [1, 4, 9, 16, 25]).spearman == pytest.approx(1.0)
    with pytest.raises(BadInput, match="too few ideas"):
        replay_agreement([1, 2, 3, 4], [1, 2, 3, 4])


def test_the_interval_holds_the_true_rank_correlation_nine_times_in_ten():
    rng = np.random.default_rng(1)
    pair = [rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=16) for _ in range(600)]
    true = 6 / np.pi * np.arcsin(0.7 / 2)
    intervals = [replay_agreement(a, b).interval for a, b in (sample.T for sample in pair)]
    assert 0.86 <= np.mean([sure.low <= true <= sure.high for sure in intervals]) <= 0.95


def test_a_family_that_flatters_fragile_ideas_shows_it():
    truth = {"r1": 0.80, "r2": 0.70, "r3": 0.65, "f1": 0.60, "f2": 0.55}
    fragile = {"f1", "f2"}
    honest = {name: score - 0.05 for name, score in truth.items()}
    flattered = honest | {"f1": 0.90, "f2": 0.85}
    good, bad = separation(honest, truth, fragile), separation(flattered, truth, fragile)
    assert good["Spearman"] == pytest.approx(1.0)
    assert good["right pairs"] == 1.0
    assert good["optimism, fragile"] == pytest.approx(-0.05)
    assert bad["right pairs"] == 0.0
    assert bad["optimism, fragile"] == pytest.approx(0.30)
    assert bad["optimism, robust"] == pytest.approx(-0.05)
    assert (good["fragile place"], bad["fragile place"]) == (4.5, 1.5)
    assert mean_place(truth, fragile) == 4.5
