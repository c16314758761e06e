"""Leaderboard simulation: what a public board of a third of the files rewards, and what it costs.

Recordings of one site and day always fall on one side. A partition is a 0/1 count of each group, so that thousands are
a few matrix products on the same tables of won pairs that the intervals use.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.competition.row_ids import split_row_id
from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.judge.bootstrap import LEVEL, macro_of_draws, recording_groups

PUBLIC_SHARE = 0.3  # of the test files, as in the contest
AVERAGE = "average"  # the entry that is the plain blend of all members
BEST_PUBLIC = "best public"


@dataclass(frozen=True, eq=False)
class SimulatedBoard:
    """Scores of each entry on both sides of each partition: `public` and `private` (partitions, entries)."""

    entries: tuple[str, ...]
    public: np.ndarray
    private: np.ndarray

    def regret(self, picks: np.ndarray) -> np.ndarray:
        """(partitions,) the private best minus the private score of the entry picked, one a partition or for all."""
        picks = np.broadcast_to(picks, len(self.private))
        return self.private.max(axis=1) - self.private[np.arange(len(picks)), picks]


def draw_partitions(labels: Labels, *, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows,) each row's recording group, and (count, groups) booleans: True where a group is public.

    Groups are drawn in random order until about three tenths of the files are public; both sides get at least one.
    """
    groups = recording_groups(labels)
    files = pd.Series([split_row_id(row)[0].stem for row in labels.row_ids]).groupby(groups).nunique().to_numpy()
    if len(files) < 2:
        raise BadInput(
            "too few recordings to split into public and private",
            expected="at least two sites or days",
            got=f"{len(files)}",
            do="simulate on more soundscapes",
        )
    rng = np.random.default_rng(seed)
    order = np.argsort(rng.random((count, len(files))), axis=1)
    before = np.cumsum(files[order], axis=1) - files[order] / 2
    drawn = before <= PUBLIC_SHARE * files.sum()
    drawn[:, 0] = True  # even where the first is large; the last never is public, as half of it lies beyond
    public = np.empty_like(drawn)
    np.put_along_axis(public, order, drawn, axis=1)
    return groups, public


def simulate_board(labels: Labels, named: dict[str, Scores], *, count: int = 2000, seed: int = 0) -> SimulatedBoard:
    """The entries' scores on both sides of many partitions, each side over the classes that it can score."""
    groups, public = draw_partitions(labels, count=count, seed=seed)
    tables = [scores.take(labels.row_ids).values for scores in named.values()]
    sides = []
    for side in (public, ~public):
        drawn = side.astype(np.float32)
        sides.append(np.stack([macro_of_draws(labels, groups, table, drawn) for table in tables], axis=1))
    usable = np.isfinite(sides[0][:, 0]) & np.isfinite(sides[1][:, 0])  # a side may hold no class to score
    return SimulatedBoard(tuple(named), sides[0][usable], sides[1][usable])


@dataclass(frozen=True)
class ShakeUpStats:
    """Statistics of the shake-up between the public and the private board."""

    best_stays: float  # share of partitions in which a public best is a private best
    mean_rank_change: float  # places, over all entries
    leader_private_rank: float  # mean place of the public leader on the private board
    leader_lost: float  # the public leader's loss beyond the mean entry's


def shake_up_stats(board: SimulatedBoard) -> ShakeUpStats:
    """The shake-up over all partitions; ties share the better place."""
    places = [1 + (side[:, None, :] > side[:, :, None]).sum(axis=2) for side in (board.public, board.private)]
    leader = board.public.argmax(axis=1)
    rows = np.arange(len(leader))
    change = board.private - board.public
    return ShakeUpStats(
        best_stays=float((board.regret(leader) <= 1e-9).mean()),
        mean_rank_change=float(np.abs(places[0] - places[1]).mean()),
        leader_private_rank=float(places[1][rows, leader].mean()),
        leader_lost=float((change.mean(axis=1) - change[rows, leader]).mean()),
    )


def picks_by_rule(board: SimulatedBoard, offline: dict[str, float], margin: dict[str, float]) -> dict[str, np.ndarray]:
    """The entry that each rule picks: one a partition, or one for all.

    `offline` is each entry's out-of-fold score; `margin` how far below it the interval reaches.
    """
    score, below = (np.array([table[name] for name in board.entries]) for table in (offline, margin))
    return {
        BEST_PUBLIC: board.public.argmax(axis=1),
        "best offline": score.argmax(),
        "best lower bound offline": (score - below).argmax(),
        "best public and offline": (_subtract_mean(board.public) + (score - score.mean())).argmax(axis=1),
        "average blend": np.array(board.entries.index(AVERAGE)),
    }


def _subtract_mean(side: np.ndarray) -> np.ndarray:
    """Each partition's scores minus the mean entry's."""
    return side - side.mean(axis=1, keepdims=True)


def regret_table(board: SimulatedBoard, picked: dict[str, np.ndarray]) -> pd.DataFrame:
    """One row a rule: its mean regret, the regret's 90 % quantile, how often it picks the private best."""
    found = {rule: board.regret(picks) for rule, picks in picked.items()}
    return pd.DataFrame(
        {
            "rule": rule,
            "mean regret": regret.mean(),
            "at worst, 9 in 10": np.quantile(regret, LEVEL),
            "private best": (regret <= 1e-9).mean(),
            "picks": board.entries[int(picked[rule])] if picked[rule].ndim == 0 else "by partition",
        }
        for rule, regret in found.items()
    )


@dataclass(frozen=True)
class FinalPicks:
    """The rules for the two final submissions, with a reason each."""

    safe: str
    bold: str
    reasons: tuple[str, str]


def recommend(board: SimulatedBoard, picked: dict[str, np.ndarray]) -> FinalPicks:
    """The safe pick, of the smallest 90 % quantile of regret, and the bold one, which adds most to it.

    The better of the two final submissions counts.
    """
    found = {rule: board.regret(picks) for rule, picks in picked.items()}
    worst = {rule: float(np.quantile(regret, LEVEL)) for rule, regret in found.items()}
    safe = min(worst, key=worst.__getitem__)
    pair = {rule: float(np.minimum(found[safe], regret).mean()) for rule, regret in found.items() if rule != safe}
    bold = min(pair, key=pair.__getitem__)
    return FinalPicks(
        safe,
        bold,
        (
            f"Safe is {safe}: nine times in ten it ends at most {worst[safe]:.3f} below the private best, "
            f"{BEST_PUBLIC} {worst[BEST_PUBLIC]:.3f}.",
            f"Bold is {bold}: beside the safe pick it lowers the expected regret of the better of the two "
            f"from {found[safe].mean():.3f} to {pair[bold]:.3f}.",
        ),
    )
