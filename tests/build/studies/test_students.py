"""The table of students: gains seed by seed against the control, and over redrawn recordings."""

import numpy as np
import pytest

from build.studies.students import CONTROL, _reach, variant_table
from lib.competition.row_ids import row_ids
from lib.competition.scores import Labels, Scores

STEMS = [f"BC2026_Train_{n:04d}_S0{n % 3 + 1}_2024010{n % 9 + 1}_060000" for n in range(12)]
ROWS = [row for stem in STEMS for row in row_ids(stem)]


def case(strength, seed):
    rng = np.random.default_rng(7)
    truth = rng.random((len(ROWS), 3)) < 0.3
    noise = np.random.default_rng(seed).normal(size=truth.shape)
    values = 1 / (1 + np.exp(-(strength * truth + noise)))
    return Labels(truth, ROWS, list("abc")), Scores(values.astype(np.float32), ROWS, list("abc"), "prob")


def test_a_better_variant_gains_over_every_seed_and_an_equal_one_gains_nothing():
    truth = case(1, 0)[0]
    scores = {
        CONTROL: {seed: case(1.0, seed)[1] for seed in (1, 2, 3)},
        "better": {seed: case(2.0, seed)[1] for seed in (1, 2, 3)},
        "equal": {seed: case(1.0, seed)[1] for seed in (1, 2, 3)},
    }
    rows = variant_table(scores, truth).set_index("variant")
    assert rows.loc["equal", "gain"] == "+0.000"
    assert rows.loc["equal", "90 % over recordings"] == "[0.000, 0.000]"
    low, high = (float(part) for part in rows.loc["better", "90 % over seeds"].strip("[]").split(","))
    assert 0 < low < float(rows.loc["better", "gain"]) < high
    assert rows.loc[CONTROL, "gain"] == ""


def test_one_seed_has_no_interval_and_two_equal_ones_have_one_of_no_width():
    assert np.isnan(_reach(np.array([0.1])))
    assert _reach(np.array([0.1, 0.1])) == pytest.approx(0)
    assert _reach(np.array([0.0, 0.1])) == pytest.approx(6.3138 * 0.05, abs=1e-3)  # Student's t, one degree, 90 %
