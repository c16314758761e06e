"""The engine: a recipe's members are opened, they listen, and the recipe makes ranks of what they said."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.blend.mix import percentile_ranks
from lib.blend.recipe import Ingredient, Outcome, Recipe
from lib.competition.classes import ClassList
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores, joined
from lib.core.errors import BadInput, shortened
from lib.core.records import check_seal
from lib.models.member.open import Member, open_member
from lib.submit.soundscape import prior_table
from lib.submit.stream import StreamResult


@dataclass(frozen=True, eq=False)
class OpenedRecipe:
    """The members that could be opened, what is left of the recipe with them alone, and why others could not be."""

    recipe: Recipe
    left: Recipe
    members: dict[str, Member]
    lost: dict[str, str]

    @property
    def alarms(self) -> list[str]:
        """One sentence for each that could not be opened."""
        return [f"{name} is left out from the start: {why}" for name, why in self.lost.items()]


def open_members(recipe: Recipe, folders: Sequence[Path], classes: ClassList) -> OpenedRecipe:
    """The recipe's members, opened; one that is absent, damaged or another is an error, or left out if optional."""
    classes.check_hash(recipe.class_hash, f"recipe {recipe.name}")
    by_name = {folder.name: folder for folder in folders}
    recipe.refuse_absent(by_name)
    members, lost = {}, {}
    for ingredient in recipe.members:
        try:
            members[ingredient.name] = _open(ingredient, by_name, classes)
        except Exception as error:  # what is wrong with a damaged folder can be anything
            if ingredient.required:
                raise
            lost[ingredient.name] = " ".join(f"{error}".split())
    return OpenedRecipe(recipe, recipe.without(lost) if lost else recipe, members, lost)


def _open(ingredient: Ingredient, by_name: dict[str, Path], classes: ClassList) -> Member:
    """The member, if it is the very one the recipe was made with."""
    if ingredient.name not in by_name:
        raise BadInput(
            f"no member {ingredient.name}",
            expected="its folder among the inputs",
            got=shortened(sorted(by_name)) or "none",
            do="attach the output it is in",
        )
    manifest = check_seal(by_name[ingredient.name])
    if manifest != ingredient.manifest:
        raise BadInput(
            f"member {ingredient.name} is not the one of the recipe",
            expected=f"manifest {ingredient.manifest}",
            got=manifest,
            do="run 05 again after changing a member",
        )
    return open_member(by_name[ingredient.name], classes)


def prior_scores(rows: Sequence[str], prior: Member, classes: ClassList) -> Scores:
    """The prior's scores of any rows, from their names alone: the first valid submission."""
    stems = list(dict.fromkeys(row.rpartition("_")[0] for row in rows))
    tables = [prior_table(prior, stem) for stem in stems]
    values = np.concatenate(tables) if tables else np.zeros((0, len(classes)))
    return Scores(values, [row for stem in stems for row in row_ids(stem)], classes.labels, "prob").take(rows)


def execute(recipe: Recipe, heard: StreamResult) -> Outcome:
    """The recipe's ranks of all rows; those of soundscapes that nobody heard are the prior's ranks among all rows."""
    prior, alarms = percentile_ranks(heard.prior), []
    known = {row for part in heard.parts.values() for row in part.row_ids}
    scores = prior
    if known and (left := _left(recipe, heard, alarms)):
        outcome = left.execute(heard.parts)
        alarms += outcome.alarms
        unheard = [row for row in prior.row_ids if row not in known]
        # Ranks again, whatever the last mix was: the prior's rows stand beside them, and only order is scored.
        scores = joined([percentile_ranks(outcome.scores), prior.take(unheard)]).take(prior.row_ids)
    if len(known) > 0 and (flat := flat_classes(scores)):
        alarms.append(f"the same for all rows in {len(flat)} of {len(scores.classes)} classes: {shortened(flat)}")
    return Outcome(scores, tuple(alarms))


def _left(recipe: Recipe, heard: StreamResult, alarms: list[str]) -> Recipe | None:
    """The recipe of those who are left; None, with an alarm, where nobody is."""
    if not heard.dropped:
        return recipe
    try:
        return recipe.without(heard.dropped)
    except BadInput:
        alarms.append("nobody is left to be mixed: the prior speaks for all")
        return None


def flat_classes(scores: Scores) -> list[str]:
    """The classes that have the same score in all rows, where there is more than one row."""
    if len(scores.row_ids) < 2:
        return []
    return np.array(scores.classes)[np.ptp(scores.values, axis=0) == 0].tolist()
