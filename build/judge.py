"""Judge members and blends by their stored out-of-fold scores, in seconds: nothing is fitted again.

python -m build.judge                                      all members, and the recipes that searched nothing
python -m build.judge --members l1_statistics --blend "l0_prior:0.2,l1_statistics:0.8"
python -m build.judge --reference l1_statistics --ledger   one line a candidate goes to the ledger
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from build.cli.exit_codes import Parser, end, tool
from build.project import ROOT
from build.studies.candidates import Candidate, gather_candidates
from lib.blend.recipe_file import RECIPES
from lib.competition.prepared import Prepared
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.core.paths import ledger_path
from lib.judge.bootstrap import ScoreWithInterval, scores_with_intervals
from lib.judge.compare import (
    Difference,
    MinimumEffect,
    compare_all,
    gains_by_subgroup,
    minimum_effect,
    paired_interval,
    rank_correlation,
    seed_spread,
)
from lib.judge.decisions import Decision, Evidence, decide
from lib.judge.ledger import log_run
from lib.judge.subgroups import DECISIVE, fold_spread, list_subgroups, rare_precision
from lib.submit.budget import BUDGET_MINUTES, CONTEST_SOUNDSCAPES

_PAIRS_SHOWN = 6


@dataclass(frozen=True, eq=False)
class Board:
    """All candidates on one set of rows and draws, with the decisions on them."""

    prepared: Prepared
    candidates: dict[str, Candidate]
    reference: str
    scored: dict[str, ScoreWithInterval]
    differences: dict[str, Difference]
    effect: MinimumEffect
    evidence: dict[str, Evidence]
    decisions: dict[str, Decision]
    left_out: tuple[str, ...]

    @cached_property
    def scores(self) -> dict[str, Scores]:
        """Each candidate's scores."""
        return {name: candidate.scores for name, candidate in self.candidates.items()}

    @cached_property
    def macro(self) -> dict[str, float]:
        """Each candidate's score."""
        return {name: each.macro for name, each in self.scored.items()}

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """Each candidate's redrawn scores."""
        return {name: each.drawn for name, each in self.scored.items()}

    @property
    def table(self) -> pd.DataFrame:
        """One row a candidate, best first."""
        rows = []
        for name in sorted(self.macro, key=self.macro.__getitem__, reverse=True):
            evidence, decision = self.evidence[name], self.decisions[name]
            rows.append(
                {
                    "model": name,
                    "mean": evidence.score,
                    "90 % interval": str(evidence.interval),
                    "classes": self.scored[name].classes,
                    "fold std": evidence.fold_std,
                    "rare AP": rare_precision(self.prepared.labels, self.scores[name])[0],
                    "minutes of 90": evidence.budget_share * BUDGET_MINUTES,
                    "model MB": self.candidates[name].model_mb,
                    "diversity": 1 - evidence.correlation,
                    "decision": decision.verdict,
                    "why": ". ".join(decision.reasons),
                }
            )
        return pd.DataFrame(rows)

    @property
    def seeds(self) -> dict[str, float]:
        """The standard deviation over seeds of each configuration fitted with more than one."""
        found: dict[str, list[float]] = {}
        for name, candidate in self.candidates.items():
            if candidate.card:
                found.setdefault(f"{candidate.card.family} {candidate.config}", []).append(self.macro[name])
        return seed_spread(found)


def assess(runs: Path, members: str = "all", blends: Sequence[str] = (), reference: str = "", seed: int = 0) -> Board:
    """Judge every candidate against the reference (by default the safe recipe, else the highest lower bound)."""
    prepared, candidates, left_out = gather_candidates(runs, members, blends)
    labels, scores = prepared.labels, {name: candidate.scores for name, candidate in candidates.items()}
    scored = scores_with_intervals(labels, scores, seed=seed)
    best = max(scored, key=lambda name: scored[name].low)
    reference = reference or (RECIPES[0] if RECIPES[0] in scores else best)
    if reference not in scores:
        raise BadInput(
            "the reference is not among the candidates",
            expected=f"one of {', '.join(scores)}",
            got=reference,
            do="; ".join(left_out) or "add it to --members",
        )
    macro = {name: each.macro for name, each in scored.items()}
    drawn = {name: each.drawn for name, each in scored.items()}
    differences = compare_all(macro, drawn, reference) if len(drawn) > 1 else {}
    decisive = [part for part in list_subgroups(prepared) if part.grouping in DECISIVE]
    gains = gains_by_subgroup(labels, scores, reference, decisive, seed=seed)
    stds = {name: fold_spread(labels, part).std for name, part in scores.items()}
    evidence = {}
    for name, part in scores.items():
        minutes = candidates[name].seconds_per_soundscape * CONTEST_SOUNDSCAPES / 60
        evidence[name] = Evidence(
            name=name,
            score=macro[name],
            interval=scored[name].interval,
            difference=differences.get(name),
            fold_std=stds[name],
            reference_fold_std=stds[reference],
            subgroups=tuple(gains[name]),
            budget_share=minutes / BUDGET_MINUTES,
            correlation=rank_correlation(labels, part, scores[reference]),
            weight_in_reference=candidates[reference].parts.get(name, 0.0),
        )
    decisions = {name: decide(each) for name, each in evidence.items()}
    return Board(
        prepared,
        candidates,
        reference,
        scored,
        differences,
        minimum_effect(drawn),
        evidence,
        decisions,
        tuple(left_out),
    )


def log_candidates(ledger: Path, board: Board, seed: int, seconds: float) -> None:
    """Append one ledger line a candidate, the killed ones too."""
    for name, candidate in board.candidates.items():
        log_run(
            ledger,
            f"is {name} worth it beside {board.reference}",
            board.scored[name],
            board.prepared,
            config=candidate.config,
            seed=candidate.card.seed if candidate.card else seed,
            seconds=seconds,
            tags=("judge", name),
            verdict=board.decisions[name].verdict,
        )


def report(board: Board) -> str:
    """The board as text: the table, the reasons, the pairs when there are few, and the minimum detectable gain."""
    numbers = board.table.drop(columns="why").to_string(index=False, float_format=lambda value: f"{value:.3f}")
    lines = [numbers, "", f"diversity is 1 - rank correlation with {board.reference}, the reference", ""]
    lines += [
        f"{name}: {decision.verdict}: {'. '.join(decision.reasons)}" for name, decision in board.decisions.items()
    ]
    if 1 < len(board.macro) <= _PAIRS_SHOWN:
        lines += ["", "pairwise differences, 90 %:"]
        for one, other in combinations(board.macro, 2):
            sure = paired_interval(board.macro, board.drawn, one, other)
            lines.append(f"  {one} - {other}: {board.macro[one] - board.macro[other]:+.4f} {sure}")
    lines.append("")
    for each in board.differences.values():
        chance = (
            f"; by chance {each.by_chance:.1f} of {len(board.differences)} would gain as much" if each.gain > 0 else ""
        )
        lines.append(f"{each}{chance}")
    lines.append(str(board.effect))
    lines += [f"over seeds, {config} varies by {std:.4f}" for config, std in board.seeds.items()]
    return "\n".join([*lines, *(f"left out: {text}" for text in board.left_out)])


@tool
def main(arguments: list[str] | None = None) -> int:
    """Print the board."""
    parser = Parser(__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/mini", help="where the notebooks' outputs are")
    parser.add_argument("--members", default="all", help="names with commas between, or all")
    parser.add_argument("--blend", action="append", default=[], metavar="a:0.6,b:0.4", help="may be given repeatedly")
    parser.add_argument("--reference", default="", help="what others must beat; default: the safe recipe")
    parser.add_argument("--seed", type=int, default=0, help="of the redrawn recordings")
    parser.add_argument("--ledger", action="store_true", help="append a line a candidate to the ledger")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    board = assess(options.runs, options.members, options.blend, options.reference, options.seed)
    seconds = time.perf_counter() - start
    print(report(board))
    if options.ledger:
        log_candidates(ledger_path(options.runs), board, options.seed, seconds)
        print(f"ledger: {ledger_path(options.runs)}")
    print(f"judged {len(board.macro)} in {seconds:.1f} s, nothing fitted")
    return 0


if __name__ == "__main__":
    end(main)
