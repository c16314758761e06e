"""Test families of folds, the replay and rules for final picks, on ideas of which some are fragile by design.

python -m build.studies.stability                          the miniature of `make demo`, against its hidden test
python -m build.studies.stability --data DIR --runs DIR    any other, against a shadow split: unseen sites
"""

import time
from pathlib import Path

import numpy as np
import pandas as pd

from build.cli.exit_codes import Parser, end, tool
from build.pages.page import PagePart, write_page
from build.project import ROOT
from lib.blend.mix import mix
from lib.competition.fold_families import FAMILIES
from lib.competition.prepared import load_prepared
from lib.competition.scores import Labels, Scores
from lib.competition.tables import read_solution
from lib.core.paths import find_artifact
from lib.core.progress import progress
from lib.judge.bootstrap import scores_with_intervals
from lib.judge.metric import judge
from lib.judge.studies.leaderboard import (
    AVERAGE,
    picks_by_rule,
    recommend,
    regret_table,
    shake_up_stats,
    simulate_board,
)
from lib.judge.studies.replay import ReplaySettings, replay_agreement, triage
from lib.judge.studies.separation import mean_place, separation
from lib.learn.fold_study.baselines import BASELINE, IDEAS
from lib.learn.fold_study.study import PRIMARY, FoldStudy, study_on_hidden_test, study_on_shadow_split
from lib.show import fold_study as figures

FRAGILE = {idea.name for idea in IDEAS if idea.fragile}
RANDOM_BLENDS = 24


def families_table(judged: dict[str, dict[str, float]], true: dict[str, float]) -> pd.DataFrame:
    """One row a family, and one for the truth."""
    rows = [{"family": family, **separation(scores, true, FRAGILE)} for family, scores in judged.items()]
    truth = {"family": "the truth", "fragile place": mean_place(true, FRAGILE)}
    return pd.DataFrame([*rows, truth])


def board_entries(true: dict[str, Scores], labels: Labels, offline: dict[str, Scores]) -> tuple[dict, dict, dict]:
    """The simulated board's entries: the ideas' better half out of fold, their average and random blends.

    Returns each entry's scores on the hidden test, its offline score, and how far below it the interval reaches.
    """
    macro = {name: judge(labels, scores).macro for name, scores in offline.items()}
    names = sorted(macro, key=macro.__getitem__, reverse=True)[: len(macro) // 2]
    drawn = np.random.default_rng(0).dirichlet(np.ones(len(names)), RANDOM_BLENDS)
    recipes = {AVERAGE: np.full(len(names), 1 / len(names))}
    recipes |= {f"blend {number}": weights for number, weights in enumerate(drawn, start=1)}
    tested, entered = ({name: side[name] for name in names} for side in (true, offline))
    for parts in (tested, entered):
        blends = {
            name: mix([parts[member] for member in names], recipe.tolist(), space="rank")
            for name, recipe in recipes.items()
        }
        parts.update(blends)
    scored = scores_with_intervals(labels, entered)
    score = {name: each.macro for name, each in scored.items()}
    return tested, score, {name: each.macro - each.low for name, each in scored.items()}


@tool
def main(arguments: list[str] | None = None) -> int:
    """Print the three tables and write the page."""
    parser = Parser(__doc__)
    mini = ROOT / "data/mini"
    parser.add_argument("--data", type=Path, default=mini / "public/birdclef-2026", help="the competition folder")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/mini", help="where the notebooks' outputs are")
    parser.add_argument("--competition-with-test", type=Path, help="the same with test soundscapes")
    parser.add_argument("--solution", type=Path, help="their labels")
    parser.add_argument("--page", type=Path, default=ROOT / "dist/stability.html", help="where the page goes")
    given = parser.parse_args(arguments)
    if (given.solution is None) != (given.competition_with_test is None):
        parser.error("--solution and --competition-with-test go together")
    if given.data.resolve() == mini / "public/birdclef-2026" and given.solution is None:
        given.solution, given.competition_with_test = mini / "hidden/solution.csv", mini / "rerun/birdclef-2026"
    prepared = load_prepared(find_artifact("prepared", str(given.runs)))
    if given.solution is None:
        trial = study_on_shadow_split(prepared, given.data)
    else:
        labels = read_solution(given.solution, prepared.classes)
        trial = study_on_hidden_test(prepared, given.data, given.competition_with_test / "test_soundscapes", labels)
    report(trial, given.page)
    return 0


def report(trial: FoldStudy, page: Path) -> None:
    """Print and write the families' table, the replay's agreement, and the board."""
    true = trial.true_scores()
    full, judged, seconds = {}, {}, {}
    for family in progress(FAMILIES, "families of folds", len(FAMILIES)):
        start = time.perf_counter()
        full[family] = trial.cross_validate(family)
        seconds[family] = time.perf_counter() - start
        judged[family] = macros(*full[family])
    settings = ReplaySettings()
    start = time.perf_counter()
    quick = trial.replay(settings)
    cost = (time.perf_counter() - start) / seconds[PRIMARY]
    parts = [
        *families_parts(trial, judged, macros(trial.truth, true)),
        *replay_parts(macros(*quick), judged[PRIMARY], settings, cost),
        *board_parts(trial, *board_entries(true, *full[PRIMARY])),
    ]
    for part in parts:
        if isinstance(part, pd.DataFrame):
            print(part.to_string(index=False, float_format=lambda value: f"{value:.3f}", na_rep="–"))
        elif isinstance(part, str):
            print(part.replace("# ", "\n"))
    write_page(page, "Stability", parts)
    print(f"page: {page}")


def macros(labels: Labels, scores: dict[str, Scores]) -> dict[str, float]:
    """The macro score of each."""
    return {name: judge(labels, part).macro for name, part in scores.items()}


def families_parts(trial: FoldStudy, judged: dict[str, dict[str, float]], true: dict[str, float]) -> list[PagePart]:
    """The page's part on families: the table, the figure, and every idea."""
    kinds = ["fragile" if name in FRAGILE else "robust" for name in true]
    ideas = pd.DataFrame({"truth": true} | judged).rename_axis("idea").reset_index()
    ideas.insert(1, "by design", kinds)
    agreement = {name: replay_agreement(list(scores.values()), list(true.values())) for name, scores in judged.items()}
    closest = max(agreement, key=lambda name: agreement[name].spearman)
    worse = [name for name in agreement if agreement[name].interval.high < agreement[closest].interval.low]
    windows = trial.data.windows
    return [
        "# Which folds separate robust ideas from fragile ones",
        f"{len(IDEAS)} ideas, {len(FRAGILE)} of them fragile by design: they detect the place or the recording rather "
        f"than the animal. Each is scored out of fold in each family of folds, and on {trial.where}, which is taken as "
        "the truth. The interval of the rank correlation is for further ideas like these.",
        f"Closest to the truth is '{closest}'; clearly worse: {', '.join(worse) or 'none'}. There are "
        f"{windows.stem.nunique()} soundscapes of {windows.group.nunique()} sites and days: where the two numbers are "
        "near each other, whole soundscapes at random are nearly whole sites and days.",
        families_table(judged, true),
        figures.family_figure(judged, true, FRAGILE, trial.where),
        ideas.sort_values("truth", ascending=False),
    ]


def replay_parts(
    quick: dict[str, float], full: dict[str, float], settings: ReplaySettings, cost: float
) -> list[PagePart]:
    """The page's part on the replay: its rank correlation with full validation, and what triage would have cost."""
    agreement = replay_agreement(list(quick.values()), list(full.values()))
    verdicts = triage(quick, BASELINE, settings)
    better = {name for name in full if full[name] > full[BASELINE]}
    rows = []
    for verdict in ("promote", "park", "kill"):
        named = {name for name in verdicts if verdicts[name] == verdict} - {BASELINE}
        rows.append({"verdict": verdict, "ideas": len(named), "better than the baseline in full": len(named & better)})
    return [
        "# Can a replay replace full validation?",
        f"The replay takes {cost:.0%} of the time of full validation and orders the ideas with a rank correlation of "
        f"{agreement.spearman:.2f} {agreement.interval}. An idea is promoted at a gain of {settings.promote:+.2f} over "
        f"'{BASELINE}' and killed below {settings.kill:+.2f}.",
        pd.DataFrame(rows),
        figures.replay_figure(quick, full, BASELINE, FRAGILE, settings),
    ]


def board_parts(
    trial: FoldStudy, tested: dict[str, Scores], offline: dict[str, float], margin: dict[str, float]
) -> list[PagePart]:
    """The page's part on the leaderboard: the shake-up, the regret of each rule, and the two final picks."""
    board = simulate_board(trial.truth, tested)
    picked = picks_by_rule(board, offline, margin)
    shake, advice = shake_up_stats(board), recommend(board, picked)
    files = len({row.rpartition("_")[0] for row in trial.truth.row_ids})
    table = regret_table(board, picked)
    return [
        "# What the public board is worth",
        f"{len(board.entries)} entries on {len(board.public)} partitions of the {files} soundscapes of {trial.where}, "
        f"three tenths public, sites and days whole. The public best is the private best in {shake.best_stays:.0%} of "
        f"them and ends at place {shake.leader_private_rank:.1f} on average; entries move by "
        f"{shake.mean_rank_change:.1f} places, and the leader loses {shake.leader_lost:.3f} more than the mean entry.",
        table,
        figures.regret_of_rules(table),
        figures.leader_private_ranks(board),
        *advice.reasons,
    ]


if __name__ == "__main__":
    end(main)
