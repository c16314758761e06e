"""Climb the ladder: score every member and every recipe on the hidden test of a miniature competition.

python -m build.ladder                                   the miniature competition of `make demo`
python -m build.ladder --competition DIR --solution CSV  any other with the same layout
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from build.notebooks.source import shown
from build.project import ROOT
from lib.blend.member_costs import ingredient, seconds_together, used
from lib.blend.recipe import Recipe, load_recipes
from lib.competition.classes import read_class_list
from lib.competition.prepared import load_prepared
from lib.competition.tables import read_solution
from lib.core.errors import BadInput
from lib.core.paths import find_made, find_one
from lib.judge.bootstrap import bootstrap, interval
from lib.judge.compare import paired
from lib.judge.leakage import judge_member
from lib.judge.metric import judge
from lib.models.member.open import open_member
from lib.show.html import write_page
from lib.show.plots import ladder
from lib.submit.budget import Clock
from lib.submit.engine import execute, open_members, prior_scores
from lib.submit.rows import required_rows
from lib.submit.stream import score_soundscapes


def climb(competition: Path, solution: Path, runs: Path) -> tuple[pd.DataFrame, list[str]]:
    """One row a rung: its out-of-fold score, its hidden-test score with interval, its cost; and a line a recipe.

    The line says whether the blend beats the member that turned out best, and how much of its own score was luck.
    """
    classes = read_class_list(competition)
    labels = read_solution(solution, classes)
    prepared = load_prepared(find_one("prepared", str(runs)))
    folders = {folder.name: folder for folder in find_made("member", str(runs))}
    recipes = load_recipes(find_one("recipes", str(runs)))
    members, ingredients = {}, {}
    for recipe in recipes:
        members |= open_members(recipe, list(folders.values()), classes).members
        ingredients |= {ingredient.name: ingredient for ingredient in recipe.members}
    for name in folders.keys() - members.keys():  # no recipe wants them: their rungs are worth seeing all the same
        members[name] = open_member(folders[name], classes)
        ingredients[name] = ingredient(members[name].card, folders[name])
    asked = required_rows(competition)
    prior = prior_scores(asked.row_ids, members[recipes[0].prior], classes)
    heard = score_soundscapes(asked.soundscapes, members, list(ingredients.values()), prior, Clock())
    parts = dict(sorted(heard.parts.items()))
    named = parts | {_rung(recipe): execute(recipe, heard).scores for recipe in recipes}
    out_of_fold = {
        name: judge_member(
            folders[name], prepared.labels, prepared.folds, related=prepared.related, others=folders
        ).macro
        for name in parts
    }
    out_of_fold |= {_rung(recipe): recipe.score for recipe in recipes}
    cost = {name: member.card.seconds_per_soundscape for name, member in members.items()}
    for recipe in recipes:
        cost[_rung(recipe)] = seconds_together(member for member in recipe.members if member.name in used(recipe))
    drawn = bootstrap(labels, named)
    rows = []
    for name, scores in named.items():
        report = judge(labels, scores)
        sure = interval(report.macro, drawn[name])
        rows.append(
            {
                "rung": name,
                "out of fold": out_of_fold[name],
                "score": report.macro,
                "low": sure.low,
                "high": sure.high,
                "classes": len(report.scored),
                "ms per soundscape": 1000 * cost[name],
            }
        )
    scored = {row["rung"]: row["score"] for row in rows}
    best = max(parts, key=scored.get)
    return pd.DataFrame(rows), [_verdict(recipe, best, scored, drawn) for recipe in recipes]


def _verdict(recipe: Recipe, best: str, scored: dict, drawn: dict) -> str:
    """Whether the recipe's blend beats that member on the hidden test, and what was searched."""
    rung = _rung(recipe)
    gain = f"{rung} - {best}: {scored[rung] - scored[best]:+.3f} {paired(scored, drawn, rung, best)}"
    if recipe.searched is None:
        return f"{gain}; nothing was searched"
    return f"{gain}; searched {recipe.searched:.3f}, nested {recipe.score:.3f}"


def _rung(recipe: Recipe) -> str:
    """What the ladder calls a recipe's blend."""
    return f"{recipe.name} blend"


def main(arguments: list[str] | None = None) -> int:
    """Print the ladder and write its page; 0 when it could be climbed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--competition", type=Path, default=ROOT / "data/mini/rerun/birdclef-2026", help="with test files"
    )
    parser.add_argument("--solution", type=Path, default=ROOT / "data/mini/hidden/solution.csv", help="the answers")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/mini", help="where the notebooks' outputs are")
    parser.add_argument("--page", type=Path, default=ROOT / "dist/ladder.html", help="where the page goes")
    options = parser.parse_args(arguments)
    try:
        rows, verdicts = climb(options.competition, options.solution, options.runs)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    table = rows.assign(interval=[f"[{low:.3f}, {high:.3f}]" for low, high in zip(rows.low, rows.high, strict=True)])
    table = table.rename(columns={"score": "hidden test", "interval": "90 % interval"})
    table = table[["rung", "out of fold", "hidden test", "90 % interval", "classes", "ms per soundscape"]]
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    print(*verdicts, sep="\n")
    prose = "Macro ROC-AUC on the hidden test soundscapes; intervals by drawing whole recordings anew, 90 %."
    write_page(options.page, "The ladder", [prose, ladder(rows), table, *verdicts])
    print(f"page: {shown(options.page)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
