"""Climb the ladder: score every member and every recipe on the hidden test of a miniature competition.

python -m build.ladder                                   the miniature competition of `make demo`
python -m build.ladder --competition DIR --solution CSV  any other with the same layout
"""

from pathlib import Path

import pandas as pd

from build.cli.exit_codes import Parser, end, tool
from build.notebooks.source import display_path
from build.pages.page import write_page
from build.project import ROOT
from lib.blend.costs import seconds_together
from lib.blend.member_costs import mean_weights, recipe_member, used_members
from lib.blend.recipe import Recipe, RecipeMember, load_recipes
from lib.competition.classes import ClassList, read_class_list
from lib.competition.prepared import load_prepared
from lib.competition.tables import read_solution
from lib.core.paths import find_artifact, find_artifacts
from lib.judge.bootstrap import ScoreWithInterval, score_table, scores_with_intervals
from lib.judge.compare import paired_interval
from lib.judge.leakage import judge_member
from lib.models.member.open import Member, open_member
from lib.show.plots import ladder
from lib.submit.budget import Clock
from lib.submit.engine import execute, open_members, prior_scores
from lib.submit.rows import required_rows
from lib.submit.stream import score_soundscapes

STANDIN_NOTE = (
    "Rungs marked stand-in run on an embedder that the project makes in place of Perch: their scores show that the "
    "chain works, and mean nothing for Perch."
)


def climb(competition: Path, solution: Path, runs: Path) -> tuple[pd.DataFrame, list[str]]:
    """Score every member and recipe on the hidden test: one row a rung, and a sentence a recipe.

    The row holds the out-of-fold score, the hidden-test score with its interval, the cost, and whether a stand-in
    embedder had a part in it. The sentence compares the blend with the member that turned out best, and its searched
    score with the nested one.
    """
    classes = read_class_list(competition)
    labels = read_solution(solution, classes)
    prepared = load_prepared(find_artifact("prepared", str(runs)))
    folders = {folder.name: folder for folder in find_artifacts("member", str(runs))}
    recipes = load_recipes(find_artifact("recipes", str(runs)))
    members, recipe_members = _open_all(recipes, folders, classes)
    required = required_rows(competition)
    prior = prior_scores(required.row_ids, members[recipes[0].prior], classes)
    result = score_soundscapes(required.soundscapes, members, list(recipe_members.values()), prior, Clock())
    parts = dict(sorted(result.member_scores.items()))
    scored = scores_with_intervals(
        labels, parts | {_rung(recipe): execute(recipe, result).scores for recipe in recipes}
    )
    out_of_fold = {
        name: judge_member(
            folders[name], prepared.labels, prepared.folds, related=prepared.related, others=folders
        ).macro
        for name in parts
    }
    cost = {name: 1000 * member.card.measured.seconds_per_soundscape for name, member in members.items()}
    standins = {name for name, member in members.items() if member.card.config.get("standin")}
    marks = {name: "yes" for name in standins}
    for recipe in recipes:
        out_of_fold[_rung(recipe)] = recipe.score
        cost[_rung(recipe)] = 1000 * seconds_together(recipe.members)
        marks[_rung(recipe)] = _standin_share(recipe, standins.intersection(used_members(recipe)), classes)
    rows = score_table(scored, {"out of fold": out_of_fold, "ms per soundscape": cost, "stand-in": marks})
    rows["stand-in"] = rows["stand-in"].fillna("")
    best = max(parts, key=lambda name: scored[name].macro)
    return rows, [_verdict(recipe, best, scored) for recipe in recipes]


def _open_all(
    recipes: list[Recipe], folders: dict[str, Path], classes: ClassList
) -> tuple[dict[str, Member], dict[str, RecipeMember]]:
    """The opened members, and their costs, of all recipes and of the folders that no recipe uses."""
    members: dict[str, Member] = {}
    recipe_members: dict[str, RecipeMember] = {}
    for recipe in recipes:
        members |= open_members(recipe, list(folders.values()), classes).members
        recipe_members |= {member.name: member for member in recipe.members}
    for name in folders.keys() - members.keys():  # their rungs are worth seeing all the same
        members[name] = open_member(folders[name], classes)
        recipe_members[name] = recipe_member(members[name].card, folders[name])
    return members, recipe_members


def _standin_share(recipe: Recipe, standins: set[str], classes: ClassList) -> str:
    """The weight in a recipe of members on a stand-in embedder, as the table shows it; empty without such members."""
    weights = mean_weights(recipe, classes.labels)
    return f"{sum(weights[name] for name in standins):.0%} of weight" if standins else ""


def _verdict(recipe: Recipe, best: str, scored: dict[str, ScoreWithInterval]) -> str:
    """A sentence: the gain of the recipe's blend over that member on the hidden test, and what was searched."""
    rung, macro = _rung(recipe), {name: each.macro for name, each in scored.items()}
    sure = paired_interval(macro, {name: each.drawn for name, each in scored.items()}, rung, best)
    gain = f"{rung} - {best}: {macro[rung] - macro[best]:+.3f} {sure}"
    if recipe.searched_score is None:
        return f"{gain}; nothing was searched"
    return f"{gain}; searched {recipe.searched_score:.3f}, nested {recipe.score:.3f}"


def _rung(recipe: Recipe) -> str:
    """The name of a recipe's blend on the ladder."""
    return f"{recipe.name} blend"


@tool
def main(arguments: list[str] | None = None) -> int:
    """Print the ladder and write its page; 0 when it could be climbed."""
    parser = Parser(__doc__)
    parser.add_argument(
        "--competition", type=Path, default=ROOT / "data/mini/rerun/birdclef-2026", help="with test files"
    )
    parser.add_argument(
        "--solution", type=Path, default=ROOT / "data/mini/hidden/solution.csv", help="labels of its test"
    )
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/mini", help="where the notebooks' outputs are")
    parser.add_argument("--page", type=Path, default=ROOT / "dist/ladder.html", help="where the page goes")
    options = parser.parse_args(arguments)
    rows, verdicts = climb(options.competition, options.solution, options.runs)
    table = pd.DataFrame(
        {
            "rung": rows.name,
            "out of fold": rows["out of fold"],
            "hidden test": rows.score,
            "90 % interval": [f"[{low:.3f}, {high:.3f}]" for low, high in zip(rows.low, rows.high, strict=True)],
            "classes": rows.classes,
            "ms per soundscape": rows["ms per soundscape"],
            "stand-in": rows["stand-in"],
        }
    )
    notes = [STANDIN_NOTE] if (rows["stand-in"] != "").any() else []
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    print(*notes, *verdicts, sep="\n")
    prose = "Macro ROC-AUC on the hidden test soundscapes, with 90 % intervals over redrawn recordings."
    figure = ladder(rows.assign(name=rows.name.where(rows["stand-in"] == "", rows.name + " (stand-in)")))
    write_page(options.page, "The ladder", [prose, *notes, figure, table, *verdicts])
    print(f"page: {display_path(options.page)}")
    return 0


if __name__ == "__main__":
    end(main)
