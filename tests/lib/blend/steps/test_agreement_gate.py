"""The public gates: exact on small cases, and as pandas and plain loops would have it."""

import numpy as np
import pandas as pd
import pytest

from lib.blend.mix import mix
from lib.blend.steps.agreement_gate import gate_sustained, gate_window
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores
from lib.core.errors import BadInput

ROWS = [row for n in range(5) for row in row_ids(f"BC2026_Test_{n:04d}_S01_20250101_0{n}0000")]
CLASSES = list("abc")
OFFSETS = np.arange(-3, 4)
KERNEL = (1 + (OFFSETS / 1.2) ** 2 / 2) ** -1.5
KERNEL = (KERNEL / KERNEL.sum()).tolist()


def members(seed):
    values = np.random.default_rng(seed).random((2, len(ROWS), 3)) ** 2
    return [Scores(part, ROWS, CLASSES, "prob") for part in values]


def pandas_ranks(values):
    return pd.DataFrame(values).rank(axis=0, pct=True).to_numpy()


def test_a_gate_moves_the_cells_it_opens_by_its_share_and_no_other():
    rows = list("wxyz")
    blend = Scores([[0.4], [0.4], [0.4], [0.4]], rows, ["a"], "rank")
    one = Scores([[0.9], [0.6], [0.8], [0.1]], rows, ["a"], "prob")  # ranks 1, .5, .75, .25
    other = Scores([[0.01], [0.01], [0.05], [0.01]], rows, ["a"], "prob")  # .05 is not below .05
    after = gate_window(blend, member=one, member_against=other, above=0.5, below=0.05, share=0.5)
    np.testing.assert_allclose(after.values[:, 0], [0.7, 0.45, 0.4, 0.4], rtol=1e-6)


def test_ranked_members_make_the_third_gate():
    one, other = members(3)
    ranks = [part.with_values(pandas_ranks(part.values), "rank") for part in (one, other)]
    blend = mix([one, other], [0.6, 0.4], space="rank")
    after = gate_window(blend, member=ranks[1], member_against=ranks[0], above=0.95, below=0.8, share=0.12)
    opened = (ranks[1].values > 0.95) & (ranks[0].values < 0.8)
    assert opened.any()
    expected = np.where(opened, 0.88 * blend.values + 0.12 * ranks[1].values, blend.values)
    np.testing.assert_allclose(after.values, expected, atol=1e-6)


def test_the_sustained_gate_follows_the_formula():
    one, other = members(4)
    blend = mix([one, other], [0.6, 0.4], space="rank")
    after = gate_sustained(
        blend,
        member=one,
        member_against=other,
        kernel=KERNEL,
        sustained_above=0.88,
        rank_above=0.75,
        below=0.12,
        share=0.15,
    )
    context = np.zeros_like(one.values, dtype=float)
    for first in range(0, len(ROWS), 12):
        padded = np.pad(one.values[first : first + 12], ((3, 3), (0, 0)), mode="edge")
        for window in range(12):
            context[first + window] = KERNEL @ padded[window : window + 7]
    rank, lasting = pandas_ranks(one.values), pandas_ranks(context)
    opened = (lasting > 0.88) & (rank > 0.75) & (other.values < 0.12)
    assert opened.any()
    expected = np.where(opened, 0.85 * blend.values + 0.15 * np.maximum(rank, lasting), blend.values)
    np.testing.assert_allclose(after.values, expected, atol=1e-6)


@pytest.mark.parametrize("which", ["member", "member_against"])
def test_both_members_must_fit_the_thresholds_and_the_rows(which):
    pair = dict(zip(("member", "member_against"), members(5), strict=True))
    blend = mix(list(pair.values()), [0.6, 0.4], space="rank")
    for wrong, reason in (
        (pair[which].with_values(pair[which].values, "logit"), "kind prob or rank"),
        (pair[which].take(ROWS[::-1]), "other row_ids"),
    ):
        with pytest.raises(BadInput, match=reason):
            gate_window(blend, **{**pair, which: wrong}, above=0.5, below=0.05, share=0.08)
