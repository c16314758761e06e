"""Boards: partitions keep sites and days whole, and simulated competitions of a known result give that result."""

import numpy as np
import pytest

from lib.competition.row_ids import row_ids, split_row_id
from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.judge.metric import class_auc
from lib.judge.studies.leaderboard import (
    AVERAGE,
    BEST_PUBLIC,
    SimulatedBoard,
    draw_partitions,
    picks_by_rule,
    recommend,
    regret_table,
    shake_up_stats,
    simulate_board,
)


def contest(groups, files_a_group=1, classes=3, seed=0):
    """Labels of some files of each site and day, and their number of rows."""
    rng = np.random.default_rng(seed)
    stems = [f"BC2026_Test_{g:03d}{f}_S01_{20250000 + g}_0{f}0000" for g in range(groups) for f in range(files_a_group)]
    rows = [row for stem in stems for row in row_ids(stem)]
    return Labels(rng.random((len(rows), classes)) < 0.3, rows, [f"c{n}" for n in range(classes)])


def entry(labels, strength, seed):
    noise = np.random.default_rng(seed).normal(size=labels.values.shape)
    return Scores(strength * labels.values + noise, labels.row_ids, labels.classes, "logit")


def board_of(public, private):
    return SimulatedBoard(tuple(f"e{n}" for n in range(np.shape(public)[1])), np.array(public), np.array(private))


def test_partitions_never_split_a_site_and_day_and_three_tenths_of_the_files_are_public():
    labels = contest(20, files_a_group=3)
    groups, public = draw_partitions(labels, count=500, seed=1)
    owners = {}
    for row, group in zip(labels.row_ids, groups, strict=True):
        owners.setdefault(split_row_id(row)[0].group, set()).add(group)
    assert len(owners) == public.shape[1] == 20
    assert all(len(found) == 1 for found in owners.values())
    assert set(public.sum(axis=1)) == {6}
    assert public.any(axis=0).all()


def test_both_sides_have_a_recording_however_few_there_are():
    whole = contest(2, files_a_group=9)
    uneven = whole.take(whole.row_ids[: 10 * 12])  # nine files of one day, one of another
    for labels in (whole, uneven):
        assert (draw_partitions(labels, count=50, seed=0)[1].sum(axis=1) == 1).all()
    with pytest.raises(BadInput, match="too few recordings"):
        draw_partitions(contest(1), count=1, seed=0)


def test_a_side_has_the_metrics_score_of_its_rows():
    labels = contest(8)
    scores = entry(labels, 1.0, seed=1)
    board = simulate_board(labels, {"a": scores}, count=20, seed=3)
    groups, public = draw_partitions(labels, count=20, seed=3)
    for n in range(20):
        for side, found in ((public[n], board.public), (~public[n], board.private)):
            rows = side[groups]
            expected = np.nanmean(class_auc(labels.values[rows], scores.values[rows]))
            assert found[n, 0] == pytest.approx(expected, abs=1e-5)


def test_the_same_seed_gives_the_same_board_and_another_another():
    labels = contest(8)
    named = {"a": entry(labels, 1.0, seed=1)}
    first, again, other = (simulate_board(labels, named, count=20, seed=seed).public for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_with_identical_recordings_the_public_best_is_always_the_private_best():
    one = contest(1)
    labels = contest(12)
    labels = Labels(np.tile(one.values, (12, 1)), labels.row_ids, labels.classes)
    named = {}
    for n in range(4):
        values = np.tile(entry(one, n / 2, seed=n).values, (12, 1))
        named[f"e{n}"] = Scores(values, labels.row_ids, labels.classes, "logit")
    shake = shake_up_stats(simulate_board(labels, named, count=200))
    assert shake.best_stays == 1.0
    assert shake.mean_rank_change == 0.0
    assert shake.leader_private_rank == 1.0
    assert shake.leader_lost == pytest.approx(0.0, abs=1e-5)


def test_among_noisy_twins_the_public_best_is_regretted_more_than_their_average():
    labels = contest(30, classes=6)
    twins = {f"e{n}": entry(labels, 0.5, seed=n) for n in range(8)}
    mean = np.mean([scores.values for scores in twins.values()], axis=0)
    named = twins | {AVERAGE: Scores(mean, labels.row_ids, labels.classes, "logit")}
    board = simulate_board(labels, twins | {AVERAGE: named[AVERAGE]}, count=300)
    flat = dict.fromkeys(named, 0.5)
    only_twins = SimulatedBoard(board.entries, np.where(np.arange(9) == 8, -1.0, board.public), board.private)
    picked = picks_by_rule(only_twins, flat, flat)  # the public best of the twins alone
    table = regret_table(board, picked).set_index("rule")
    assert table["mean regret"][BEST_PUBLIC] > table["mean regret"]["average blend"] + 0.01


def test_pure_noise_turns_round_so_its_public_best_is_regretted_more_than_the_average_entry():
    """What is won by chance on one part of fixed files is missing in the other."""
    labels = contest(30, classes=6)
    board = simulate_board(labels, {f"e{n}": entry(labels, 0.0, seed=n) for n in range(8)}, count=1000)
    average = board.private.max(axis=1) - board.private.mean(axis=1)
    assert board.regret(board.public.argmax(axis=1)).mean() > average.mean()
    assert shake_up_stats(board).leader_lost > 0.01


def test_shake_up_counts_places():
    shake = shake_up_stats(board_of([[0.9, 0.8, 0.7]] * 2, [[0.7, 0.8, 0.9], [0.9, 0.8, 0.7]]))
    assert shake.best_stays == 0.5
    assert shake.mean_rank_change == pytest.approx((2 + 0 + 2) / 6)
    assert shake.leader_private_rank == 2.0
    assert shake.leader_lost == pytest.approx((0.2 + 0.0) / 2)


def test_each_rule_picks_by_its_definition():
    board = SimulatedBoard(("a", "b", AVERAGE), np.array([[0.9, 0.5, 0.6], [0.5, 0.6, 0.55]]), np.zeros((2, 3)))
    picked = picks_by_rule(board, {"a": 0.6, "b": 0.8, AVERAGE: 0.75}, {"a": 0.1, "b": 0.2, AVERAGE: 0.1})
    assert picked[BEST_PUBLIC].tolist() == [0, 1]
    assert picked["best offline"] == 1
    assert picked["best lower bound offline"] == 2
    assert picked["average blend"] == 2
    assert picked["best public and offline"].tolist() == [0, 1]


def test_safe_is_of_the_smallest_bad_regret_and_bold_what_adds_most_to_it():
    private = np.array([[0.70, 0.60, 0.72], [0.70, 0.60, 0.72], [0.70, 0.80, 0.60], [0.70, 0.80, 0.60]])
    board = SimulatedBoard(("steady", "late", "early"), private, private)
    picked = {BEST_PUBLIC: np.array([2, 2, 2, 2]), "steady": np.array(0), "late": np.array(1)}
    advice = recommend(board, picked)
    assert (advice.safe, advice.bold) == ("steady", "late")
    assert "0.010" in advice.reasons[1]  # .02 below in two of four partitions, 0 in the others
