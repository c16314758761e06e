"""Climb the ladder: score every member and every recipe on the hidden test of a miniature competition.

python -m build.ladder                                   the miniature competition of `make demo`
python -m build.ladder --competition DIR --solution CSV  any other with the same layout
"""

from pathlib import Path
from textwrap import fill

import pandas as pd

from build.cli.exit_codes import Parser, end, tool
from build.pages.page import PagePart, write_page
from build.project import ROOT, display_path
from lib.blend.costs import seconds_together
from lib.blend.member_costs import mean_weights, recipe_member, used_members
from lib.blend.recipe import Recipe, RecipeMember
from lib.blend.recipe_file import load_recipes
from lib.blend.search.nested import variant_scores
from lib.competition.classes import ClassList, read_class_list
from lib.competition.prepared import load_prepared
from lib.competition.tables import read_solution
from lib.core.paths import by_name, find_artifact, find_artifacts, find_competition
from lib.judge.bootstrap import ScoreWithInterval, score_table, scores_with_intervals
from lib.judge.compare import paired_interval
from lib.judge.leakage import load_oof_scores
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

GAINS_NOTE = (
    "The two do not measure the same. Out of fold, one model scores each row, that of the fold which holds it out. On "
    "the test a member is the mean of all its folds' models: a single member gains by that average too, some more "
    "than others, so that a blend's gain over it may shrink, vanish or grow."
)


def climb(competition: Path, solution: Path, runs: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score every member and recipe on the hidden test: a table of the rungs, and one of the recipes' gains.

    A rung has the out-of-fold score, the hidden-test score with its interval, the cost, and whether a stand-in
    embedder had a part in it. A gain is that over the best member, out of fold and on the hidden test.
    """
    classes = read_class_list(competition)
    labels = read_solution(solution, classes)
    prepared = load_prepared(find_artifact("prepared", str(runs)))
    folders = by_name(find_artifacts("member", str(runs)))
    recipes = load_recipes(find_artifact("recipes", str(runs)))
    members, recipe_members = _open_all(recipes, folders, classes)
    required = required_rows(competition)
    prior = prior_scores(required.row_ids, members[recipes[0].prior], classes)
    result = score_soundscapes(required.soundscapes, members, list(recipe_members.values()), prior, Clock())
    parts = dict(sorted(result.member_scores.items()))
    scored = scores_with_intervals(
        labels, parts | {_rung(recipe): execute(recipe, result).scores for recipe in recipes}
    )
    held_out = {
        name: load_oof_scores(folders[name], prepared.folds, related=prepared.related, others=folders) for name in parts
    }
    blended = {_rung(recipe): variant_scores(recipe, held_out, prepared.labels) for recipe in recipes}
    out_of_fold = scores_with_intervals(prepared.labels, held_out | blended)
    cost = {name: 1000 * member.card.measured.seconds_per_soundscape for name, member in members.items()}
    standins = {name for name, member in members.items() if member.card.config.get("standin")}
    marks = {name: "yes" for name in standins}
    for recipe in recipes:
        cost[_rung(recipe)] = 1000 * seconds_together(recipe.members)
        marks[_rung(recipe)] = _standin_share(recipe, standins.intersection(used_members(recipe)), classes)
    before = {name: each.macro for name, each in out_of_fold.items()}
    rows = score_table(scored, {"out of fold": before, "ms per soundscape": cost, "stand-in": marks})
    rows["stand-in"] = rows["stand-in"].fillna("")
    best = dict.fromkeys(max(parts, key=lambda name: of[name].macro) for of in (out_of_fold, scored))
    return rows, pd.DataFrame(_gains(recipe, over, out_of_fold, scored) for recipe in recipes for over in best)


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


Scored = dict[str, ScoreWithInterval]


def _gains(recipe: Recipe, over: str, out_of_fold: Scored, hidden: Scored) -> dict[str, str]:
    """A row of the gains: the recipe's over that member, out of fold and on the hidden test, and what was searched."""
    searched = recipe.searched_score
    return {
        "recipe": recipe.name,
        "gain over": over,
        "out of fold": _gain(out_of_fold, _rung(recipe), over),
        "hidden test": _gain(hidden, _rung(recipe), over),
        "searched": "nothing" if searched is None else f"{searched:.3f}, nested {recipe.score:.3f}",
    }


def _gain(scored: Scored, one: str, other: str) -> str:
    """The difference of two scores, with its interval."""
    macro = {name: each.macro for name, each in scored.items()}
    sure = paired_interval(macro, {name: each.drawn for name, each in scored.items()}, one, other)
    return f"{macro[one] - macro[other]:+.3f} {sure}"


def _rung(recipe: Recipe) -> str:
    """The name of a recipe's blend on the ladder."""
    return f"{recipe.name} blend"


def _filled(note: str) -> str:
    """The note in lines of a terminal's width."""
    return fill(note, 100)


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
    rows, gains = climb(find_competition(str(options.competition)), options.solution, options.runs)
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
    print(*map(_filled, notes), "", gains.to_string(index=False), _filled(GAINS_NOTE), sep="\n")
    prose = "Macro ROC-AUC on the hidden test soundscapes, with 90 % intervals over redrawn recordings."
    figure = ladder(rows.assign(name=rows.name.where(rows["stand-in"] == "", rows.name + " (stand-in)")))
    compared: list[PagePart] = ["# What the recipes gain over the best members", GAINS_NOTE, gains]
    write_page(options.page, "The ladder", [prose, *notes, figure, table, *compared])
    print(f"page: {display_path(options.page)}")
    return 0


if __name__ == "__main__":
    end(main)
